""".ci/run is strict mode, the README's test command and a demo: the Makefile says what these do."""

from __future__ import annotations

import os
import re

from architecture.repository import ROOT

RUN = ROOT / ".ci/run"


def commands() -> list[str]:
    return [line for line in RUN.read_text().splitlines() if line and not line.startswith("#")]


def test_ci_holds_no_logic_of_its_own() -> None:
    assert os.access(RUN, os.X_OK)
    assert commands() == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "export STRICT=1",
        "make test </dev/null",
        "make demo ARGS='--seconds 10 --json' </dev/null",
    ]


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"^make demo\b", readme, re.MULTILINE)
    assert re.search(r"^make test\b", readme, re.MULTILINE)


def test_the_last_word_of_the_tests_is_pytests() -> None:
    rule = re.search(r"^test: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None
    assert rule[1].split()[-1] == "test-python"
    assert {"check", "test-rust", "test-web", "wheel-test"} <= set(rule[1].split())

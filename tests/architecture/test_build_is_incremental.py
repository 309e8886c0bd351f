"""What was built is not built again: after `make test` or `make demo`, neither compiles anything.

This runs inside `make test`, after everything it builds has been built; so cargo must find every crate fresh, with
the arguments of the Makefile, and make must find every file newer than what it is made from.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
from typing import Any

import pytest

from architecture.repository import ROOT

# Another cargo may hold the build folder for the length of a build.
pytestmark = pytest.mark.timeout(300)


def makefile(name: str) -> str:
    """The value of a variable of the Makefile."""
    match = re.search(rf"^{name} := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert match is not None, name
    return match[1]


def stale_crates(*arguments: str) -> list[str]:
    """What cargo compiles when it is called like this (and by that has compiled)."""
    command = [os.environ.get("CARGO", "cargo"), *arguments, "--message-format=json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    messages = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    artifacts = [message for message in messages if message["reason"] == "compiler-artifact"]
    assert artifacts
    return [message["target"]["name"] for message in artifacts if not message["fresh"]]


@pytest.mark.parametrize("target", ["EXTENSION", "PAGES", "CLIP", "NODE_MODULES"])
def test_make_finds_its_files_up_to_date(target: str) -> None:
    path = makefile(target)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(
        ["make", "--question", path], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert result.returncode == 0, f"make would build {path} again"


def test_the_extension_is_compiled_once() -> None:
    extension: dict[str, Any] = runpy.run_path(str(ROOT / "build/extension.py"))
    assert stale_crates(*extension["command"]([])[1:]) == []


def test_the_tests_of_the_crates_are_compiled_once() -> None:
    recipe = re.search(r"'cargo test' \$\(CARGO\) (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    written = recipe[1].replace("$(CHECKED)", makefile("CHECKED"))
    arguments = shlex.split(written.replace("$(LOCKED)", "").replace("--quiet", ""))
    assert stale_crates(*arguments, "--no-run") == []


def test_maturin_takes_what_cargo_has_built() -> None:
    """One environment for every cargo call: without it maturin's own would recompile what depends on pyo3."""
    settings = (ROOT / ".cargo/config.toml").read_text()
    assert "PYO3_CONFIG_FILE" in settings
    assert "force = true" in settings

"""Every error code of the product is raised by a test, or it is said why not (build/codes.toml)."""

from __future__ import annotations

import ast
import functools
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from architecture.repository import ROOT
from sanderling.errors import ErrorCode

generator: dict[str, Any] = runpy.run_path(str(ROOT / "build/codes.py"))
CODES = generator["declared"]()
STATUSES = {"different", "not applicable"}
NUMBERS = {code.name: int(code) for code in ErrorCode}


@functools.cache
def mentioned(path: str) -> dict[str, set[int]]:
    """By test function of a file, the codes that stand in it or in its parameters, as numbers or by name."""
    found: dict[str, set[int]] = {}
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            numbers = {
                n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, int)
            }
            texts = [
                n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
            ]
            numbers |= {int(text) for text in texts if text.isdecimal()}
            numbers |= {NUMBERS.get(n.attr, -1) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            found[node.name] = numbers
    return found


def test_the_generated_files_are_those_of_the_declarations() -> None:
    for path, text in generator["texts"]().items():
        assert path.read_text() == text, f"{path} differs: run `make schema`"


def test_every_code_in_use_is_declared_under_its_name() -> None:
    assert {code.number: code.name for code in CODES if code.name} == {
        int(code): code.name for code in ErrorCode
    }


@pytest.mark.parametrize("code", CODES, ids=lambda code: str(code.number))
def test_a_code_is_raised_by_its_test_or_says_why_not(code: Any) -> None:
    if not code.test:
        assert code.status in STATUSES
        assert code.reason
        return
    assert not code.status
    path, _, name = code.test.partition("::")
    assert (ROOT / path).is_file(), f"{code.test}: no such file"
    assert name in mentioned(path), f"{code.test}: no such test"
    assert code.number in mentioned(path)[name], f"{code.test} has nothing to do with {code.number}"


def test_few_codes_are_different_or_not_applicable() -> None:
    product = [code for code in CODES if code.symbol]
    without = [code for code in product if code.status in {"different", "not applicable"}]
    assert len(without) <= 0.15 * len(product)


def test_every_code_that_is_raised_has_cause_and_remedy() -> None:
    assert [code.number for code in CODES if code.name and not (code.cause and code.remedy)] == []


def test_a_test_that_does_not_meet_its_code_fails_the_run(tmp_path: Path) -> None:
    """In a run of its own: tests that do, that do not, that run in part, that fail, and that say it themselves."""
    (tmp_path / "conftest.py").write_text(
        "from codes_seen import CodesSeen\n"
        "codes = {1000002: 'test_a.py::test_meets', 1000017: 'test_a.py::test_does_not',\n"
        "         1002001: 'test_a.py::test_in_part', 1002002: 'test_a.py::test_fails',\n"
        "         1002057: 'test_a.py::test_says_it_itself'}\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(CodesSeen(codes))\n"
    )
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        "from codes_seen import scripted\n"
        "from sanderling.errors import SanderlingError\n"
        "from sanderling.signaling import codec\n"
        "from sanderling.signaling.messages import Error\n"
        "def test_meets(): SanderlingError(1000002)\n"
        "def test_does_not(): assert 1000017\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_in_part(n): n == 2 and SanderlingError(1002001)\n"
        "def test_fails(): raise SanderlingError(1000017)\n"
        "def test_says_it_itself():\n"
        "    error = Error(1002057, 'no')\n"
        "    scripted(error)\n"
        "    SanderlingError(codec.decode_server(codec.encode(error)).code)\n"
    )

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        found = [line for line in done.stdout.splitlines() if line.startswith("build/codes.toml")]
        return done.returncode, "; ".join(found)

    missing = "build/codes.toml: 1000017 was not met by test_a.py::test_does_not"
    echoed = "build/codes.toml: 1002057 was not met by test_a.py::test_says_it_itself"
    assert run("-k", "not fails") == (1, f"{missing}; {echoed}")
    assert run("-k", "meets or (in_part and 1)") == (0, "")
    assert run("test_a.py::test_in_part[1]", "test_a.py::test_meets") == (0, "")

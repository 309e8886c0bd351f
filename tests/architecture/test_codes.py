"""Every error code of the product is raised by a test, or it is said why not (build/codes.toml)."""

from __future__ import annotations

import ast
import functools
import runpy
from typing import Any

import pytest

from architecture.repository import ROOT
from sanderling.errors import ErrorCode

generator: dict[str, Any] = runpy.run_path(str(ROOT / "build/codes.py"))
CODES = generator["declared"]()
STATUSES = {"different", "not applicable", "planned"}
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

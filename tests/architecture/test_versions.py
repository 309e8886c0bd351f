"""One version number, one Rust version, one set of dependencies, wherever they are written."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from architecture.repository import ROOT

PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def toml(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text())


def pins(path: str) -> dict[str, set[str]]:
    """Name → pinned versions (more than one where they differ between Python versions)."""
    pinned: dict[str, set[str]] = {}
    for match in PINNED.finditer((ROOT / path).read_text()):
        pinned.setdefault(canonicalize_name(match["name"]), set()).add(match["version"])
    return pinned


def wanted(path: str) -> set[str]:
    lines = (ROOT / path).read_text().splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if line and line[0] not in "#-"}


def declared() -> list[Requirement]:
    return [Requirement(text) for text in toml("pyproject.toml")["project"]["dependencies"]]


def test_one_version_number() -> None:
    version = toml("Cargo.toml")["workspace"]["package"]["version"]
    assert toml("pyproject.toml")["project"]["version"] == version
    assert importlib.metadata.version("sanderling") == version
    packages = [ROOT / "web/package.json", *ROOT.glob("web/packages/*/package.json")]
    assert {json.loads(path.read_text())["version"] for path in packages} == {version}
    locked = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    assert {
        entry["version"] for name, entry in locked.items() if name == "" or name.startswith("packages/")
    } == {version}


def test_every_crate_takes_the_workspace_version() -> None:
    for path in ROOT.glob("crates/*/Cargo.toml"):
        package = tomllib.loads(path.read_text())["package"]
        for key in ("version", "edition", "rust-version", "license"):
            assert package[key] == {"workspace": True}, f"{path.parent.name}: {key}"


def test_the_python_version_is_the_same_everywhere() -> None:
    project = toml("pyproject.toml")
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert 'at_least "$found" 3.11' in (ROOT / "build/preflight.sh").read_text()


def test_the_package_needs_what_is_pinned() -> None:
    assert {canonicalize_name(requirement.name) for requirement in declared()} == wanted(
        "requirements/runtime.in"
    )


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_the_pin_lies_in_the_declared_range(requirement: Requirement) -> None:
    chosen = pins("requirements/runtime.txt")[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version) for version in chosen), (str(requirement), chosen)
    operators = {clause.operator for clause in requirement.specifier}
    assert operators == {"=="} or {">=", "<"} <= operators, "bounded on both sides"


def test_development_runs_what_users_run() -> None:
    runtime, dev = pins("requirements/runtime.txt"), pins("requirements/dev.txt")
    assert {name: versions for name, versions in runtime.items() if dev.get(name) != versions} == {}
    assert wanted("requirements/dev.in") <= set(dev)


@pytest.mark.parametrize(
    "path", ["requirements/runtime.txt", "requirements/dev.txt", "requirements/clip.txt"]
)
def test_every_pin_has_a_hash_and_no_address(path: str) -> None:
    text = (ROOT / path).read_text()
    blocks = re.split(r"\n(?=[\w])", text)
    pinned = [block for block in blocks if PINNED.match(block)]
    assert pinned
    assert [block.splitlines()[0] for block in pinned if "--hash=sha256:" not in block] == []
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_npm_is_locked_by_hash_without_addresses() -> None:
    locked = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    fetched = {
        name: entry
        for name, entry in locked.items()
        if name.startswith("node_modules/") and "link" not in entry
    }
    assert fetched
    assert [name for name, entry in fetched.items() if "integrity" not in entry or "resolved" in entry] == []

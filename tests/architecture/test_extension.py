"""The extension's way into the package: whoever runs meanwhile finds the one before."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from architecture.repository import ROOT


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``build/extension.py`` for a package in ``tmp_path`` with an extension of an earlier build, "old"."""
    spec = importlib.util.spec_from_file_location("extension", ROOT / "build/extension.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target = tmp_path / "package" / "_engine.abi3.so"
    target.parent.mkdir()
    target.write_text("old")
    monkeypatch.setattr(module, "TARGET", target)
    return module


def cargo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Path, status: int, files: list[str]
) -> None:
    """Have ``$CARGO`` name ``files`` as the library and note what the package holds while it runs."""
    message = {
        "reason": "compiler-artifact",
        "target": {"crate_types": ["cdylib"]},
        "filenames": files,
    }
    script = tmp_path / "cargo"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text(pathlib.Path({str(target)!r}).read_text())\n"
        f"print({json.dumps(json.dumps(message))})\nsys.exit({status})\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("CARGO", str(script))


def test_a_build_replaces_the_extension_in_one_step(
    extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib_engine.so"
    library.write_text("new")
    cargo(tmp_path, monkeypatch, extension.TARGET, 0, [str(library)])
    assert extension.main([]) == 0
    assert (tmp_path / "seen").read_text() == "old"
    assert extension.TARGET.read_text() == "new"
    assert [path.name for path in extension.TARGET.parent.iterdir()] == [extension.TARGET.name]


@pytest.mark.parametrize(("status", "files"), [(101, ["lib_engine.so"]), (0, [])])
def test_a_failed_build_leaves_no_stale_extension(
    extension: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, files: list[str]
) -> None:
    cargo(tmp_path, monkeypatch, extension.TARGET, status, files)
    assert extension.main([]) == 1
    assert list(extension.TARGET.parent.iterdir()) == []

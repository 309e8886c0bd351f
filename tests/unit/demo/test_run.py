"""The parent's failures, told in a sentence with exit code 1. What works is in tests/scenario/test_demo.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.demo import run
from sanderling.demo.clip import clip_path


def test_a_missing_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "clip_path", lambda: clip_path(tmp_path))
    assert run.run(run.Options(json=True)) == run.EXIT_FAILED
    captured = capsys.readouterr()
    assert "make setup" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("name", ["file/below", "x" * 300, "unwritable"])
def test_a_folder_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    # Root may write anywhere, so that permissions alone do not make a folder unwritable.
    monkeypatch.setattr(run.os, "access", lambda folder, _: not str(folder).endswith("unwritable"))
    assert run.run(run.Options(json=True, save=tmp_path / name)) == run.EXIT_FAILED
    captured = capsys.readouterr()
    assert "--save" in captured.err
    assert captured.out == ""


@pytest.mark.processes
def test_no_picture_in_time_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "PICTURE_SECONDS", 0.0)
    assert run.run(run.Options(json=True, seconds=1)) == run.EXIT_FAILED
    captured = capsys.readouterr()
    assert "error: no picture within 0 s: the host is not logged in" in captured.err
    assert captured.out == ""

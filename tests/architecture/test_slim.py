"""The wheel that is shipped: its extension without debug sections, and a RECORD that still tells the truth."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import runpy
import zipfile
from pathlib import Path
from typing import Any

import pytest

from architecture.repository import ROOT

slim: dict[str, Any] = runpy.run_path(str(ROOT / "build/slim.py"))
EXTENSION: str = slim["EXTENSION"]
RECORD = "sanderling-0.dist-info/RECORD"


def wheel(folder: Path, *, recorded: bool = True) -> Path:
    """A wheel of the extension as it was built, and of a file beside it."""
    path = folder / "sanderling-0-cp311-abi3-linux.whl"
    rows = ["sanderling/x.py,sha256=abc,1", f"{EXTENSION},sha256=old,1"][: 2 if recorded else 1]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("sanderling/x.py", "x")
        archive.write(ROOT / "python" / EXTENSION, EXTENSION)
        archive.writestr(RECORD, "\n".join([*rows, f"{RECORD},,", ""]))
    return path


def test_debug_sections_go_and_the_names_of_functions_stay(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path) as archive:
        rights = archive.getinfo(EXTENSION).external_attr
    assert slim["main"]([str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == [path]
    with zipfile.ZipFile(path) as archive:
        library = archive.read(EXTENSION)
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read(RECORD).decode()))}
        assert archive.namelist() == ["sanderling/x.py", EXTENSION, RECORD]
        assert archive.getinfo(EXTENSION).external_attr == rights
    assert len(library) * 4 < (ROOT / "python" / EXTENSION).stat().st_size
    assert b"PyInit__engine" in library and b"sanderling_sfu" in library
    digest = base64.urlsafe_b64encode(hashlib.sha256(library).digest()).rstrip(b"=").decode()
    assert rows == {
        "sanderling/x.py": ["sha256=abc", "1"],
        EXTENSION: [f"sha256={digest}", str(len(library))],
        RECORD: ["", ""],
    }


def test_a_record_without_the_extension_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, recorded=False)
    with pytest.raises(ValueError, match=EXTENSION):
        slim["main"]([str(tmp_path)])


@pytest.mark.parametrize("wheels", [0, 2])
def test_there_must_be_one_wheel(tmp_path: Path, wheels: int) -> None:
    for number in range(wheels):
        (tmp_path / f"{number}.whl").touch()
    assert slim["main"]([str(tmp_path)]) == 1

"""Take what only debuggers read out of the extension in a folder's one wheel: it is seven eighths of its bytes.

A profile of the built extension shows lines (Cargo.toml: ``line-tables-only``); in what is shipped the names of
functions stay, and with them readable profiles. cargo could strip too, but would then compile everything a second time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EXTENSION = "sanderling/_engine.abi3.so"


def stripped(library: bytes) -> bytes:
    """The library without its debug sections, by the ``strip`` that came with the linker."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "library.so"
        path.write_bytes(library)
        subprocess.run([os.environ.get("STRIP", "strip"), "--strip-debug", str(path)], check=True)
        return path.read_bytes()


def record(old: str, name: str, content: bytes) -> str:
    """RECORD with another ``content`` of the file ``name``: its digest and its size."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    rows = list(csv.reader(io.StringIO(old)))
    if name not in (row[0] for row in rows):
        raise ValueError(f"the wheel's RECORD does not name {name}")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [name, f"sha256={digest}", str(len(content))] if row[0] == name else row for row in rows
    )
    return text.getvalue()


def slim(wheel: Path) -> None:
    """Rewrite the wheel in place; the order, the times and the rights of its files stay."""
    partial = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as new:
        library = stripped(old.read(EXTENSION))
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == EXTENSION:
                content = library
            elif entry.filename.endswith(".dist-info/RECORD"):
                content = record(content.decode(), EXTENSION, library).encode()
            new.writestr(entry, content, entry.compress_type, compresslevel=9)
    partial.replace(wheel)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        print(f"{folder} holds {len(wheels)} wheels instead of one", file=sys.stderr)
        return 1
    slim(wheels[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

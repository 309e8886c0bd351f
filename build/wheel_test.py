"""Install the wheel in dist/ as a user would and run the demo from it.

An empty virtual environment, dependencies at the pinned hashes, a folder that holds nothing, and a PATH on which
there is neither cargo nor node nor this working tree. Exit status 0 when the demo reports a played stream.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 10
MEMBERS = (
    "sanderling/_engine.abi3.so",
    "sanderling/py.typed",
    "sanderling/demo/material/bigbuckbunny.mp4",
    "sanderling/server/static/index.html",
    "sanderling/server/static/debug/index.html",
    "sanderling/server/static/debug/main.js",
)
"""What git ignores, or what is easily forgotten, and must be inside."""
MOST_BYTES = 6 << 20
"""A wheel of twice this size carries the debug sections of the extension."""
LIMIT_S = 90
"""The demo's own seconds, the start of three processes, and room for a busy machine."""


def pip(python: Path, *arguments: str) -> None:
    """Run this environment's pip on another environment, which needs none of its own."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    subprocess.run(
        [*command, "--disable-pip-version-check", *arguments], check=True, stdin=subprocess.DEVNULL
    )


def complaints(result: dict[str, object]) -> list[str]:
    """What is wrong with the demo's result; an empty list when a stream was published and played."""
    wrong = []
    for field, state in (
        ("room_states", "LOGINED"),
        ("publisher_states", "PUBLISHING"),
        ("player_states", "PLAYING"),
    ):
        states = result.get(field)
        if not isinstance(states, list) or state not in states:
            wrong.append(f"{field} is {states!r}, without {state}")
    frames = result.get("frames")
    if not isinstance(frames, dict) or not frames.get("received"):
        wrong.append(f"frames is {frames!r}")
    return wrong


def main() -> int:
    wheels = list((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        print(f"dist/ holds {len(wheels)} wheels; run 'make wheel'", file=sys.stderr)
        return 1
    size = wheels[0].stat().st_size
    if size > MOST_BYTES:
        print(f"{wheels[0].name} has {size / 2**20:.1f} MiB", file=sys.stderr)
        return 1
    with zipfile.ZipFile(wheels[0]) as archive:
        forgotten = sorted(set(MEMBERS) - set(archive.namelist()))
    if forgotten:
        print(f"{wheels[0].name} lacks {', '.join(forgotten)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        python = folder / "venv/bin/python"
        pip(python, "--require-hashes", "-r", str(ROOT / "requirements/runtime.txt"))
        pip(python, "--no-index", "--no-deps", str(wheels[0]))
        empty = folder / "empty"
        empty.mkdir()
        environment = {
            "PATH": str(python.parent),
            "HOME": str(empty),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }
        command = [str(python.parent / "sanderling"), "demo", "--seconds", str(SECONDS), "--json"]
        demo = subprocess.run(
            command, cwd=empty, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
    if demo.returncode:
        print(f"the installed wheel's demo ended with exit status {demo.returncode}", file=sys.stderr)
        return 1
    lines = demo.stdout.splitlines()
    if len(lines) != 1:
        print(f"the demo wrote {len(lines)} lines to stdout instead of one", file=sys.stderr)
        return 1
    wrong = complaints(json.loads(lines[0]))
    for complaint in wrong:
        print(f"the installed wheel's demo: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

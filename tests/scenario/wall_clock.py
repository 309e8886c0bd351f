"""A wall clock that a test sets: for processes started with its environment. Their steady clocks stay as they are."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

__all__ = ["WallClock"]


class WallClock:
    """``environment`` is for the processes, ``set`` says how many seconds off their clock is from now on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library, self._file = folder / "wall_clock.so", folder / "offset"
        source = Path(__file__).with_name("wall_clock.c")
        # The linker of the Rust build.
        compile_ = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(compile_, check=True, capture_output=True)
        self.set(0)
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        data = struct.pack("=q", seconds)
        if not self._file.exists():
            self._file.write_bytes(data)
        # In place: the processes have the file mapped.
        descriptor = os.open(self._file, os.O_WRONLY)
        os.pwrite(descriptor, data, 0)
        os.close(descriptor)

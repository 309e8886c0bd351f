"""What ``--save DIR`` writes, and how it is read back.

frames.csv       frame,sent_ns,received_ns: one row per frame, Unix nanoseconds, empty = unknown
sound.wav        the received sound, 48 kHz, 16 bit
pictures/        frame-000123.png, two a second
session.json     when watching ended (until_ns, Unix ns), and the result that was printed
"""

from __future__ import annotations

import csv
import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from sanderling.demo.measure import FrameRow
from sanderling.demo.result import Result

__all__ = [
    "FRAMES",
    "PICTURES",
    "SESSION",
    "SOUND",
    "PictureSaver",
    "SavedSession",
    "SoundSaver",
    "read_rows",
    "read_session",
    "sound_duration_ms",
    "write_rows",
    "write_session",
]

FRAMES = "frames.csv"
SOUND = "sound.wav"
PICTURES = "pictures"
SESSION = "session.json"

_HEADER = ["frame", "sent_ns", "received_ns"]
_NS_PER_S = 1_000_000_000
_SAMPLE_BYTES = 2


class SavedSession(msgspec.Struct, frozen=True):
    """Contents of ``session.json``."""

    until_ns: int
    """When watching ended, Unix nanoseconds: decides whether the picture stood still at the end."""
    result: Result


def write_rows(path: Path, rows: Iterable[FrameRow]) -> None:
    """Write ``rows`` as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows((row.frame, row.sent_ns, row.received_ns) for row in rows)


def read_rows(path: Path) -> list[FrameRow]:
    """Read rows that ``write_rows`` wrote; ValueError names the line that is not one."""
    with path.open(newline="") as file:
        reader = csv.reader(file)
        if next(reader, None) != _HEADER:
            raise ValueError(f"{path}: the first line is not {','.join(_HEADER)}")
        rows = []
        for fields in reader:
            try:
                frame, sent_ns, received_ns = (int(field) if field else None for field in fields)
            except ValueError:
                raise ValueError(f"{path}, line {reader.line_num}: not a row of three numbers") from None
            rows.append(FrameRow(frame, sent_ns, received_ns))
        return rows


def write_session(folder: Path, session: SavedSession) -> None:
    """Write ``session.json``."""
    (folder / SESSION).write_bytes(msgspec.json.format(msgspec.json.encode(session), indent=2) + b"\n")


def read_session(folder: Path) -> SavedSession:
    """Read ``session.json``."""
    return msgspec.json.decode((folder / SESSION).read_bytes(), type=SavedSession)


class PictureSaver:
    """Chooses two pictures a second and writes them as PNG. ``save`` may run on another thread."""

    def __init__(self, folder: Path, *, per_second: int = 2) -> None:
        self._folder = folder
        self._interval_ns = _NS_PER_S // per_second
        self._next_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """Say whether the picture of ``now_ns`` (nanoseconds) is to be saved; it then counts as chosen."""
        if self._next_ns is None:
            self._next_ns = now_ns
        if now_ns < self._next_ns:
            return False
        # From the plan, not from now, so that the rate stays; after a gap the plan starts anew.
        planned_ns = self._next_ns + self._interval_ns
        self._next_ns = planned_ns if planned_ns > now_ns else now_ns + self._interval_ns
        return True

    def save(self, frame: int, to_rgb: Callable[[], NDArray[np.uint8]]) -> Path:
        """Write picture number ``frame``; ``to_rgb`` returns (height, width, 3) and is called here."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"frame-{frame:06d}.png"
        path.write_bytes(_png(to_rgb()))
        return path


class SoundSaver:
    """Collects blocks of int16 samples for a WAV file. ``put`` is quick; ``flush`` and ``close`` write.

    ``put`` belongs to one thread; ``flush`` may run on another one, but not two at a time.
    """

    def __init__(self, path: Path, *, rate: int, channels: int) -> None:
        self._path = path
        self._rate = rate
        self._channels = channels
        self._waiting: list[NDArray[np.int16]] = []
        self._waiting_samples = 0
        self._file: wave.Wave_write | None = None

    def put(self, samples: NDArray[np.int16]) -> bool:
        """Take ``samples`` (samples, channels); True when a second of sound waits to be flushed."""
        if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != self._channels:
            raise ValueError(
                f"expected int16 (samples, {self._channels}), got {samples.dtype} {samples.shape}"
            )
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        return self._waiting_samples >= self._rate

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting, self._waiting_samples = self._waiting, [], 0
        if self._file is None:
            self._file = wave.open(str(self._path), "wb")  # noqa: SIM115 - closed by close()
            self._file.setnchannels(self._channels)
            self._file.setsampwidth(_SAMPLE_BYTES)
            self._file.setframerate(self._rate)
        for samples in waiting:
            self._file.writeframesraw(np.ascontiguousarray(samples, dtype="<i2").tobytes())

    def close(self) -> None:
        """Write what waits and the final header, and close the file. A run without sound gives an empty file."""
        self.flush()
        if self._file is not None:
            self._file.close()


def sound_duration_ms(path: Path) -> float:
    """Length of a WAV file, milliseconds."""
    with wave.open(str(path), "rb") as file:
        return file.getnframes() * 1000 / file.getframerate()


def _png(rgb: NDArray[np.uint8]) -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
    # Fast rather than small: the encoder shares two cores with the stream it watches.
    encoder.options = {"compression_level": "1"}
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])

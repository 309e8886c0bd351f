"""Small picture files made for a test."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """A PNG of (height, width, 3 or 4) samples."""
    name = "rgba" if pixels.shape[2] == 4 else "rgb24"
    encoder = av.VideoCodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = pixels.shape[1], pixels.shape[0], name
    encoder.time_base = 1
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), name)
    path.write_bytes(b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


def plain(width: int, height: int, *color: int) -> NDArray[np.uint8]:
    """(height, width, channels) of one colour."""
    return np.broadcast_to(np.array(color, np.uint8), (height, width, len(color))).copy()

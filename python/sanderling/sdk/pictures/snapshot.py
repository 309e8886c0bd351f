"""One picture of a stream, for the program and as a file."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import numpy as np

from sanderling.errors import ErrorCode, SanderlingError, error_for
from sanderling.sdk.frames import PixelFormat, VideoFrame

__all__ = ["snapshot_of"]

_ENCODERS = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj420p"), ".jpeg": ("mjpeg", "yuvj420p")}


async def snapshot_of(frame: VideoFrame, path: str | Path | None, failed: ErrorCode) -> VideoFrame:
    """``frame`` as RGB24, upright, written to ``path`` (.png, .jpg) when there is one; ``failed``: the error's code."""
    try:
        return await asyncio.get_running_loop().run_in_executor(None, _take, frame, path)
    except (OSError, ValueError, SanderlingError) as error:
        raise error_for(failed, f"the snapshot failed: {error}") from None


def _take(frame: VideoFrame, path: str | Path | None) -> VideoFrame:
    pixels = np.rot90(frame.to_ndarray(PixelFormat.RGB24), -frame.rotation // 90)
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    picture = VideoFrame.from_ndarray(pixels, PixelFormat.RGB24, captured_ns=frame.captured_ns)
    if path is not None:
        _save(picture, Path(path))
    return picture


def _save(picture: VideoFrame, path: Path) -> None:
    import av

    if path.suffix.lower() not in _ENCODERS:
        raise ValueError(f"{path.name} is none of {', '.join(_ENCODERS)}")
    name, pixel_format = _ENCODERS[path.suffix.lower()]
    encoder = av.VideoCodecContext.create(name, "w")
    if not isinstance(encoder, av.VideoCodecContext):
        raise ValueError(f"this machine writes no {path.suffix} files")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, pixel_format
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture.planes[0], "rgb24").reformat(format=pixel_format)
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    path.write_bytes(data)

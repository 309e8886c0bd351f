"""Small media files made for a test."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44_100


def write_clip(
    path: Path,
    *,
    frames: int = 10,
    fps: int = 25,
    width: int = 64,
    height: int = 48,
    sound_ms: int | None = 400,
) -> Path:
    """A clip whose pictures get brighter by 10 each, twenty times over, with a 441 Hz tone of ``sound_ms``."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=fps)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.bit_rate = 2_000_000
        audio = (
            container.add_stream("pcm_s16le" if path.suffix == ".mov" else "aac", rate=RATE)
            if sound_ms
            else None
        )
        for number in range(frames):
            picture = np.full((height * 3 // 2, width), 128, np.uint8)
            picture[:height] = 40 + 10 * (number % 20)
            frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound_ms is not None:
            count = RATE * sound_ms // 1000
            tone = (np.sin(np.arange(count) * 2 * np.pi * 441 / RATE) * 8000).astype(np.int16)
            for start in range(0, count, 1024):
                block = av.AudioFrame.from_ndarray(
                    np.repeat(tone[start : start + 1024], 2)[None], "s16", "stereo"
                )
                block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path

"""Test pictures with a burned-in clock, encoded to VP8 as a low-latency encoder would."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from sanderling.demo import clock

__all__ = ["RTP_CLOCK", "ClockEncoder", "EncodedPicture"]

RTP_CLOCK = 90_000
_BITS_PER_PIXEL = 0.07
"""Bit rate of the encoder: 1.6 Mb/s for 720p25."""
_STEP = 4
"""Pixels the background moves from one picture to the next."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One encoded picture. ``rtp_timestamp`` counts 90 kHz and wraps at 32 bits."""

    data: bytes
    rtp_timestamp: int
    key_frame: bool


class ClockEncoder:
    """Encodes moving pictures whose clock shows the time they were made.

    ``fps``: pictures a second. ``gop_s``: seconds from one key frame to the next, unless one is asked for.
    """

    def __init__(self, width: int, height: int, fps: int, gop_s: float) -> None:
        self._size = (width, height)
        self._fps = fps
        self._number = 0
        # Texture that costs bits, wider than the picture: a window moves over it.
        shape = (height // 8, (width + 512) // 8)
        noise = np.random.default_rng(1).integers(64, 192, shape, np.uint8)
        self._texture = np.kron(noise, np.ones((8, 8), np.uint8))
        gop = max(1, round(gop_s * fps))
        context = av.CodecContext.create("libvpx", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, fps)
        context.framerate = Fraction(fps)
        context.bit_rate = int(width * height * fps * _BITS_PER_PIXEL)
        context.gop_size = gop
        context.options = {
            "deadline": "realtime",
            "cpu-used": "10",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            # Equal to the longest distance: key frames come when due or asked for, never by the encoder's taste.
            "keyint_min": str(gop),
            "error-resilient": "default",
        }
        self._context = context

    def encode(self, unix_ns: int, *, key_frame: bool = False) -> EncodedPicture:
        """Make and encode the next picture; ``unix_ns``: the time its clock shows."""
        width, height = self._size
        shift = self._number * _STEP % 512
        luma = np.full((height, width), 128, np.uint8)
        rows = self._texture.shape[0]
        luma[:rows] = self._texture[:, shift : shift + width]
        clock.burn(luma, unix_ns, self._number)
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.planes[0].update(_padded(luma, frame.planes[0].line_size))
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = self._number
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        timestamp = self._number * RTP_CLOCK // self._fps & 0xFFFF_FFFF
        self._number += 1
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"the encoder gave {len(packets)} pictures for one")
        return EncodedPicture(bytes(packets[0]), timestamp, packets[0].is_keyframe)


def _padded(luma: np.ndarray[tuple[int, int], np.dtype[np.uint8]], line_size: int) -> bytes:
    """The plane with lines as long as the codec library has them."""
    height, width = luma.shape
    if width == line_size:
        return luma.tobytes()
    rows = np.zeros((height, line_size), np.uint8)
    rows[:, :width] = luma
    return rows.tobytes()

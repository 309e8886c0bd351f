"""Data that a publisher sends inside its pictures and sound: what is allowed, and into which transport it goes. What
seals them sits in the same place.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sanderling.errors import ErrorCode, PublishError, RateLimited
from sanderling.sdk.rate import Rate
from sanderling.sdk.side_data import CARRIERS, MAX_AUDIO_SIDE_INFO, MAX_SEI

if TYPE_CHECKING:
    from sanderling.sdk.webrtc.publisher import PublisherTransport
    from sanderling.sdk.webrtc.side_data import SideDataWriter

__all__ = ["SideInfo"]

PER_SECOND = 30
"""Pieces of data inside pictures, and as many inside sound (product-facts 1.11)."""


class SideInfo:
    """Of one stream, over all its transports. ``prepared``: be ready before there is anything to send."""

    def __init__(self, *, prepared: bool) -> None:
        self._prepared = prepared
        self._video: SideDataWriter | None = None
        self._audio: SideDataWriter | None = None
        self._rates = {"video": Rate(PER_SECOND), "audio": Rate(PER_SECOND)}

    def attach(self, transport: PublisherTransport) -> None:
        """``transport`` is the stream's from now on."""
        if self._prepared:
            self._video = self._video or _writer()
            self._audio = self._audio or _writer()
        transport.carry(self._video, self._audio)

    def encrypt(self, transport: PublisherTransport | None, key: bytes | None) -> None:
        """Seal pictures and sound under ``key`` (16, 24 or 32 bytes) from the next ones on; None: no longer."""
        from sanderling.sdk.frame_cipher import FrameSealer

        video, audio = self._video, self._audio
        if key is not None:
            self._prepared = True
            self._video, self._audio = video or _writer(), audio or _writer()
        for writer in (self._video, self._audio):
            if writer is not None:
                writer.seal = FrameSealer(key).seal if key is not None else None
        if transport is not None:
            transport.carry(self._video if video is None else None, self._audio if audio is None else None)

    def send_with_picture(self, transport: PublisherTransport | None, data: bytes, captured_ns: int) -> None:
        """Send with the next picture, or the first captured at ``captured_ns`` or later; codes of ``send_sei``."""
        if not data:
            raise PublishError(ErrorCode.SEI_EMPTY, "there is nothing to send")
        if len(data) > MAX_SEI:
            raise PublishError(ErrorCode.SEI_TOO_LONG, f"{len(data)} bytes, {MAX_SEI} allowed")
        if transport is None or transport.video is None:
            raise PublishError(ErrorCode.PUBLISH_FAILED, "no pictures are being published")
        codec = transport.video_codec
        if codec and codec not in CARRIERS:
            raise PublishError(
                ErrorCode.ENCODER_UNSUPPORTED,
                f"pictures of {codec.removeprefix('video/')} cannot carry data",
                hint="publish VP8, H264 or AV1",
            )
        self._take("video")
        if self._video is None:
            self._video = _writer()
            transport.carry(self._video, None)
        self._video.put(bytes(data), captured_ns)

    def send_with_sound(self, transport: PublisherTransport | None, data: bytes) -> None:
        """Send with the next packet of sound; codes of ``send_audio_side_info``."""
        if not data:
            raise PublishError(ErrorCode.AUDIO_SIDE_INFO_EMPTY, "there is nothing to send")
        if len(data) > MAX_AUDIO_SIDE_INFO:
            raise PublishError(
                ErrorCode.AUDIO_SIDE_INFO_TOO_LONG, f"{len(data)} bytes, {MAX_AUDIO_SIDE_INFO} allowed"
            )
        if transport is None or transport.audio is None:
            raise PublishError(ErrorCode.PUBLISH_FAILED, "no sound is being published")
        self._take("audio")
        if self._audio is None:
            self._audio = _writer()
            transport.carry(None, self._audio)
        self._audio.put(bytes(data))

    def _take(self, kind: str) -> None:
        wait = self._rates[kind].take(time.monotonic())
        if wait > 0:
            raise RateLimited(
                ErrorCode.RATE_LIMITED_SIGNALLING,
                f"more than {PER_SECOND} pieces of data a second",
                retry_after=wait,
            )


def _writer() -> SideDataWriter:
    from sanderling.sdk.webrtc.side_data import SideDataWriter

    return SideDataWriter()

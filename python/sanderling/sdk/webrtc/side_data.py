"""Hooks into the engine between encoder and network: data goes into pictures and sound here, and comes out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import webrtc

from sanderling.sdk.side_data import embed, embed_in_opus, extract, extract_from_opus

__all__ = ["SideDataReader", "SideDataWriter"]

log = logging.getLogger("sanderling.sdk")

Frame = webrtc.RTCEncodedVideoFrame | webrtc.RTCEncodedAudioFrame

WAITING = 10
"""Pieces that wait for a picture or a packet of sound (product-facts 1.11); the oldest goes when there are more."""


class SideDataWriter:
    """Puts what was given to ``put`` into what a sender encodes."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=WAITING)

    def attach(self, sender: webrtc.RTCRtpSender) -> None:
        """Work for ``sender`` from now on. A video sender that is at work begins anew with a key frame."""
        sender.transform = webrtc.RTCRtpScriptTransform(self._run)

    def put(self, data: bytes, captured_ns: int = 0) -> None:
        """Send ``data`` with the next picture or sound, or with the first captured at ``captured_ns`` or later."""
        self._waiting.append((captured_ns // 1000, data))

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._carry)

    def _carry(self, frame: Frame) -> None:
        if not self._waiting:
            return
        before = bytes(frame.data)
        if isinstance(frame, webrtc.RTCEncodedAudioFrame):
            after = embed_in_opus(before, self._waiting[0][1])
            if after != before:
                self._waiting.popleft()
                frame.data = after
            return
        about = frame.get_metadata()
        captured_us = about.timestamp or 0
        due = [data for after_us, data in self._waiting if after_us <= captured_us]
        if due:
            self._waiting = deque(
                (entry for entry in self._waiting if entry[0] > captured_us), maxlen=WAITING
            )
            frame.data = embed(before, due, about.mime_type or "")


class SideDataReader:
    """Takes data out of what a receiver gets, before it is decoded. ``deliver``: RTP timestamp and data."""

    def __init__(self, receiver: webrtc.RTCRtpReceiver, deliver: Callable[[int, bytes], None]) -> None:
        self._receiver = receiver
        self._deliver = deliver
        receiver.transform = webrtc.RTCRtpScriptTransform(self._run)

    def close(self) -> None:
        """Let everything pass as it is."""
        self._receiver.transform = None

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._take)

    def _take(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if isinstance(frame, webrtc.RTCEncodedAudioFrame):
            piece = extract_from_opus(data)
            if piece is not None:
                self._deliver(frame.get_metadata().rtp_timestamp or 0, piece)
            return
        about = frame.get_metadata()
        picture, pieces = extract(data, about.mime_type or "")
        if len(picture) != len(data):
            frame.data = picture
        for piece in pieces:
            self._deliver(about.rtp_timestamp or 0, piece)


async def _each(event: webrtc.RTCTransformEvent, work: Callable[[Frame], None]) -> None:
    """Pass everything on, after ``work``; that on which it fails passes as it is."""
    reader = event.transformer.readable.get_reader()
    writer = event.transformer.writable.get_writer()
    while True:
        try:
            result = await reader.read()
            frame = result.value
            if result.done or frame is None:
                return
            try:
                work(frame)
            except Exception:
                log.exception("side data failed")
            await writer.write(frame)
        except webrtc.InvalidStateError:
            return  # taken off its sender or receiver

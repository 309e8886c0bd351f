"""Hooks into the engine between encoder and network: data goes into pictures here, and comes out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import webrtc

from sanderling.sdk.side_data import embed, extract

__all__ = ["SideDataReader", "SideDataWriter"]

log = logging.getLogger("sanderling.sdk")

F = TypeVar("F")

WAITING = 10
"""Pieces that wait for a picture (product-facts 1.11); the oldest goes when there are more."""


class SideDataWriter:
    """Puts what was given to ``put`` into the pictures that a sender encodes."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=WAITING)
        self._sender: webrtc.RTCRtpSender | None = None

    def attach(self, sender: webrtc.RTCRtpSender) -> None:
        """Work for ``sender`` from now on. One that is sending already begins anew with a key frame."""
        self._sender = sender
        sender.transform = webrtc.RTCRtpScriptTransform(self._run)

    def put(self, data: bytes, captured_ns: int = 0) -> None:
        """Send ``data`` with the next picture, or with the first one captured at ``captured_ns`` or later."""
        self._waiting.append((captured_ns // 1000, data))

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._carry)

    def _carry(self, frame: webrtc.RTCEncodedVideoFrame) -> None:
        if not self._waiting:
            return
        about = frame.get_metadata()
        captured_us = about.timestamp or 0
        due = [data for after_us, data in self._waiting if after_us <= captured_us]
        if due:
            self._waiting = deque(
                (entry for entry in self._waiting if entry[0] > captured_us), maxlen=WAITING
            )
            frame.data = embed(bytes(frame.data), due, about.mime_type or "")


class SideDataReader:
    """Takes data out of the pictures that a receiver gets, before they are decoded."""

    def __init__(self, receiver: webrtc.RTCRtpReceiver, deliver: Callable[[int, bytes], None]) -> None:
        self._receiver = receiver
        self._deliver = deliver
        receiver.transform = webrtc.RTCRtpScriptTransform(self._run)

    def close(self) -> None:
        """Let pictures pass as they are."""
        self._receiver.transform = None

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._take)

    def _take(self, frame: webrtc.RTCEncodedVideoFrame) -> None:
        about = frame.get_metadata()
        data = bytes(frame.data)
        picture, pieces = extract(data, about.mime_type or "")
        if len(picture) != len(data):
            frame.data = picture
        for piece in pieces:
            self._deliver(about.rtp_timestamp or 0, piece)


async def _each(event: webrtc.RTCTransformEvent, work: Callable[[webrtc.RTCEncodedVideoFrame], None]) -> None:
    """Pass every picture on, after ``work``; one on which it fails passes as it is."""
    reader = event.transformer.readable.get_reader()
    writer = event.transformer.writable.get_writer()
    while True:
        try:
            result = await reader.read()
            if result.done:
                return
            frame = result.value
            if isinstance(frame, webrtc.RTCEncodedVideoFrame):
                try:
                    work(frame)
                except Exception:
                    log.exception("side data failed")
            await writer.write(frame)
        except webrtc.InvalidStateError:
            return  # taken off its sender or receiver

"""Hooks into the engine between encoder and network: data goes into pictures and sound here and comes out, and they are
sealed for those who have the key.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import webrtc

from sanderling.sdk.side_data import OPUS, embed, embed_in_opus, extract, extract_from_opus

__all__ = ["Open", "Seal", "SideDataReader", "SideDataWriter"]

log = logging.getLogger("sanderling.sdk")

Frame = webrtc.RTCEncodedVideoFrame | webrtc.RTCEncodedAudioFrame

Seal = Callable[[bytes, str], bytes]
"""Makes of an encoded frame and its codec what is sent in its place."""

Open = Callable[[bytes, str, int], bytes | None]
"""Makes of a received frame, its codec and RTP timestamp the encoded frame; None: it cannot be."""

WAITING = 10
"""Pieces that wait for a picture or a packet of sound (product-facts 1.11); the oldest goes when there are more."""


class SideDataWriter:
    """Puts what was given to ``put`` into what a sender encodes, then has ``seal`` seal it.

    A frame that cannot be sealed is not sent.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=WAITING)
        self.seal: Seal | None = None

    def attach(self, sender: webrtc.RTCRtpSender) -> None:
        """Work for ``sender`` from now on. A video sender that is at work begins anew with a key frame."""
        sender.transform = webrtc.RTCRtpScriptTransform(self._run)

    def put(self, data: bytes, captured_ns: int = 0) -> None:
        """Send ``data`` with the next picture or sound, or with the first captured at ``captured_ns`` or later."""
        self._waiting.append((captured_ns // 1000, data))

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._work)

    def _work(self, frame: Frame) -> bool:
        try:
            self._carry(frame)
        except Exception:
            log.exception("side data failed")
        if self.seal is None:
            return True
        try:
            frame.data = self.seal(bytes(frame.data), _codec(frame))
        except Exception:
            log.exception("a frame could not be encrypted and was not sent")
            return False
        return True

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
    """Takes data out of what a receiver gets, before it is decoded. ``deliver``: RTP timestamp and data.

    ``open_frame`` opens each frame before that; the decoder does not see one that it cannot open.
    """

    def __init__(
        self,
        receiver: webrtc.RTCRtpReceiver,
        deliver: Callable[[int, bytes], None] | None,
        open_frame: Open | None = None,
    ) -> None:
        self._receiver = receiver
        self._deliver = deliver
        self._open = open_frame
        receiver.transform = webrtc.RTCRtpScriptTransform(self._run)

    def close(self) -> None:
        """Let everything pass as it is."""
        self._receiver.transform = None

    async def _run(self, event: webrtc.RTCTransformEvent) -> None:
        await _each(event, self._work)

    def _work(self, frame: Frame) -> bool:
        if self._open is not None:
            try:
                about = frame.get_metadata()
                opened = self._open(bytes(frame.data), _codec(frame), about.rtp_timestamp or 0)
            except Exception:
                log.exception("a frame could not be decrypted")
                return False
            if opened is None:
                return False
            frame.data = opened
        if self._deliver is not None:
            try:
                self._take(frame, self._deliver)
            except Exception:
                log.exception("side data failed")
        return True

    def _take(self, frame: Frame, deliver: Callable[[int, bytes], None]) -> None:
        data = bytes(frame.data)
        if isinstance(frame, webrtc.RTCEncodedAudioFrame):
            piece = extract_from_opus(data)
            if piece is not None:
                deliver(frame.get_metadata().rtp_timestamp or 0, piece)
            return
        about = frame.get_metadata()
        picture, pieces = extract(data, about.mime_type or "")
        if len(picture) != len(data):
            frame.data = picture
        for piece in pieces:
            deliver(about.rtp_timestamp or 0, piece)


def _codec(frame: Frame) -> str:
    """The codec as a MIME type."""
    if isinstance(frame, webrtc.RTCEncodedAudioFrame):
        return OPUS  # the only one that is ever offered
    return frame.get_metadata().mime_type or ""


async def _each(event: webrtc.RTCTransformEvent, work: Callable[[Frame], bool]) -> None:
    """Pass on what ``work`` wants to have passed on."""
    reader = event.transformer.readable.get_reader()
    writer = event.transformer.writable.get_writer()
    while True:
        try:
            result = await reader.read()
            frame = result.value
            if result.done or frame is None:
                return
            if work(frame):
                await writer.write(frame)
        except webrtc.InvalidStateError:
            return  # taken off its sender or receiver

"""The transport that takes streams out: receive-only, made at login with a pool of slots (architecture section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import webrtc

from sanderling.errors import ErrorCode, MediaUnavailable
from sanderling.sdk.config import VideoCodec
from sanderling.sdk.quality import Counters
from sanderling.sdk.webrtc.sdp import with_fmtp
from sanderling.sdk.webrtc.side_data import Open, SideDataReader
from sanderling.sdk.webrtc.transport import StateHandler, Transport, codecs_of
from sanderling.signaling.messages import IceServer

__all__ = ["FIRST_SLOTS", "MAX_SLOTS", "ViewerTransport"]

FIRST_SLOTS = 2
MAX_SLOTS = 16
"""Pairs of an audio and a video media section; an offer of 16 pairs is 95 kB."""


class ViewerTransport(Transport):
    """Pairs of audio and video sections in the order a, v, a, v, ...; pair i is slot i."""

    def __init__(
        self, codecs: tuple[VideoCodec, ...], on_state: StateHandler, *, slots: int = FIRST_SLOTS
    ) -> None:
        super().__init__(on_state)
        self._codecs: list[webrtc.RTCRtpCodec] = []
        self._lock = asyncio.Lock()
        if codecs:
            self._codecs = codecs_of(webrtc.RTCRtpReceiver.get_capabilities("video"), codecs)
            if not self._codecs:
                self.close()
                raise MediaUnavailable(
                    ErrorCode.DECODER_UNSUPPORTED,
                    f"this machine decodes none of {', '.join(codec.value for codec in codecs)}",
                    hint="leave EngineProfile.video_codecs empty",
                )
        self._slots = 0
        self._add_slots(_pool(slots))

    @property
    def slots(self) -> int:
        """Slots that are negotiated or being negotiated."""
        return self._slots

    async def offer(self) -> str:
        """The first offer, for the login."""
        return await self.make_offer(_edit, hold=True)

    async def accept(self, answer: str, ice_servers: Sequence[IceServer] = ()) -> None:
        """Set the answer of the login, with the TURN servers it names."""
        async with self._lock:
            await self.set_answer(answer, ice_servers)

    async def grow(self, needed: int, negotiate: Callable[[str], Awaitable[str]]) -> None:
        """Double the pool until it has ``needed`` slots or :data:`MAX_SLOTS`; ``negotiate`` trades offer for answer."""
        async with self._lock:
            wanted = _pool(needed, self._slots)
            if wanted == self._slots:
                return
            self._add_slots(wanted - self._slots)
            await self.set_answer(await negotiate(await self.make_offer(_edit)))

    def track(self, mid: str) -> webrtc.MediaStreamTrack | None:
        """The track of the media section ``mid``."""
        receiver = self._receiver(mid)
        return receiver.track if receiver is not None else None

    def read_side_data(
        self, mid: str, deliver: Callable[[int, bytes], None] | None, open_frame: Open | None = None
    ) -> SideDataReader | None:
        """Hand over what is inside the frames of the media section ``mid``, with their RTP timestamps, and have them
        opened before.
        """
        receiver = self._receiver(mid)
        return SideDataReader(receiver, deliver, open_frame) if receiver is not None else None

    def _receiver(self, mid: str) -> webrtc.RTCRtpReceiver | None:
        for transceiver in self.connection.get_transceivers():
            if transceiver.mid == mid:
                return transceiver.receiver
        return None

    async def track_counters(self, video_mid: str, audio_mid: str) -> tuple[Counters, Counters]:
        """Counters of the two media sections; empty where there is none."""
        counters = await self.counters()
        return counters.get(video_mid or "-", {}), counters.get(audio_mid or "-", {})

    def _add_slots(self, count: int) -> None:
        for _ in range(count):
            for kind in (webrtc.MediaType.audio, webrtc.MediaType.video):
                transceiver = self.connection.add_transceiver(
                    kind, webrtc.RTCRtpTransceiverInit(direction="recvonly")
                )
                if kind is webrtc.MediaType.video and self._codecs:
                    transceiver.set_codec_preferences(self._codecs)
                self.enable_extensions(transceiver)
                # Shown as soon as decoded: the jitter buffer adds only what the link makes it add.
                transceiver.receiver.jitter_buffer_target = 0.0
            self._slots += 1


def _pool(needed: int, size: int = FIRST_SLOTS) -> int:
    """The pool that has ``needed`` slots when it grows from ``size`` by doubling."""
    while size < min(needed, MAX_SLOTS):
        size = min(size * 2, MAX_SLOTS)
    return size


def _edit(sdp: str) -> str:
    return with_fmtp(sdp, "opus", {"stereo": "1", "sprop-stereo": "1"})

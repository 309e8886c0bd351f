"""One peer connection: offer, answer, its state, its counters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import webrtc

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.config import VideoCodec
from sanderling.sdk.quality import Counters
from sanderling.sdk.webrtc import runtime
from sanderling.signaling.messages import IceServer

__all__ = ["Transport", "codecs_of"]

log = logging.getLogger("sanderling.sdk")

WANTED_EXTENSIONS = (
    # Not in the engine's default offer; capture time gives delays, the descriptor lets a server drop AV1 layers.
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
)

StateHandler = Callable[[str, SanderlingError | None], None]
"""Called with "connected", "in doubt" after 5 seconds of silence, or "failed" and why."""

_COUNTERS = (
    "packets_received", "packets_lost", "bytes_received", "frames_received", "frames_decoded", "frames_dropped",
    "frame_width", "frame_height", "jitter_buffer_delay", "jitter_buffer_emitted_count", "total_samples_received",
    "concealed_samples", "silent_concealed_samples", "pli_count", "fir_count", "bytes_sent", "packets_sent",
    "frames_sent", "frames_encoded", "concealment_events", "estimated_playout_timestamp", "target_bitrate",
    "power_efficient_encoder", "power_efficient_decoder",
)  # fmt: skip


def codecs_of(
    capabilities: webrtc.RTCRtpCapabilities | None, wanted: Iterable[VideoCodec]
) -> list[webrtc.RTCRtpCodec]:
    """``wanted`` codecs in that order with their retransmission, without RED and ULPFEC; [] when none is there.

    RED and ULPFEC double the delay of a loss instead of repairing it; FlexFEC stays.
    """
    if capabilities is None:
        return []
    codecs = [
        codec for name in wanted for codec in capabilities.codecs if codec.mime_type == f"video/{name.value}"
    ]
    if not codecs:
        return []
    repair = [c for c in capabilities.codecs if c.mime_type.lower() in ("video/rtx", "video/flexfec-03")]
    return codecs + repair


class Transport:
    """Base of the publisher's and the viewer's transport."""

    def __init__(self, on_state: StateHandler, *, ice_servers: Sequence[IceServer] = ()) -> None:
        runtime.load()
        self._on_state = on_state
        self._closed = False
        self._gathered = 0
        self._held = ""
        self.connection = webrtc.RTCPeerConnection(_configuration(ice_servers))
        self.connection.on("connectionstatechange", self._state_changed)
        self.connection.on("icecandidate", self._candidate)
        self.connection.on("icegatheringstatechange", self._gathering_changed)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return not self._closed and self.connection.connection_state.value == "connected"

    async def make_offer(self, edit: Callable[[str], str], *, hold: bool = False) -> str:
        """A new offer, set here after ``edit``; returned before candidates are gathered (the server needs none).

        ``hold``: set it only with the answer. An offer that is made before the login is answered needs that, because
        candidates are gathered when it is set, and only the login's answer names the TURN servers.
        """
        offer = await self.connection.create_offer()
        self._held = edit(offer.sdp)
        sdp = self._held
        if not hold:
            await self._release_offer()
        return sdp

    async def _release_offer(self) -> None:
        sdp, self._held = self._held, ""
        if sdp:
            await self.connection.set_local_description(webrtc.RTCSessionDescriptionInit("offer", sdp))

    async def set_answer(self, sdp: str, ice_servers: Sequence[IceServer] = ()) -> None:
        """Set the server's answer; 1000099 when the engine refuses it. ``ice_servers`` matter to an offer on hold."""
        try:
            if self._held:
                if ice_servers:
                    self.connection.set_configuration(_configuration(ice_servers))
                await self._release_offer()
            await self.connection.set_remote_description(webrtc.RTCSessionDescriptionInit("answer", sdp))
        except (webrtc.RTCException, TypeError, ValueError) as error:
            if self._closed:
                raise asyncio.CancelledError from None
            raise SanderlingError(
                ErrorCode.INTERNAL_ERROR, f"the server's answer cannot be used: {error}"
            ) from None

    def enable_extensions(self, transceiver: webrtc.RTCRtpTransceiver) -> None:
        """Offer the header extensions that are off by default."""
        extensions = transceiver.get_header_extensions_to_negotiate()
        for extension in extensions:
            if extension.uri in WANTED_EXTENSIONS:
                extension.direction = webrtc.RTCRtpTransceiverDirection.sendrecv
        transceiver.set_header_extensions_to_negotiate(extensions)

    async def counters(self) -> dict[str, Counters]:
        """Counters by mid, of every track that carries media."""
        if self._closed:
            return {}
        report = await self.connection.get_stats()
        codecs = {s.id: s.mime_type for s in report.values() if isinstance(s, webrtc.RTCCodecStats)}
        by_mid: dict[str, Counters] = {}
        round_trip = 0.0
        for stats in report.values():
            if isinstance(stats, webrtc.RTCIceCandidatePairStats) and stats.nominated:
                round_trip = stats.current_round_trip_time or 0.0
        for stats in report.values():
            if not isinstance(stats, webrtc.RTCInboundRtpStreamStats | webrtc.RTCOutboundRtpStreamStats):
                continue
            counters: Counters = {"time_ms": stats.timestamp, "round_trip_time": round_trip}
            for name in _COUNTERS:
                value = getattr(stats, name, None)
                if value is not None:
                    counters[name] = float(value)
            counters["codec"] = codecs.get(stats.codec_id or "", "").partition("/")[2]
            if isinstance(stats, webrtc.RTCOutboundRtpStreamStats):
                _add_remote(counters, stats, report)
            by_mid[stats.mid or ""] = counters
        return by_mid

    def close(self) -> None:
        """Close the connection; nothing is reported after it. Idempotent."""
        if not self._closed:
            self._closed = True
            self.connection.off()
            self.connection.close()

    def _state_changed(self, _event: webrtc.Event) -> None:
        if self._closed:
            return
        state = str(self.connection.connection_state.value)
        if state == "connected":
            self._on_state("connected", None)
        elif state == "disconnected":
            self._on_state("in doubt", None)
        elif state == "failed":
            self._on_state("failed", None)

    def _candidate(self, event: webrtc.RTCPeerConnectionIceEvent) -> None:
        if event.candidate is not None and event.candidate.candidate:
            self._gathered += 1

    def _gathering_changed(self, _event: webrtc.Event) -> None:
        if self._closed or self.connection.ice_gathering_state.value != "complete" or self._gathered:
            return
        self._on_state("failed", runtime.no_candidates())


def _configuration(servers: Sequence[IceServer] = ()) -> webrtc.RTCConfiguration:
    ice_servers = [
        webrtc.RTCIceServer(list(server.urls), server.username or None, server.credential or None)
        for server in servers
    ]
    return webrtc.RTCConfiguration(bundle_policy="max-bundle", ice_servers=ice_servers)


def _add_remote(
    counters: Counters, stats: webrtc.RTCOutboundRtpStreamStats, report: webrtc.RTCStatsReport
) -> None:
    """What the far end reported about a sent track, and what limits it."""
    remote = report.get(stats.remote_id or "")
    if isinstance(remote, webrtc.RTCRemoteInboundRtpStreamStats):
        counters["fraction_lost"] = remote.fraction_lost or 0.0
        if remote.round_trip_time is not None:
            counters["round_trip_time"] = remote.round_trip_time
    source = report.get(stats.media_source_id or "")
    if isinstance(source, webrtc.RTCVideoSourceStats):
        counters["frames_captured"] = float(source.frames or 0)
    elif isinstance(source, webrtc.RTCAudioSourceStats):
        counters["captured_seconds"] = float(source.total_samples_duration or 0)
    reason = stats.quality_limitation_reason
    if reason is not None:
        counters["limited_by"] = str(getattr(reason, "value", reason))

"""Figures of a published or played stream, computed from two snapshots of counters."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.enums import StreamQualityLevel

__all__ = [
    "FREEZE_NS",
    "Counters",
    "GapMeter",
    "PlayQuality",
    "PublishQuality",
    "network_level",
    "play_quality",
    "publish_quality",
]

FREEZE_NS = 500_000_000
"""A gap between two pictures above this is a freeze (product-facts 1.4: a break lasts over 500 ms)."""

Counters = dict[str, float | str]
"""Named counters of one track at one moment; ``time_ms`` is always there."""


@dataclass(frozen=True, slots=True)
class PublishQuality:
    """How a published stream does. Rates are over the last interval, ``total_*`` and counts since the start."""

    video_capture_fps: float = 0.0
    video_encode_fps: float = 0.0
    video_send_fps: float = 0.0
    video_kbps: float = 0.0
    audio_kbps: float = 0.0
    rtt_ms: float = 0.0
    packet_lost_rate: float = 0.0
    """0.0 to 1.0, as the server reported last."""
    width: int = 0
    height: int = 0
    frames_sent: int = 0
    video_codec: str = ""
    limited_by: str = "none"
    """What holds the picture quality down: "none", "cpu", "bandwidth" or "other"."""
    total_send_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlayQuality:
    """How a played stream does. Rates are over the last interval, counts and totals since the play began."""

    video_recv_fps: float = 0.0
    video_decode_fps: float = 0.0
    video_render_fps: float = 0.0
    """Pictures per second that reached this program."""
    video_kbps: float = 0.0
    audio_kbps: float = 0.0
    packets_lost: int = 0
    packet_lost_rate: float = 0.0
    rtt_ms: float = 0.0
    jitter_buffer_ms: float = 0.0
    """Mean time a picture waited in the jitter buffer."""
    audio_jitter_buffer_ms: float = 0.0
    frames_received: int = 0
    frames_decoded: int = 0
    frames_dropped: int = 0
    freeze_count: int = 0
    """Gaps of more than 500 ms between pictures."""
    freeze_ms: float = 0.0
    audio_received_ms: float = 0.0
    concealed_ratio: float = 0.0
    """Share of the played sound that was made up for lost packets, 0.0 to 1.0 (silence not counted)."""
    width: int = 0
    height: int = 0
    video_codec: str = ""
    key_frame_requests: int = 0
    total_recv_bytes: int = 0


class GapMeter:
    """Counts gaps between pictures."""

    def __init__(self) -> None:
        self.frames = 0
        self.freezes = 0
        self.frozen_ns = 0
        self._last_ns: int | None = None

    def frame(self, now_ns: int) -> None:
        """A picture arrived at ``now_ns`` (monotonic)."""
        self.frames += 1
        if self._last_ns is not None and now_ns - self._last_ns > FREEZE_NS:
            self.freezes += 1
            self.frozen_ns += now_ns - self._last_ns
        self._last_ns = now_ns


_LEVELS = (
    # Round trip in ms and share of packets lost up to which a network is of that level. The product does not publish
    # its own: these are where calls begin to suffer (ITU-T G.114: 400 ms mouth to ear) and where repair ends.
    (100.0, 0.02, StreamQualityLevel.EXCELLENT),
    (250.0, 0.08, StreamQualityLevel.GOOD),
    (500.0, 0.20, StreamQualityLevel.MEDIUM),
    (2000.0, 0.60, StreamQualityLevel.BAD),
)


def network_level(rtt_ms: float, loss: float) -> StreamQualityLevel:
    """How good a network with that round trip (ms) and share of lost packets (0.0 to 1.0) is."""
    for longest, most, level in _LEVELS:
        if rtt_ms <= longest and loss <= most:
            return level
    return StreamQualityLevel.DIE


def _number(counters: Counters, name: str) -> float:
    value = counters.get(name, 0.0)
    return value if isinstance(value, float | int) else 0.0


def _rate(new: Counters, old: Counters, name: str) -> float:
    """Increase of ``name`` per second; 0 when there is nothing to compare with."""
    if "time_ms" not in old:
        return 0.0
    seconds = (_number(new, "time_ms") - _number(old, "time_ms")) / 1000
    return max(0.0, _number(new, name) - _number(old, name)) / seconds if seconds > 0 else 0.0


def _mean_ms(new: Counters, old: Counters, total: str, count: str) -> float:
    increase = _number(new, count) - _number(old, count)
    return (_number(new, total) - _number(old, total)) * 1000 / increase if increase > 0 else 0.0


def publish_quality(
    video: Counters, audio: Counters, before_video: Counters, before_audio: Counters
) -> PublishQuality:
    """Figures of the interval between two snapshots of a publisher's tracks (empty = no such track)."""
    return PublishQuality(
        video_capture_fps=_rate(video, before_video, "frames_captured"),
        video_encode_fps=_rate(video, before_video, "frames_encoded"),
        video_send_fps=_rate(video, before_video, "frames_sent"),
        video_kbps=_rate(video, before_video, "bytes_sent") * 8 / 1000,
        audio_kbps=_rate(audio, before_audio, "bytes_sent") * 8 / 1000,
        rtt_ms=max(_number(video, "round_trip_time"), _number(audio, "round_trip_time")) * 1000,
        packet_lost_rate=max(_number(video, "fraction_lost"), _number(audio, "fraction_lost")),
        width=int(_number(video, "frame_width")),
        height=int(_number(video, "frame_height")),
        frames_sent=int(_number(video, "frames_sent")),
        video_codec=str(video.get("codec", "")),
        limited_by=str(video.get("limited_by", "none")),
        total_send_bytes=int(_number(video, "bytes_sent") + _number(audio, "bytes_sent")),
    )


def play_quality(
    video: Counters, audio: Counters, before_video: Counters, before_audio: Counters, gaps: GapMeter
) -> PlayQuality:
    """Figures of the interval between two snapshots of a player's tracks (empty = no such track)."""
    lost = _number(video, "packets_lost") + _number(audio, "packets_lost")
    received = _number(video, "packets_received") + _number(audio, "packets_received")
    samples = _number(audio, "total_samples_received")
    concealed = _number(audio, "concealed_samples") - _number(audio, "silent_concealed_samples")
    return PlayQuality(
        video_recv_fps=_rate(video, before_video, "frames_received"),
        video_decode_fps=_rate(video, before_video, "frames_decoded"),
        video_render_fps=_rate(video, before_video, "frames_delivered"),
        video_kbps=_rate(video, before_video, "bytes_received") * 8 / 1000,
        audio_kbps=_rate(audio, before_audio, "bytes_received") * 8 / 1000,
        packets_lost=int(max(0.0, lost)),
        packet_lost_rate=max(0.0, lost) / (received + max(0.0, lost)) if received else 0.0,
        rtt_ms=max(_number(video, "round_trip_time"), _number(audio, "round_trip_time")) * 1000,
        jitter_buffer_ms=_mean_ms(video, before_video, "jitter_buffer_delay", "jitter_buffer_emitted_count"),
        audio_jitter_buffer_ms=_mean_ms(
            audio, before_audio, "jitter_buffer_delay", "jitter_buffer_emitted_count"
        ),
        frames_received=int(_number(video, "frames_received")),
        frames_decoded=int(_number(video, "frames_decoded")),
        frames_dropped=int(_number(video, "frames_dropped")),
        freeze_count=gaps.freezes,
        freeze_ms=gaps.frozen_ns / 1e6,
        audio_received_ms=max(0.0, samples - _number(audio, "concealed_samples")) / 48,
        concealed_ratio=min(1.0, max(0.0, concealed) / samples) if samples > 0 else 0.0,
        width=int(_number(video, "frame_width")),
        height=int(_number(video, "frame_height")),
        video_codec=str(video.get("codec", "")),
        key_frame_requests=int(_number(video, "pli_count") + _number(video, "fir_count")),
        total_recv_bytes=int(_number(video, "bytes_received") + _number(audio, "bytes_received")),
    )

"""Figures of a published or played stream, computed from two snapshots of counters."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sanderling.enums import StreamQualityLevel

__all__ = [
    "FREEZE_NS",
    "Counters",
    "GapMeter",
    "PlayQuality",
    "PublishQuality",
    "Upstream",
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
    video_send_bytes: int = 0
    audio_send_bytes: int = 0
    audio_capture_fps: float = 0.0
    """Blocks of 10 ms of sound per second that the source delivered."""
    audio_send_fps: float = 0.0
    """Packets of sound per second."""
    level: StreamQualityLevel = StreamQualityLevel.UNKNOWN
    is_hardware_encode: bool = False
    video_target_kbps: float = 0.0
    """What the bandwidth estimation allows the picture at present."""


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
    video_recv_bytes: int = 0
    audio_recv_bytes: int = 0
    video_dejitter_fps: float = 0.0
    """Pictures per second that left the jitter buffer."""
    video_break_rate: float = 0.0
    """Share of the interval in which the picture stood still for more than 500 ms, 0.0 to 1.0."""
    video_decode_ms: float = 0.0
    """Time the picture has run in this play."""
    audio_recv_fps: float = 0.0
    """Packets of sound per second."""
    audio_dejitter_fps: float = 0.0
    """Blocks of 10 ms per second that left the jitter buffer."""
    audio_decode_fps: float = 0.0
    """Of these, blocks that were decoded and not made up."""
    audio_render_fps: float = 0.0
    """Blocks of 10 ms per second that were played."""
    audio_break_rate: float = 0.0
    """Share of the interval's sound that was made up, 0.0 to 1.0."""
    audio_break_count: int = 0
    audio_break_ms: float = 0.0
    """Sound made up for lost packets since the play began."""
    mos: float = -1.0
    """Estimated mean opinion score of the sound, 1 to 5 (ITU-T G.107 simplified); -1 = unknown."""
    delay_ms: float = 0.0
    """Time the media waits here after it was received: the longer of both jitter buffers."""
    peer_to_peer_delay_ms: float = 0.0
    """Half of both round trips, the publisher's and this one's to the server, and the wait here. Without the
    publisher's part until it has told of it, which our SDKs do every 2 seconds."""
    peer_to_peer_packet_lost_rate: float = 0.0
    """Share of packets lost on the way from the publisher, 0.0 to 1.0: before the server and behind it."""
    level: StreamQualityLevel = StreamQualityLevel.UNKNOWN
    av_timestamp_diff_ms: float = 0.0
    """How far the sound is ahead of the picture; negative = the picture is ahead."""
    is_hardware_decode: bool = False
    mute_video: bool = False
    mute_audio: bool = False
    """What the publisher says of its camera and microphone."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a publisher says of its way to the server."""

    rtt_ms: float = 0.0
    loss: float = 0.0

    def added_to(self, quality: PlayQuality) -> PlayQuality:
        """Figures of a play that begin at the publisher."""
        arrived = (1 - self.loss) * (1 - quality.peer_to_peer_packet_lost_rate)
        return replace(
            quality,
            peer_to_peer_delay_ms=quality.peer_to_peer_delay_ms + self.rtt_ms / 2,
            peer_to_peer_packet_lost_rate=1 - arrived,
        )


class GapMeter:
    """Counts gaps between pictures."""

    def __init__(self) -> None:
        self.frames = 0
        self.freezes = 0
        self.frozen_ns = 0
        self.running_ns = 0
        self._last_ns: int | None = None

    def frame(self, now_ns: int) -> None:
        """A picture arrived at ``now_ns`` (monotonic)."""
        self.frames += 1
        if self._last_ns is not None and now_ns - self._last_ns > FREEZE_NS:
            self.freezes += 1
            self.frozen_ns += now_ns - self._last_ns
        elif self._last_ns is not None:
            self.running_ns += now_ns - self._last_ns
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


def _concealed(audio: Counters) -> float:
    """Samples made up for lost sound; silence does not count."""
    return _number(audio, "concealed_samples") - _number(audio, "silent_concealed_samples")


def _mean_ms(new: Counters, old: Counters, total: str, count: str) -> float:
    increase = _number(new, count) - _number(old, count)
    return (_number(new, total) - _number(old, total)) * 1000 / increase if increase > 0 else 0.0


def _opinion(rtt_ms: float, buffered_ms: float, loss: float) -> float:
    """Mean opinion score of speech from one-way delay (ms) and loss (0.0 to 1.0).

    The E-model of ITU-T G.107 with its defaults, delay impairment as in its simplified form, and a robustness to loss
    of Opus with in-band repair (Bpl 20, Ie 0).
    """
    delay = rtt_ms / 2 + buffered_ms
    impairment = 0.024 * delay + (0.11 * (delay - 177.3) if delay > 177.3 else 0.0)
    percent = loss * 100
    rating = 93.2 - impairment - 95.0 * percent / (percent + 20.0)
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6


def publish_quality(
    video: Counters, audio: Counters, before_video: Counters, before_audio: Counters
) -> PublishQuality:
    """Figures of the interval between two snapshots of a publisher's tracks (empty = no such track)."""
    rtt_ms = max(_number(video, "round_trip_time"), _number(audio, "round_trip_time")) * 1000
    loss = max(_number(video, "fraction_lost"), _number(audio, "fraction_lost"))
    measured = "round_trip_time" in video or "round_trip_time" in audio
    return PublishQuality(
        video_send_bytes=int(_number(video, "bytes_sent")),
        audio_send_bytes=int(_number(audio, "bytes_sent")),
        audio_capture_fps=_rate(audio, before_audio, "captured_seconds") * 100,
        audio_send_fps=_rate(audio, before_audio, "packets_sent"),
        level=network_level(rtt_ms, loss) if measured else StreamQualityLevel.UNKNOWN,
        is_hardware_encode=_number(video, "power_efficient_encoder") > 0,
        video_target_kbps=_number(video, "target_bitrate") / 1000,
        video_capture_fps=_rate(video, before_video, "frames_captured"),
        video_encode_fps=_rate(video, before_video, "frames_encoded"),
        video_send_fps=_rate(video, before_video, "frames_sent"),
        video_kbps=_rate(video, before_video, "bytes_sent") * 8 / 1000,
        audio_kbps=_rate(audio, before_audio, "bytes_sent") * 8 / 1000,
        rtt_ms=rtt_ms,
        packet_lost_rate=loss,
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
    concealed = _concealed(audio)
    made_up = max(0.0, concealed - _concealed(before_audio))
    new_samples = max(0.0, samples - _number(before_audio, "total_samples_received"))
    recent_lost = max(
        0.0, lost - _number(before_video, "packets_lost") - _number(before_audio, "packets_lost")
    )
    recent = received - _number(before_video, "packets_received") - _number(before_audio, "packets_received")
    recent_loss = recent_lost / (recent + recent_lost) if recent + recent_lost > 0 else 0.0
    rtt_ms = max(_number(video, "round_trip_time"), _number(audio, "round_trip_time")) * 1000
    buffered = ("jitter_buffer_delay", "jitter_buffer_emitted_count")
    video_wait, audio_wait = (
        _mean_ms(video, before_video, *buffered),
        _mean_ms(audio, before_audio, *buffered),
    )
    audio_break_rate = min(1.0, made_up / new_samples) if new_samples else 0.0
    dejittered = _rate(audio, before_audio, "jitter_buffer_emitted_count") / 480
    playout = (_number(audio, "estimated_playout_timestamp"), _number(video, "estimated_playout_timestamp"))
    return PlayQuality(
        video_recv_bytes=int(_number(video, "bytes_received")),
        audio_recv_bytes=int(_number(audio, "bytes_received")),
        video_dejitter_fps=_rate(video, before_video, "jitter_buffer_emitted_count"),
        video_break_rate=min(1.0, _rate(video, before_video, "frozen_ms") / 1000),
        video_decode_ms=_number(video, "running_ms"),
        audio_recv_fps=_rate(audio, before_audio, "packets_received"),
        audio_dejitter_fps=dejittered,
        audio_decode_fps=dejittered * (1 - audio_break_rate),
        audio_render_fps=_rate(audio, before_audio, "total_samples_received") / 480,
        audio_break_rate=audio_break_rate,
        audio_break_count=int(_number(audio, "concealment_events")),
        audio_break_ms=max(0.0, concealed) / 48,
        mos=_opinion(rtt_ms, audio_wait, audio_break_rate) if new_samples else -1.0,
        delay_ms=max(video_wait, audio_wait),
        peer_to_peer_delay_ms=rtt_ms / 2 + max(video_wait, audio_wait),
        peer_to_peer_packet_lost_rate=recent_loss,
        level=network_level(rtt_ms, recent_loss) if recent > 0 else StreamQualityLevel.UNKNOWN,
        av_timestamp_diff_ms=playout[0] - playout[1] if all(playout) else 0.0,
        is_hardware_decode=_number(video, "power_efficient_decoder") > 0,
        video_recv_fps=_rate(video, before_video, "frames_received"),
        video_decode_fps=_rate(video, before_video, "frames_decoded"),
        video_render_fps=_rate(video, before_video, "frames_delivered"),
        video_kbps=_rate(video, before_video, "bytes_received") * 8 / 1000,
        audio_kbps=_rate(audio, before_audio, "bytes_received") * 8 / 1000,
        packets_lost=int(max(0.0, lost)),
        packet_lost_rate=max(0.0, lost) / (received + max(0.0, lost)) if received else 0.0,
        rtt_ms=rtt_ms,
        jitter_buffer_ms=video_wait,
        audio_jitter_buffer_ms=audio_wait,
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

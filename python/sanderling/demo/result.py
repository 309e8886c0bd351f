"""The demo's result: the one JSON object that ``--json`` prints, with exactly these keys."""

from __future__ import annotations

import msgspec

from sanderling.demo.measure import Figures

__all__ = [
    "AudioResult",
    "FramesResult",
    "FreezesResult",
    "LatencyResult",
    "Result",
    "VideoResult",
    "make_result",
    "summary",
]

_MS_DIGITS = 1
_RATIO_DIGITS = 4


class LatencyResult(msgspec.Struct, frozen=True):
    """Delay from burning the clock to reading it, milliseconds; None when no clock was read."""

    p50: float | None
    p95: float | None
    p99: float | None


class FramesResult(msgspec.Struct, frozen=True):
    """Frames from the first one that arrived on."""

    sent: int
    received: int


class FreezesResult(msgspec.Struct, frozen=True):
    """Gaps between pictures longer than 500 ms."""

    count: int
    total_ms: float


class AudioResult(msgspec.Struct, frozen=True):
    """Received sound, and the share of it the decoder made up."""

    received_ms: float
    concealed_ratio: float


class VideoResult(msgspec.Struct, frozen=True):
    """The received picture; ``fps`` is the measured rate."""

    width: int
    height: int
    fps: float
    codec: str


class Result(msgspec.Struct, frozen=True):
    """What one run of the demo measured."""

    resource_mode: str
    """Path by which the server says the stream reached the viewer, e.g. ``ONLY_L3``."""
    room_states: list[str]
    player_states: list[str]
    publisher_states: list[str]
    login_ms: float
    first_frame_ms: float
    latency_ms: LatencyResult
    frames: FramesResult
    freezes: FreezesResult
    audio: AudioResult
    video: VideoResult


def make_result(
    figures: Figures,
    *,
    resource_mode: str,
    room_states: list[str],
    player_states: list[str],
    publisher_states: list[str],
    login_ms: float,
    first_frame_ms: float,
    audio_received_ms: float,
    audio_concealed_ratio: float,
    width: int,
    height: int,
    codec: str,
) -> Result:
    """Put the parts together; figures are rounded to 0.1 ms, 0.1 fps and four digits of a ratio."""
    latency = figures.latency_ms
    return Result(
        resource_mode=resource_mode,
        room_states=room_states,
        player_states=player_states,
        publisher_states=publisher_states,
        login_ms=_ms(login_ms),
        first_frame_ms=_ms(first_frame_ms),
        latency_ms=(
            LatencyResult(None, None, None)
            if latency is None
            else LatencyResult(_ms(latency.p50), _ms(latency.p95), _ms(latency.p99))
        ),
        frames=FramesResult(figures.sent, figures.received),
        freezes=FreezesResult(figures.freezes.count, _ms(figures.freezes.total_ms)),
        audio=AudioResult(_ms(audio_received_ms), round(audio_concealed_ratio, _RATIO_DIGITS)),
        video=VideoResult(width, height, round(figures.fps, 1), codec),
    )


def summary(result: Result) -> str:
    """Return the whole run in one line, for people."""
    latency, frames, freezes, audio = result.latency_ms, result.frames, result.freezes, result.audio
    return (
        f"{result.resource_mode}: first picture after {result.first_frame_ms:.0f} ms, glass to glass "
        f"p50 {latency.p50} p95 {latency.p95} p99 {latency.p99} ms, {frames.received} of {frames.sent} frames, "
        f"{result.video.fps} fps, {freezes.count} freezes ({freezes.total_ms:.0f} ms), "
        f"{audio.received_ms / 1000:.1f} s of sound, {audio.concealed_ratio:.2%} concealed"
    )


def _ms(value: float) -> float:
    return round(value, _MS_DIGITS)

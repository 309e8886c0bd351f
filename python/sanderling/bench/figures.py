"""Results of the benches: the JSON object that is the last line of ``--json``, and arithmetic. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

__all__ = [
    "AgeClass",
    "FanoutResult",
    "JoinResult",
    "LoadFigures",
    "MemoryResult",
    "StormResult",
    "per_packet",
    "quantiles",
    "spread",
]

K = TypeVar("K")


class FanoutResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``fanout`` measured. Times of one packet are nanoseconds of the server process, all threads."""

    viewers: int
    packets_per_cpu_second: float
    cpu_ns_per_packet: float
    lost_packets: int
    """Packets published that a viewer never had, summed over viewers, in the trial the figures are from."""
    packets_per_flush: float | None
    """Packets to one viewer that leave together."""
    added_delay_ms: dict[str, float] | None
    """p50 and p99 of the delay the server adds, less the same of a null forwarder."""
    added_delay_parts_ms: dict[str, dict[str, float]] | None
    """The server's and the null forwarder's."""
    peer: str | None
    ratio_to_peer: float | None
    """packets_per_cpu_second over the peer's."""
    sink: str
    streams: int
    burst: int | None
    """Packets the publisher sent back to back; null where it sent the pictures of a recorded GOP."""
    packets_per_second: float
    """Load of that trial: packets to viewers, a second."""
    seconds: float
    floor_ratio: float | None
    """packets_per_cpu_second over that of bare sendmmsg with the same packets per flush in the same run."""
    floor_packets_per_cpu_second: float | None
    packets_per_send_call: float | None
    instructions_per_packet: float | None
    """User-space instructions of the whole process; null where the processor's counters cannot be read."""
    peer_figures: LoadFigures | None


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One server under one load."""

    name: str
    viewers: int
    packets_per_second: float
    packets_per_cpu_second: float
    cpu_ns_per_packet: float
    lost_packets: int
    lost_share: float
    packets_per_flush: float | None
    packets_per_send_call: float | None


class AgeClass(msgspec.Struct, frozen=True, kw_only=True):
    """Joins by the age of the newest key frame when they began, in seconds; times in ms."""

    age_s: str
    arrivals: int
    first_frame_ms: dict[str, float]
    first_moving_ms: dict[str, float]
    live_ms: dict[str, float]


class JoinResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``join`` measured. Milliseconds from the call of the login."""

    gop_s: float
    arrivals: int
    first_frame_ms: dict[str, float]
    first_moving_ms: dict[str, float]
    live_ms: dict[str, float]
    joins_per_cpu_second: float
    """Joins over the server's CPU time beyond what it uses for the stream without viewers."""
    keyframe_requests_per_second: float
    publisher: str
    """"pli" or "no-pli": whether it answers requests for key frames."""
    failed: int
    """Arrivals without a live picture within the time they had."""
    play_first_frame_ms: dict[str, float]
    """From ``start_playing_stream`` on a viewer that is connected to its first picture."""
    by_key_frame_age: list[AgeClass]


class StormResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``join --rate`` measured. Milliseconds from the start of a viewer's join to its first whole key frame."""

    rate: float
    seconds: float
    gop_s: float
    via: str
    publisher: str
    arrivals: int
    arrivals_per_second: float
    """The rate that was reached."""
    failed: int
    later_than_1_s: int
    """Arrivals whose first whole key frame came more than a second after their own join began, or never."""
    first_frame_ms: dict[str, float]
    connect_ms: dict[str, float]
    joins_per_cpu_second: float
    keyframe_requests_per_second: float


class MemoryResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``memory`` measured: (RSS with ``base`` and ``viewers`` more − RSS with ``base``) / ``viewers``."""

    viewers: int
    bytes_per_viewer: float
    base: int
    slots: int
    rss_before: int
    rss_after: int
    packets_per_second: float
    """To each viewer, over all its streams."""
    packets_per_second_per_slot: float
    seconds: float


def quantiles(values: Sequence[float], *ranks: int) -> dict[str, float]:
    """``{"p50": …}`` for each rank in per cent, rounded to 0.1, linear between neighbours; empty without values."""
    if not values:
        return {}
    found = np.percentile(np.asarray(values, dtype=np.float64), ranks)
    return {f"p{rank}": round(float(value), 1) for rank, value in zip(ranks, found, strict=True)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and max, rounded to 0.1; empty without values."""
    return {**quantiles(values, 50, 95), "max": round(max(values), 1)} if values else {}


def per_packet(cpu_s: float, packets: float) -> tuple[float, float]:
    """Packets per CPU-second and nanoseconds per packet; (0, 0) when either is nothing."""
    if cpu_s <= 0 or packets <= 0:
        return 0.0, 0.0
    return round(packets / cpu_s, 1), round(cpu_s * 1e9 / packets, 1)


def differences(before: Mapping[K, float], after: Mapping[K, float]) -> dict[K, float]:
    """What each counter rose by; one that is new counts from 0."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}

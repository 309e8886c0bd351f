"""Figures of a viewing, computed from one row per frame. Pure: no clock, no file, no process.

A row says which frame, when it was sent and when it arrived. A frame that never arrived has no arrival; a picture
whose clock could not be read has only an arrival.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "FREEZE_MS",
    "Figures",
    "FrameNumbers",
    "FrameRow",
    "Freezes",
    "Percentiles",
    "figures",
    "freezes",
    "merge",
    "percentiles",
]

FREEZE_MS = 500.0
"""A gap between two pictures longer than this is a freeze, milliseconds (issue: gaps over 500 ms)."""

_NS_PER_MS = 1_000_000
_FRAME_MODULUS = 1 << 16


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame. Times are Unix nanoseconds; None = unknown (see the module's text)."""

    frame: int | None
    sent_ns: int | None
    received_ns: int | None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median, 95th and 99th percentile of a delay, milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Freezes:
    """How often the picture stood still and how long altogether, milliseconds."""

    count: int
    total_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that follows from the rows. ``latency_ms`` is None when no clock was read."""

    sent: int
    received: int
    latency_ms: Percentiles | None
    fps: float
    freezes: Freezes


class FrameNumbers:
    """Turns the clock's 16-bit frame numbers into ones that go on counting."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, number: int) -> int:
        """Return the full number nearest to the one before, for ``number`` modulo 65536."""
        if self._last is None:
            self._last = number
            return number
        step = (number - self._last + _FRAME_MODULUS // 2) % _FRAME_MODULUS - _FRAME_MODULUS // 2
        full = self._last + step
        # A frame older than the newest one does not move the reference back.
        self._last = max(self._last, full)
        return full


def percentiles(delays_ms: Sequence[float]) -> Percentiles | None:
    """Percentiles with linear interpolation between neighbours; None for no delays."""
    if not delays_ms:
        return None
    p50, p95, p99 = np.percentile(np.asarray(delays_ms, dtype=np.float64), [50, 95, 99])
    return Percentiles(float(p50), float(p95), float(p99))


def freezes(received_ns: Sequence[int], until_ns: int | None = None) -> Freezes:
    """Gaps of more than ``FREEZE_MS`` between arrivals (in order), and from the last one to ``until_ns``."""
    moments = list(received_ns)
    if moments and until_ns is not None and until_ns > moments[-1]:
        moments.append(until_ns)
    gaps = [(later - earlier) / _NS_PER_MS for earlier, later in itertools.pairwise(moments)]
    long = [gap for gap in gaps if gap > FREEZE_MS]
    return Freezes(len(long), sum(long))


def merge(sent: Mapping[int, int], received: Iterable[FrameRow], until_ns: int) -> list[FrameRow]:
    """Join what the publisher sent (frame number to Unix ns) with what the viewer got.

    Lost frames count from the first frame that arrived on. One that is not there yet but was sent less than
    ``FREEZE_MS`` before ``until_ns`` is under way, not lost, and gets no row. A frame that arrives twice gets one row.
    """
    rows: list[FrameRow] = []
    arrived: set[int] = set()
    for row in received:
        if row.frame is not None:
            if row.frame in arrived:
                continue
            arrived.add(row.frame)
        rows.append(row)
    if arrived:
        first = min(arrived)
        overdue_ns = until_ns - int(FREEZE_MS * _NS_PER_MS)
        rows += [
            FrameRow(frame, sent_ns, None)
            for frame, sent_ns in sent.items()
            if frame > first and frame not in arrived and sent_ns < overdue_ns
        ]
    rows.sort(key=_moment)
    return rows


def figures(rows: Sequence[FrameRow], until_ns: int | None = None) -> Figures:
    """Compute every figure; ``until_ns`` (Unix ns) is when watching ended, so that a freeze at the end counts."""
    arrivals = sorted(row.received_ns for row in rows if row.received_ns is not None)
    delays = [
        (row.received_ns - row.sent_ns) / _NS_PER_MS
        for row in rows
        if row.received_ns is not None and row.sent_ns is not None
    ]
    span_s = (arrivals[-1] - arrivals[0]) / 1e9 if len(arrivals) > 1 else 0.0
    unreadable = sum(row.frame is None for row in rows)
    numbered = len(rows) - unreadable
    return Figures(
        # A picture with an unreadable clock was sent as a frame that has a row of its own, without arrival.
        sent=max(numbered, len(arrivals)),
        received=len(arrivals),
        latency_ms=percentiles(delays),
        fps=(len(arrivals) - 1) / span_s if span_s > 0 else 0.0,
        freezes=freezes(arrivals, until_ns),
    )


def _moment(row: FrameRow) -> int:
    return row.sent_ns if row.sent_ns is not None else row.received_ns or 0

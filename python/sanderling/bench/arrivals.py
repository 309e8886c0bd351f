"""When viewers come: a Poisson process, and how old the last key frame was at a moment."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator, Sequence

__all__ = ["AGE_BOUNDS_S", "age_at", "age_class", "gaps"]

AGE_BOUNDS_S = (0.4, 1.0, 3.0)
"""Bounds of the classes of a cached key frame's age: replayed with what followed, replayed alone, asked for anew."""


def gaps(mean_s: float, seed: int) -> Iterator[float]:
    """Seconds between one arrival and the next, without end: independent, exponentially distributed."""
    if mean_s <= 0:
        raise ValueError(f"the mean gap is {mean_s} s, not above 0")
    source = random.Random(seed)
    return (source.expovariate(1 / mean_s) for _ in itertools.count())


def age_at(moment_ns: int, key_frames_ns: Sequence[int]) -> float | None:
    """Seconds since the last key frame before ``moment_ns``; ``key_frames_ns`` ascending. None: there was none."""
    place = bisect.bisect_right(key_frames_ns, moment_ns)
    return (moment_ns - key_frames_ns[place - 1]) / 1e9 if place else None


def age_class(age_s: float, gop_s: float) -> str:
    """Name of the class an age belongs to, as ``"0.4-1"``; the last one ends at the GOP's length."""
    inner = [bound for bound in AGE_BOUNDS_S if bound < gop_s]
    bounds = [0.0, *inner, max(gop_s, *inner)] if inner else [0.0, gop_s]
    place = min(bisect.bisect_right(bounds, age_s), len(bounds) - 1)
    return f"{bounds[place - 1]:g}-{bounds[place]:g}"

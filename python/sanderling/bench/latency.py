"""``bench latency``: glass-to-glass delay, SDK to SDK over a real server: the demo, several times.

Every run is a whole demo: a server, a host and a viewer in processes of their own over loopback. First-frame and
login time have one value per run, hence the several runs; the delay's percentiles come from the longest one.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from sanderling.bench.failure import BenchFailed
from sanderling.bench.process import ChildProcess
from sanderling.demo.result import Result

__all__ = ["LatencyOptions", "LatencyResult", "run_latency"]

SHORT_SECONDS = 5.0
"""Watching time of all runs but the last."""
START_SECONDS = 60.0
"""Time a run may need for everything but watching."""


class LatencyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``latency`` measured; milliseconds."""

    latency_ms: dict[str, float | None]
    """p50, p95 and p99 from burning the clock into a picture to reading it off the decoded one."""
    seconds: float
    runs: int
    first_frame_ms: dict[str, float]
    """From the play to the first picture, one value a run."""
    login_ms: dict[str, float]
    frames: dict[str, int]
    freezes: dict[str, float]
    last: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """``seconds``: watching time of the longest run; ``runs``: demos altogether."""

    seconds: float = 20.0
    runs: int = 3


async def run_latency(options: LatencyOptions, progress: Callable[[str], None]) -> LatencyResult:
    """Measure; BenchFailed when a demo fails."""
    results = []
    for number in range(options.runs):
        last = number == options.runs - 1
        results.append(await _demo(options.seconds if last else min(SHORT_SECONDS, options.seconds)))
        progress(f"demo {number + 1} of {options.runs}: p50 {results[-1].latency_ms.p50} ms")
    longest = results[-1]
    return LatencyResult(
        latency_ms=msgspec.to_builtins(longest.latency_ms),
        seconds=options.seconds,
        runs=options.runs,
        first_frame_ms=_spread([result.first_frame_ms for result in results]),
        login_ms=_spread([result.login_ms for result in results]),
        frames=msgspec.to_builtins(longest.frames),
        freezes=msgspec.to_builtins(longest.freezes),
        last=longest,
    )


def _spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": round(statistics.median(values), 1), "max": max(values)}


async def _demo(seconds: float) -> Result:
    command = [sys.executable, "-P", "-m", "sanderling.demo", "--seconds", str(seconds), "--json"]
    async with ChildProcess.run("demo", command) as child:
        line = await child.line(seconds + START_SECONDS)
    try:
        return msgspec.json.decode(line, type=Result)
    except msgspec.DecodeError as error:
        raise BenchFailed(f"the demo printed no result: {error}") from None

"""Glass-to-glass delay and time to the first picture, SDK to SDK over a real server: the demo, several times.

Every run is a whole demo: a server, a host and a viewer in processes of their own over loopback. First-frame and
login time have one value per run, hence the several runs; the delay's percentiles come from the longest one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import msgspec

from sanderling.demo.result import Result

RUNS = 5
SHORT_SECONDS = 5
"""Watching time of all runs but the last."""
START_SECONDS = 60
"""Time a run may need for everything but watching."""


class Latency(msgspec.Struct, frozen=True):
    """Result of the bench."""

    seconds: float
    runs: int
    latency_ms: dict[str, float | None]
    first_frame_ms: dict[str, float]
    login_ms: dict[str, float]
    frames: dict[str, int]
    freezes: dict[str, float]
    last: Result

    def line(self) -> str:
        """Return the figures as one line."""
        latency, first, frames = self.latency_ms, self.first_frame_ms, self.frames
        return (
            f"glass to glass p50/p95/p99 {latency['p50']}/{latency['p95']}/{latency['p99']} ms "
            f"over {self.seconds:g} s, {frames['received']} of {frames['sent']} frames, "
            f"{self.freezes['count']:g} freezes; in {self.runs} runs first frame median {first['median']} "
            f"(worst {first['max']}) ms, login median {self.login_ms['median']} ms"
        )


def measure(seconds: float, runs: int = RUNS) -> Latency:
    """Run the demo ``runs`` times, the last time for ``seconds``; CalledProcessError when one of them fails."""
    results = [_demo(SHORT_SECONDS) for _ in range(runs - 1)]
    last = _demo(seconds)
    results.append(last)
    return Latency(
        seconds=seconds,
        runs=runs,
        latency_ms=msgspec.to_builtins(last.latency_ms),
        first_frame_ms=_spread([result.first_frame_ms for result in results]),
        login_ms=_spread([result.login_ms for result in results]),
        frames=msgspec.to_builtins(last.frames),
        freezes=msgspec.to_builtins(last.freezes),
        last=last,
    )


def _spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": round(statistics.median(values), 1), "max": max(values)}


def _demo(seconds: float) -> Result:
    command = [sys.executable, "-m", "sanderling.demo", "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds + START_SECONDS, check=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Result)

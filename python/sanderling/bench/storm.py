"""``bench join --rate R --seconds S``: many viewers at once, made by the load generator.

A viewer's wait runs from the moment its join begins (its offer is made, then HTTP or WebSocket) to the last packet of
its first key frame. Joins are a Poisson process of the given rate.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.bench.arrivals import gaps
from sanderling.bench.failure import BenchFailed
from sanderling.bench.figures import StormResult, spread
from sanderling.bench.node import Node
from sanderling.bench.open_files import allow_open_files
from sanderling.bench.sessions import RoomMember, publish, view
from sanderling.bench.usage import cpu_seconds
from sanderling.bridge.load import load_generator

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = ["StormOptions", "run_storm"]

STREAM = "bench"
RECORDED_LINES = 360
"""Lines of the recorded GOP that is the stream: a key frame of 45 packets (52 kB), 2.3 packets a picture on average."""
PICTURES_PER_SECOND = 25
LATE_MS = 1000.0
"""A viewer is to have a picture so soon after its own join began."""
WARM_SECONDS = 1.0
"""Before the first arrival: the stream flows."""
SETTLE_SECONDS = 3.0
"""After the last arrival: one that has no picture by then has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormOptions:
    """``rate``: joins a second for ``seconds``; ``via``: "whep" or "signalling"."""

    rate: float
    seconds: float
    gop_s: float = 10.0
    answers: bool = True
    via: str = "whep"
    seed: int = 1


async def run_storm(options: StormOptions, progress: Callable[[str], None]) -> StormResult:
    """Measure; BenchFailed when nothing can be connected at all."""
    count = max(1, round(options.rate * options.seconds))
    allow_open_files(2 * count + 256)
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        async with Node.start(Path(folder)) as node:
            load = load_generator()
            try:
                return await _storm(node, load, options, count, progress)
            finally:
                load.close()


async def _storm(
    node: Node, load: Load, options: StormOptions, count: int, progress: Callable[[str], None]
) -> StormResult:
    publisher = await publish(node, load, STREAM, answers=options.answers)
    load.start_recorded(
        publisher,
        height=RECORDED_LINES,
        pictures_per_second=PICTURES_PER_SECOND,
        gop_pictures=max(1, round(options.gop_s * PICTURES_PER_SECOND)),
    )
    await asyncio.sleep(WARM_SECONDS)
    progress(f"{count} viewers come within {options.seconds:g} s by {options.via}")
    requests = load.publisher_report(publisher)["key_frame_requests"]
    storm = _Storm(node, load, options, count)
    cpu, moment = cpu_seconds(node.pid), time.monotonic()
    await storm.run()
    seconds = time.monotonic() - moment
    await storm.settled(SETTLE_SECONDS)
    used = cpu_seconds(node.pid) - cpu
    lasted = time.monotonic() - moment
    requests = load.publisher_report(publisher)["key_frame_requests"] - requests
    node.check()
    waits = storm.waits()
    await storm.end()
    if not waits:
        raise BenchFailed(f"none of {count} viewers had a picture: {storm.first_error or 'no media came'}")
    late = count - sum(picture <= LATE_MS for picture, _ in waits)
    progress(f"{len(waits)} of {count} viewers had a picture, {count - late} within {LATE_MS / 1000:g} s")
    return StormResult(
        rate=options.rate,
        seconds=options.seconds,
        gop_s=options.gop_s,
        via=options.via,
        publisher="pli" if options.answers else "no-pli",
        arrivals=count,
        arrivals_per_second=round(count / seconds, 1),
        failed=count - len(waits),
        later_than_1_s=late,
        first_frame_ms=spread([picture for picture, _ in waits]),
        connect_ms=spread([connected for _, connected in waits]),
        joins_per_cpu_second=round(count / used, 1) if used > 0 else 0.0,
        keyframe_requests_per_second=round(requests / lasted, 3),
    )


class _Storm:
    """The arrivals of one run."""

    def __init__(self, node: Node, load: Load, options: StormOptions, count: int) -> None:
        self._node = node
        self._load = load
        self._options = options
        # Made before: what a token costs to sign is no part of a join.
        self._users = [(name, node.token(name)) for name in (f"viewer-{number}" for number in range(count))]
        self._began: dict[int, int] = {}
        self._members: list[RoomMember] = []
        self.first_error = ""

    async def run(self) -> None:
        """Let all viewers come; those that fail are counted by what they lack."""
        due = time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        try:
            for (name, token), gap in zip(
                self._users, gaps(1 / self._options.rate, self._options.seed), strict=False
            ):
                due += gap
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.append(asyncio.create_task(self._join(name, token), name=f"bench-{name}"))
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self, seconds: float) -> None:
        """Wait until every viewer has a picture, at most so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.waits()) == len(self._users):
                return
            await asyncio.sleep(0.1)  # the load generator's threads work on it

    def waits(self) -> list[tuple[float, float]]:
        """For each viewer with a picture: milliseconds to the picture and to the connection."""
        found = []
        for viewer, began_ns in self._began.items():
            report = self._load.viewer_report(viewer)
            if report["first_key_frame_ns"]:
                found.append(
                    (
                        (report["first_key_frame_ns"] - began_ns) / 1e6,
                        (report["connected_ns"] - began_ns) / 1e6,
                    )
                )
        return found

    async def end(self) -> None:
        """Leave the room where that needs a word."""
        await asyncio.gather(*(member.leave() for member in self._members))

    async def _join(self, name: str, token: str) -> None:
        began_ns = time.monotonic_ns()
        try:
            if self._options.via == "signalling":
                member, viewer = await RoomMember.join(self._node, self._load, name, [STREAM], token=token)
                self._members.append(member)
            else:
                viewer = await view(self._node, self._load, STREAM, token=token)
        except (BenchFailed, OSError) as error:
            self.first_error = self.first_error or str(error)
            return
        self._began[viewer] = began_ns

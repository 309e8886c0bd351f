"""``bench join``: how long a viewer waits for its first, its second and a live picture.

The publisher and the server are processes of their own; viewers are engines of the SDK in this one, which come as a
Poisson process. Each reads the clock off every picture it is handed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sanderling import Engine, EngineProfile, Player, PlayerConfig, ResourceMode, RoomConfig, User
from sanderling.bench.arrivals import age_at, age_class, gaps
from sanderling.bench.failure import BenchFailed
from sanderling.bench.figures import AgeClass, JoinResult, quantiles
from sanderling.bench.node import LOOPBACK, ROOM_ID, Node
from sanderling.bench.process import ChildProcess
from sanderling.bench.publisher import REPORT, KeyFrame, Publishing, Requests, Task
from sanderling.bench.usage import cpu_seconds
from sanderling.demo import clock
from sanderling.errors import SanderlingError
from sanderling.sdk.webrtc import runtime

__all__ = ["Join", "JoinOptions", "run_join"]

STREAM = "bench"
JOIN_SECONDS = 15.0
"""Time a viewer has for a live picture before it counts as failed; longer than any GOP that is of use live."""
LIVE_AGE_NS = 300_000_000
"""A live picture shows a clock at most so old …"""
LIVE_GAP_NS = 100_000_000
"""… and the next one comes within so long."""
IDLE_SECONDS = 2.0
"""How long the server's CPU use without viewers is measured."""
PLAY_MEAN_GAP_S = 1.0
START_SECONDS = 30.0
QUEUED_PICTURES = 64
"""None is dropped: a replayed GOP comes in a heap, and the second picture of it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOptions:
    """What the command line asked for. ``gop_s``: seconds between key frames; ``answers``: to requests for them."""

    gop_s: float = 10.0
    answers: bool = True
    arrivals: int = 20
    mean_gap_s: float = 3.0
    plays: int = 10
    """Plays on a viewer that is connected, after the joins."""
    seed: int = 1
    width: int = 960
    height: int = 540
    fps: int = 25


@dataclass(slots=True)
class Join:
    """One viewer's arrival; monotonic nanoseconds, 0 = it has not come to that."""

    began_ns: int
    first_ns: int = 0
    moving_ns: int = 0
    live_ns: int = 0
    error: str = ""
    """Why it came to no more."""
    _frame: int = -1
    _fresh_ns: int = 0

    def picture(self, monotonic_ns: int, unix_ns: int, reading: clock.Reading | None) -> bool:
        """Take a decoded picture, handed over at this moment; whether everything is known now."""
        if not self.first_ns:
            self.first_ns = monotonic_ns
        if reading is not None:
            if self._frame not in (-1, reading.frame) and not self.moving_ns:
                self.moving_ns = monotonic_ns
            if reading.frame != self._frame:
                if self._fresh_ns and monotonic_ns - self._fresh_ns <= LIVE_GAP_NS:
                    self.live_ns = self._fresh_ns
                    return True
                self._fresh_ns = monotonic_ns if unix_ns - reading.unix_ns <= LIVE_AGE_NS else 0
            self._frame = reading.frame
        return False

    def ms(self, moment_ns: int) -> float:
        """Milliseconds from the beginning to ``moment_ns``."""
        return (moment_ns - self.began_ns) / 1e6


@dataclass(slots=True)
class Publication:
    """What the publisher's process has reported."""

    key_frames_ns: list[int] = field(default_factory=list)
    requests: int = 0
    publishing: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, child: ChildProcess) -> None:
        """Take its reports until it ends."""
        while True:
            report = REPORT.decode(await child.line(START_SECONDS))
            match report:
                case Publishing():
                    self.publishing.set()
                case KeyFrame():
                    self.key_frames_ns.append(report.monotonic_ns)
                case Requests():
                    self.requests = report.count


@contextlib.asynccontextmanager
async def publication(node: Node, options: JoinOptions) -> AsyncIterator[Publication]:
    """A publisher in a process of its own, from its first picture on."""
    task = Task(
        url=node.url,
        path=node.endpoint("whip", STREAM),
        token=node.token("host"),
        address=LOOPBACK,
        width=options.width,
        height=options.height,
        fps=options.fps,
        gop_s=options.gop_s,
        answers=options.answers,
    )
    command = [sys.executable, "-P", "-m", "sanderling.bench.publisher"]
    line = msgspec.json.encode(task) + b"\n"
    async with ChildProcess.run("publisher", command, first_line=line) as child:
        heard = Publication()
        listening = asyncio.create_task(heard.listen(child), name="bench-publisher")
        started = asyncio.create_task(heard.publishing.wait(), name="bench-publishing")
        try:
            await asyncio.wait([listening, started], return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
            yield heard
        finally:
            for each in (listening, started):
                each.cancel()
            await asyncio.gather(listening, started, return_exceptions=True)


async def run_join(options: JoinOptions, progress: Callable[[str], None]) -> JoinResult:
    """Measure; BenchFailed when server or publisher do not work, MediaUnavailable without the SDK's engine."""
    # Its loading is no part of a join.
    await asyncio.to_thread(runtime.preload)
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        async with Node.start(Path(folder)) as node, publication(node, options) as heard:
            progress(
                f"publishing {options.width}x{options.height} with a key frame every {options.gop_s:g} s"
            )
            await asyncio.sleep(IDLE_SECONDS)  # the encoder and the caches settle
            cpu, moment = cpu_seconds(node.pid), time.monotonic()
            await asyncio.sleep(IDLE_SECONDS)
            idle_share = (cpu_seconds(node.pid) - cpu) / (time.monotonic() - moment)

            cpu, moment, requests = cpu_seconds(node.pid), time.monotonic(), heard.requests
            joins = await _arrivals(node, options, progress)
            for join in joins:
                if join.error:
                    progress(f"a viewer failed: {join.error}")
            seconds = time.monotonic() - moment
            used = cpu_seconds(node.pid) - cpu - idle_share * seconds
            requested = heard.requests - requests
            plays = await _plays(node, options, progress) if options.plays else []
            node.check()
            key_frames = list(heard.key_frames_ns)
    return result(options, joins, plays, key_frames, used, requested / seconds)


def result(
    options: JoinOptions,
    joins: Sequence[Join],
    plays: Sequence[float],
    key_frames_ns: Sequence[int],
    cpu_s: float,
    requests_per_s: float,
) -> JoinResult:
    """Put the figures together. ``cpu_s``: what the joins cost the server; BenchFailed when no join succeeded."""
    good = [join for join in joins if join.live_ns]
    if not good:
        why = next((join.error for join in joins if join.error), "the stream ended")
        raise BenchFailed(f"none of {len(joins)} viewers had a live picture: {why}")
    classes: dict[str, list[Join]] = {}
    for join in good:
        age = age_at(join.began_ns, key_frames_ns)
        if age is not None:
            classes.setdefault(age_class(age, options.gop_s), []).append(join)
    return JoinResult(
        gop_s=options.gop_s,
        arrivals=len(joins),
        **_waits(good),
        joins_per_cpu_second=round(len(joins) / cpu_s, 1) if cpu_s > 0 else 0.0,
        keyframe_requests_per_second=round(requests_per_s, 3),
        publisher="pli" if options.answers else "no-pli",
        failed=len(joins) - len(good),
        play_first_frame_ms=quantiles(plays, 50, 95),
        by_key_frame_age=[
            AgeClass(age_s=name, arrivals=len(members), **_waits(members))
            for name, members in sorted(classes.items(), key=lambda item: float(item[0].partition("-")[0]))
        ],
    )


def _waits(joins: Sequence[Join]) -> dict[str, dict[str, float]]:
    return {
        "first_frame_ms": quantiles([join.ms(join.first_ns) for join in joins], 50, 95),
        "first_moving_ms": quantiles([join.ms(join.moving_ns) for join in joins], 50, 95),
        "live_ms": quantiles([join.ms(join.live_ns) for join in joins], 50, 95),
    }


async def _arrivals(node: Node, options: JoinOptions, progress: Callable[[str], None]) -> list[Join]:
    """Let viewers come, each on a task of its own, so that a slow one delays none that comes after it."""
    waiting: list[asyncio.Task[Join]] = []
    try:
        for number, gap in enumerate(
            itertools.islice(gaps(options.mean_gap_s, options.seed), options.arrivals)
        ):
            await asyncio.sleep(gap)
            node.check()
            waiting.append(asyncio.create_task(_join(node, f"viewer-{number}"), name=f"bench-join-{number}"))
            if (number + 1) % 5 == 0:
                progress(f"{number + 1} of {options.arrivals} viewers have come")
        return list(await asyncio.gather(*waiting))
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@contextlib.asynccontextmanager
async def _engine(node: Node) -> AsyncIterator[Engine]:
    async with Engine(EngineProfile(app_id=node.app_id, server=node.url)) as engine:
        yield engine


async def _join(node: Node, user_id: str) -> Join:
    token = node.token(user_id)
    async with _engine(node) as engine:
        join = Join(time.monotonic_ns())
        login = engine.login_room(ROOM_ID, User(user_id, user_id), RoomConfig(token=token))
        playing = engine.start_playing_stream(STREAM, PlayerConfig(resource_mode=ResourceMode.ONLY_L3))
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                if playing.player is not None:
                    await _watch(playing.player, join)
                await login
        except TimeoutError:
            join.error = f"no live picture within {JOIN_SECONDS:.0f} s"
        except SanderlingError as error:
            join.error = str(error)
        return join


async def _watch(player: Player, join: Join) -> None:
    async for frame in player.video(keep=QUEUED_PICTURES):
        now_ns, unix_ns = time.monotonic_ns(), time.time_ns()
        if join.picture(now_ns, unix_ns, clock.read(frame.planes[0])):
            return


async def _plays(node: Node, options: JoinOptions, progress: Callable[[str], None]) -> list[float]:
    """Milliseconds from play to first picture on one viewer that stays connected."""
    source = random.Random(options.seed)
    waits: list[float] = []
    user_id = "returning"
    async with _engine(node) as engine:
        config = RoomConfig(token=node.token(user_id))
        await engine.login_room(ROOM_ID, User(user_id, user_id), config)
        # The first play is not counted: it may find the transport still on its way.
        for number in range(options.plays + 1):
            began = time.monotonic()
            playing = engine.start_playing_stream(STREAM, PlayerConfig(resource_mode=ResourceMode.ONLY_L3))
            player = await playing
            await player.first_frame(timeout=JOIN_SECONDS)
            if number:
                waits.append((time.monotonic() - began) * 1000)
            await player.stop()
            await asyncio.sleep(source.expovariate(1 / PLAY_MEAN_GAP_S))
    progress(f"{len(waits)} plays on a connected viewer")
    return waits

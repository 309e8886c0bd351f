"""Two thousand real WebSocket members in one room: how fast they log in, how soon they hear a notice, what they cost.

The server is `sanderling serve` in a process of its own; the members are bare sockets in this one. A login is timed
from its connection to the reply; a notice's delay is from the moment its sender wrote it to the first byte of it at
each other member, on one clock. CPU is the server's, all threads, as the scheduler counted it.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benches.crowd import Crowd, CrowdFailed, Visitor
from sanderling.bench.failure import BenchFailed
from sanderling.bench.open_files import allow_open_files
from sanderling.bench.usage import cpu_seconds, resident_bytes
from sanderling.bridge.load import load_generator
from sanderling.server.storage import Project, SqliteStorage

__all__ = ["Level", "Members", "measure"]

ROOM_ID = "room"
LEVELS = (500, 1_000, 2_000)
"""Members at which notices are measured; the last is how many there are."""
WITH_VIEWER = 200
"""Members that log in with a viewer offer behind all others; their transports come up."""
SLOTS = 4
"""Streams that such a viewer has room for."""
LOGINS_PER_S = 200.0
LIMITS = ("room_logins_per_s", "app_logins_per_s")
NOTICES = 20
SETTLE_S = 2.0
"""Pause before anything is read: the members' own notices have gone out by then."""
NOTICE_EVERY_S = 0.2
"""Pause behind a notice that everybody heard; a room may have ten broadcasts a second, a user two."""
LOGIN_LIMIT_S = 60.0
HEARD_LIMIT_S = 30.0
CONNECT_LIMIT_S = 30.0


class Level(msgspec.Struct, frozen=True):
    """With so many members in the room."""

    members: int
    logins_per_s: float
    """Reached on the way from the level before, of ``LOGINS_PER_S`` asked for."""
    login_ms: dict[str, float]
    notice_ms: dict[str, float]
    cpu_ms_per_login: float
    """The notices to those who are there included."""
    cpu_us_per_notice: float
    """For one notice to one member, without what the server does when nothing is sent."""
    client_cpu: float
    """Share of one core that the members themselves took during the logins."""


class Members(msgspec.Struct, frozen=True):
    """Result of the bench."""

    deflate: bool
    """Whether the members offered permessage-deflate, as browsers do."""
    levels: list[Level]
    login_ms: dict[str, float]
    """Of all logins."""
    notice_ms: dict[str, float]
    """With all members."""
    kib_per_member: float
    """Growth of the server's resident set."""
    kib_per_viewer: float
    """The same for members with a viewer transport."""

    def line(self) -> str:
        """Return the figures as one line."""
        login, last = self.login_ms, self.levels[-1]

        def by_level(name: str) -> str:
            return "/".join(f"{getattr(level, name):.3g}" for level in self.levels)

        return (
            f"{'/'.join(str(level.members) for level in self.levels)} members"
            f"{', deflate' if self.deflate else ''}: {by_level('logins_per_s')} logins/s of {LOGINS_PER_S:.0f}, "
            f"login {login['p50']:.1f}/{login['p95']:.1f} ms, notice to {last.members} "
            f"{self.notice_ms['p50']:.0f}/{self.notice_ms['p95']:.0f} ms (p50/p95), "
            f"{by_level('cpu_ms_per_login')} ms CPU a login, "
            f"{by_level('cpu_us_per_notice')} µs CPU a notice and member, {self.kib_per_member:.0f} KiB each, "
            f"{self.kib_per_viewer:.0f} KiB with a viewer of {SLOTS}; "
            f"the members took {by_level('client_cpu')} of a core"
        )


class _Server:
    """`sanderling serve`."""

    def __init__(self, state: Path) -> None:
        self.project = asyncio.run(_project(state))
        self.process = subprocess.Popen(
            (*(sys.executable, "-m", "sanderling.cli.main", "serve", "--port", "0", "--media-ports", "0"),
             *("--state", str(state), "--ready-json")),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SANDERLING_LOGINS_PER_S": "0", "SANDERLING_LOG_LEVEL": "warning"},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise OSError(f"the server ended with {self.process.wait()} before it began")
        self.port = int(json.loads(line)["port"])

    def cpu_s(self) -> float:
        return cpu_seconds(self.process.pid)

    def resident(self) -> int:
        return resident_bytes(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


async def _project(state: Path) -> Project:
    storage = SqliteStorage(state)
    await storage.open()
    try:
        project = await storage.create_project("bench", l3=True)
        # What a stalled machine has let pile up is no more than was asked for.
        return await storage.update_project(project.app_id, settings=dict.fromkeys(LIMITS, 10_000))
    finally:
        await storage.aclose()


def _spread(values: Sequence[float]) -> dict[str, float]:
    values = [*values, *values] if len(values) == 1 else values
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "max": round(max(values), 1)}


class _Run:
    """One server, one crowd, level by level."""

    def __init__(self, server: _Server, crowd: Crowd) -> None:
        self._server = server
        self._crowd = crowd
        self._seq = 1

    def login(self, number: int, **more: Any) -> dict[str, Any]:
        """The message with which a member comes."""
        return {
            "type": "login",
            "seq": 1,
            "app_id": self._server.project.app_id,
            "room_id": ROOM_ID,
            "user": {"user_id": f"user{number}", "user_name": f"User {number}"},
            "app_sign": self._server.project.app_sign,
            "config": {"is_user_status_notify": True},
            "resumable": True,
            **more,
        }

    def come(self, logins: Sequence[dict[str, Any]]) -> list[Visitor]:
        """Log in, so many a second as asked for, and wait until all are in."""
        crowd = self._crowd
        began = time.perf_counter()
        came: list[Visitor] = []
        for number, login in enumerate(logins):
            crowd.run(lambda: False, began + number / LOGINS_PER_S)
            came.append(crowd.come(login))
        waiting = list(came)

        def all_in() -> bool:
            while waiting and waiting[-1].logged_in_at:
                waiting.pop()
            return not waiting

        if not crowd.run(all_in, time.perf_counter() + LOGIN_LIMIT_S):
            raise CrowdFailed(f"{len(waiting)} logins had no reply after {LOGIN_LIMIT_S:.0f} s")
        return came

    def level(self, members: int) -> tuple[Level, list[float]]:
        """Let members come until there are so many, and measure."""
        crowd, server = self._crowd, self._server
        size = len(crowd.members)
        cpu, own = server.cpu_s(), time.process_time()
        came = self.come([self.login(number) for number in range(size, members)])
        took = max(each.logged_in_at for each in came) - came[0].began
        own = time.process_time() - own
        crowd.pause(SETTLE_S)
        cpu = server.cpu_s() - cpu
        logins = [(each.logged_in_at - each.began) * 1000 for each in came]
        delays, notice_cpu = self.notices()
        level = Level(
            members=members,
            logins_per_s=round(len(came) / (took + 1 / LOGINS_PER_S), 1),
            login_ms=_spread(logins),
            notice_ms=_spread(delays),
            cpu_ms_per_login=round(cpu / len(came) * 1000, 2),
            cpu_us_per_notice=round(notice_cpu / NOTICES / members * 1e6, 1),
            client_cpu=round(own / took, 2),
        )
        return level, logins

    def notices(self) -> tuple[list[float], float]:
        """Delays in milliseconds, and the server's CPU for all notices in seconds."""
        crowd, server = self._crowd, self._server
        crowd.silent = True
        # What the server does anyway is not the notices' cost.
        idle, began = server.cpu_s(), time.perf_counter()
        crowd.pause(SETTLE_S)
        idle = (server.cpu_s() - idle) / (time.perf_counter() - began)
        cpu, began = server.cpu_s(), time.perf_counter()
        delays: list[float] = []
        for _ in range(NOTICES):
            self._seq += 1
            sender = crowd.members[self._seq % len(crowd.members)]
            crowd.expect_notice(sender)
            sent = time.perf_counter()
            sender.send({"type": "broadcast", "seq": self._seq, "text": "hello, everybody"})
            if not crowd.run(lambda: not crowd.unheard, sent + HEARD_LIMIT_S):
                raise CrowdFailed(f"{crowd.unheard} members heard nothing for {HEARD_LIMIT_S:.0f} s")
            delays += [(member.heard_at - sent) * 1000 for member in crowd.members if member is not sender]
            crowd.pause(NOTICE_EVERY_S)
        spent = server.cpu_s() - cpu - idle * (time.perf_counter() - began)
        crowd.silent = False
        return delays, spent

    def kib_per_viewer(self) -> float:
        """Let members with a viewer transport come; how much the server grew by each."""
        load = load_generator()
        try:
            resident = self._server.resident()
            viewers = [load.open_viewer(slots=SLOTS, check=False, audio=True) for _ in range(WITH_VIEWER)]
            first = len(self._crowd.members)
            came = self.come(
                [self.login(first + at, viewer_offer=offer) for at, (_, offer) in enumerate(viewers)]
            )
            for (viewer, _), member in zip(viewers, came, strict=True):
                load.answer(viewer, json.loads(member.welcome)["viewer_answer"])
            connected = self._crowd.run(
                lambda: load.report()["connected"] >= WITH_VIEWER, time.perf_counter() + CONNECT_LIMIT_S
            )
            if not connected:
                raise CrowdFailed(f"{load.report()['connected']} of {WITH_VIEWER} viewers were connected")
            self._crowd.pause(SETTLE_S)
            return (self._server.resident() - resident) / WITH_VIEWER / 1024
        finally:
            load.close()


def measure(levels: Sequence[int] = LEVELS, *, deflate: bool = False) -> Members:
    """Measure once; OSError when the server did not take it."""
    try:
        allow_open_files(levels[-1] + 3 * WITH_VIEWER + 256)
    except BenchFailed as error:
        raise OSError(f"{error}; {error.remedy}") from None
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        server = _Server(Path(folder))
        crowd = Crowd("127.0.0.1", server.port, deflate=deflate)
        try:
            run = _Run(server, crowd)
            # Once through everything first: what is loaded with the first login is not a member's.
            [first] = run.come([run.login(-1)])
            crowd.leave(first)
            crowd.pause(SETTLE_S)
            resident = server.resident()
            done, logins = [], []
            for members in levels:
                level, took = run.level(members)
                done.append(level)
                logins += took
            grown = (server.resident() - resident) / levels[-1] / 1024
            viewer = run.kib_per_viewer()
        except (CrowdFailed, BenchFailed) as error:
            raise OSError(str(error)) from None
        finally:
            crowd.close()
            server.stop()
    return Members(
        deflate=deflate,
        levels=done,
        login_ms=_spread(logins),
        notice_ms=done[-1].notice_ms,
        kib_per_member=round(grown, 1),
        kib_per_viewer=round(viewer, 1),
    )

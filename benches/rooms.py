"""The room manager alone with very many users in one room: what a member costs, and what a notice costs per member.

No sockets, no media, no storage: logins with the AppSign, outboxes that count. Times are CPU time of this process.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import time
from typing import Any

import msgspec
import structlog

from sanderling.bridge import MediaEngine
from sanderling.enums import StreamDeleteReason
from sanderling.server.bus import InProcessBus
from sanderling.server.registry import InProcessRegistry
from sanderling.server.rooms import RoomManager
from sanderling.server.rooms.context import RoomContext
from sanderling.server.storage import Project
from sanderling.server.storage.base import new_project
from sanderling.server.storage.settings import change_settings
from sanderling.signaling.messages import Broadcast, Login, RoomConfig, User
from sanderling.testing.fake_engine import FakeModule

__all__ = ["Rooms", "measure"]

MEMBERS = (1_000, 10_000, 100_000, 1_000_000)
NOTICES = 5
UNLIMITED = 1_000_000


class Level(msgspec.Struct, frozen=True):
    """With so many members in the room."""

    members: int
    login_us: float
    """CPU of one login on the way from the level before."""
    bytes_per_member: int
    """Growth of the resident set."""
    notice_ns_per_member: float
    """CPU of a broadcast, over those who hear it; the best of a few."""


class Rooms(msgspec.Struct, frozen=True):
    """Result of the bench."""

    levels: list[Level]
    leave_us: float
    """CPU of one member's leaving the full room."""

    def line(self) -> str:
        """Return the figures as one line."""
        last = self.levels[-1]
        notices = ", ".join(f"{level.notice_ns_per_member:.0f}" for level in self.levels)
        return (
            f"{last.members} users in a room: {last.login_us:.0f} µs a login, {self.leave_us:.0f} µs a leave, "
            f"{last.bytes_per_member / 1024:.1f} KiB each; a notice costs {notices} ns a member "
            f"with {', '.join(str(level.members) for level in self.levels)} members"
        )


class _Sink:
    """An outbox that counts."""

    waiting = 0

    def __init__(self) -> None:
        self.messages = 0

    def send(self, _data: bytes) -> None:
        self.messages += 1

    def close(self, reason: str) -> None:
        """Nothing to close."""


class _OneProject:
    """A storage with one project that limits nothing."""

    def __init__(self) -> None:
        self.held = new_project("bench", l3=True, max_plays=12, now=time.time())
        limits = {name: UNLIMITED for name in self.held.settings.__struct_fields__ if name.endswith("_per_s")}
        object.__setattr__(self.held, "settings", change_settings(self.held.settings, limits))

    async def project(self, _app_id: int) -> Project:
        return self.held

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _login(project: Project, number: int) -> Login:
    name = f"user{number}"
    return Login(
        seq=1,
        app_id=project.app_id,
        room_id="room",
        user=User(name, name),
        app_sign=project.app_sign,
        config=RoomConfig(is_user_status_notify=True),
        resumable=True,
    )


async def _run(members: tuple[int, ...]) -> Rooms:
    storage = _OneProject()
    engine = MediaEngine(native=FakeModule())
    context = RoomContext(
        engine=engine,
        storage=storage,  # type: ignore[arg-type]  # what the rooms use of it
        registry=InProcessRegistry(),
        bus=InProcessBus(),
    )
    rooms = RoomManager(context)
    project = storage.held
    connections = []
    levels: list[Level] = []
    sink = _Sink()
    seq = 1
    try:
        for wanted in members:
            before, size, grew = time.process_time(), len(connections), _resident()
            for number in range(size, wanted):
                connection = rooms.connect(sink, "192.0.2.1:5000")
                await rooms.request(connection, _login(project, number))
                connections.append(connection)
            login_s = time.process_time() - before
            costs = []
            for _ in range(NOTICES):
                seq += 1
                heard, began = sink.messages, time.process_time()
                await rooms.request(connections[0], Broadcast(seq, "hello, everybody"))
                cost = time.process_time() - began
                costs.append(cost / (sink.messages - heard - 1))
            levels.append(
                Level(
                    members=wanted,
                    login_us=round(login_s / (wanted - size) * 1e6, 1),
                    bytes_per_member=(_resident() - grew) // (wanted - size),
                    notice_ns_per_member=round(min(costs) * 1e9, 1),
                )
            )
        leaving = connections[-min(10_000, len(connections) // 2) :]
        began = time.process_time()
        for connection in leaving:
            await rooms.disconnect(connection, StreamDeleteReason.PUBLISHER_STOPPED, over=True)
        leave_s = time.process_time() - began
        return Rooms(levels, round(leave_s / len(leaving) * 1e6, 1))
    finally:
        await engine.aclose()


def measure(members: tuple[int, ...] = MEMBERS) -> Rooms:
    """Fill one room step by step."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    gc.collect()
    # The collector walks everything that is held again and again: a server freezes what lives long, too.
    gc.disable()
    try:
        return asyncio.run(_run(members))
    finally:
        gc.enable()
        structlog.reset_defaults()

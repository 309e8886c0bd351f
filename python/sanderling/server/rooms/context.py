"""What the parts of the rooms share: the services around them and the index from media sessions to members."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from sanderling.bridge import MediaEngine
from sanderling.errors import ErrorCode, RoomError
from sanderling.server.bus import Bus
from sanderling.server.registry import Registry
from sanderling.server.rooms.member import Member, Publication
from sanderling.server.storage import Storage
from sanderling.signaling.messages import IceServer

__all__ = ["Background", "RoomContext", "check_present"]

log = structlog.get_logger("rooms")


class Background:
    """Tasks nobody awaits, held strongly, each with its failure logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` on its own."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_failed", exc_info=error)

    async def settle(self) -> None:
        """Wait until no task is left."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _session_id() -> str:
    return uuid.uuid4().hex


def _no_ice_servers(_user_id: str, _now: float) -> tuple[IceServer, ...]:
    return ()


@dataclass(slots=True)
class RoomContext:
    """Services and indexes. ``clock`` gives Unix seconds; ``new_session_id`` a fresh name for a session."""

    engine: MediaEngine
    storage: Storage
    registry: Registry
    bus: Bus
    node: str = "node-0"
    heartbeat_ms: int = 10_000
    clock: Callable[[], float] = time.time
    new_session_id: Callable[[], str] = _session_id
    ice_servers: Callable[[str, float], tuple[IceServer, ...]] = _no_ice_servers
    """TURN servers for a userID at a Unix time in seconds."""
    background: Background = field(default_factory=Background)
    publishers: dict[int, tuple[Member, Publication]] = field(default_factory=dict)
    """By session number in the engine."""
    viewers: dict[int, Member] = field(default_factory=dict)
    """By session number in the engine."""


def check_present(member: Member) -> None:
    """After an await: 1002057 when the session ended meanwhile. Nobody reads the reply, what was begun is undone."""
    if member.left:
        raise RoomError(ErrorCode.SESSION_ERROR, "the session ended while the request was under way")

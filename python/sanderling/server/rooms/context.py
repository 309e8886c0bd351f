"""What the parts of the rooms share: the services around them and the index from media sessions to members."""

from __future__ import annotations

import asyncio
import secrets
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
from sanderling.server.rooms.agenda import Agenda
from sanderling.server.rooms.member import Member, Publication
from sanderling.server.rooms.room import Room
from sanderling.server.storage import Storage
from sanderling.signaling.messages import IceServer, Kicked

__all__ = ["Background", "Farewell", "RoomContext", "check_present"]

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


def _secret() -> str:
    return secrets.token_urlsafe(24)


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


def _no_ice_servers(_user_id: str, _now: float) -> tuple[IceServer, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Farewell:
    """What a client finds in place of its session. Without it, it would log in again and end the session of whoever
    had ended its own.
    """

    secret: str
    kicked: Kicked

    def __repr__(self) -> str:
        # Without the secret: this text may reach a log.
        return f"Farewell(kicked={self.kicked!r})"


@dataclass(slots=True)
class RoomContext:
    """Services and indexes. ``clock`` gives Unix seconds, ``steady`` seconds that never jump; ``new_session_id`` a
    fresh name for a session.
    """

    engine: MediaEngine
    storage: Storage
    registry: Registry
    bus: Bus
    node: str = "node-0"
    silent_s: float = 30.0
    """How long a session may be silent where its project says nothing else."""
    closed_s: float = 5.0
    """How long one may be without its connection and without media before the others are told."""
    resume_s: float = 90.0
    """How long one may be without its connection before it is over."""
    settle_s: float = 0.0
    """How long after ``started`` the rooms may lack those who were there before a restart."""
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    new_session_id: Callable[[], str] = _session_id
    new_secret: Callable[[], str] = _secret
    later: Callable[[float, Callable[[], None]], object] = _later
    """Calls back after so many seconds: for what cannot wait for the agenda's next look."""
    ice_servers: Callable[[str, float], tuple[IceServer, ...]] = _no_ice_servers
    """TURN servers for a userID at a Unix time in seconds."""
    background: Background = field(default_factory=Background)
    agenda: Agenda = field(default_factory=Agenda)
    started: float = field(default_factory=time.monotonic)
    """Steady seconds."""
    rooms: dict[tuple[int, str], Room] = field(default_factory=dict)
    """With a member connected here, by AppID and roomID."""
    members: dict[str, Member] = field(default_factory=dict)
    """Connected here or on their way back, by session."""
    farewells: dict[str, Farewell] = field(default_factory=dict)
    """Resumable sessions that were ended by others, by session, while their client might have resumed them; the last
    ``MOST_FAREWELLS``."""
    publishers: dict[int, tuple[Member, Publication]] = field(default_factory=dict)
    """By session number in the engine."""
    viewers: dict[int, Member] = field(default_factory=dict)
    """By session number in the engine."""


def check_present(member: Member) -> None:
    """After an await: 1002057 when the session ended meanwhile. Nobody reads the reply, what was begun is undone."""
    if member.left:
        raise RoomError(ErrorCode.SESSION_ERROR, "the session ended while the request was under way")

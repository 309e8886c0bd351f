"""The rooms with a stand-in engine and recorded outboxes: whole conversations without a socket."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from sanderling import tokens
from sanderling.bridge import MediaEngine
from sanderling.enums import StreamDeleteReason
from sanderling.server.bus import InProcessBus
from sanderling.server.registry import InProcessRegistry
from sanderling.server.rooms import Connection, RoomManager
from sanderling.server.rooms.context import RoomContext
from sanderling.server.storage import Project
from sanderling.signaling.codec import decode_server
from sanderling.signaling.messages import (
    ClientMessage,
    Error,
    Login,
    LoginOk,
    Logout,
    Play,
    Publish,
    Resume,
    ResumeOk,
    RoomConfig,
    ServerMessage,
    User,
)
from sanderling.testing.fake_engine import Engine, FakeModule, make_offer
from sanderling.testing.memory_storage import NOW, MemoryStorage

M = TypeVar("M")

VIEWER = make_offer("recvonly", audio=2, video=2, video_codecs=("VP8", "H264"))


@dataclass
class RecordedOutbox:
    messages: list[ServerMessage] = field(default_factory=list)
    closed: str = ""

    def send(self, data: bytes) -> None:
        if not self.closed:
            self.messages.append(decode_server(data))

    def close(self, reason: str) -> None:
        self.closed = self.closed or reason

    @property
    def waiting(self) -> int:
        return len(self.messages)


class Client:
    """One connection of a test; ``take`` returns and forgets what was sent to it."""

    def __init__(self, world: World, user_id: str) -> None:
        self.world = world
        self.user = User(user_id, user_id.title())
        self.outbox = RecordedOutbox()
        self.connection: Connection = world.rooms.connect(self.outbox, f"192.0.2.1:{next(world.numbers)}")
        self._seq = itertools.count(1)
        world.clients.append(self)

    def next_seq(self) -> int:
        return next(self._seq)

    def take(self) -> list[ServerMessage]:
        taken, self.outbox.messages = self.outbox.messages, []
        return taken

    async def send(self, message: ClientMessage) -> None:
        await self.world.rooms.handle(self.connection, message)

    async def request(self, message: ClientMessage) -> ServerMessage:
        """Send and return the reply; notices are kept for ``take``."""
        await self.send(message)
        replies = [m for m in self.outbox.messages if getattr(m, "seq", 0) == message.seq]
        assert len(replies) == 1, f"one reply expected, got {replies}"
        self.outbox.messages.remove(replies[0])
        return replies[0]

    async def expect(self, message: ClientMessage, kind: type[M]) -> M:
        reply = await self.request(message)
        assert isinstance(reply, kind), reply
        return reply

    async def expect_error(self, message: ClientMessage, code: int) -> Error:
        reply = await self.request(message)
        assert isinstance(reply, Error), reply
        assert reply.code == code, reply
        assert reply.message
        return reply

    def login_message(self, project: Project, room_id: str = "room", **changes: Any) -> Login:
        values: dict[str, Any] = {
            "seq": self.next_seq(),
            "app_id": project.app_id,
            "room_id": room_id,
            "user": self.user,
            "token": self.world.token(project, self.user.user_id),
            "config": RoomConfig(is_user_status_notify=True),
            "viewer_offer": VIEWER,
        }
        return Login(**{**values, **changes})

    async def login(self, project: Project, room_id: str = "room", **changes: Any) -> LoginOk:
        return await self.expect(self.login_message(project, room_id, **changes), LoginOk)

    def publish_message(self, stream_id: str, **changes: Any) -> Publish:
        values: dict[str, Any] = {"seq": self.next_seq(), "stream_id": stream_id, "offer": make_offer()}
        return Publish(**{**values, **changes})

    def play_message(self, stream_id: str, **changes: Any) -> Play:
        return Play(**{"seq": self.next_seq(), "stream_id": stream_id, **changes})

    async def publish_live(self, stream_id: str, **changes: Any) -> int:
        """Publish and bring the transport up; returns its session number."""
        await self.request(self.publish_message(stream_id, **changes))
        member = self.connection.member
        assert member is not None
        handle = next(p.handle for p in member.publications.values() if p.stream.stream_id == stream_id)
        self.world.native.connect(handle.session)
        await self.world.settle()
        return handle.session

    async def resume(self, login: LoginOk, received: int, **changes: Any) -> Client:
        """Another connection takes the session over."""
        other = Client(self.world, self.user.user_id)
        other._seq = self._seq
        values = {"session_id": login.session_id, "secret": login.secret, "received": received}
        await other.expect(Resume(other.next_seq(), **{**values, **changes}), ResumeOk)
        return other

    async def logout(self) -> None:
        await self.send(Logout(self.next_seq()))

    async def drop(self, reason: StreamDeleteReason = StreamDeleteReason.CONNECTION_LOST) -> None:
        await self.world.rooms.disconnect(self.connection, reason)


class World:
    """Rooms with everything around them; ``now`` is their clock. ``shared``: what it has in common with other nodes."""

    def __init__(self, node: str = "node-0", shared: dict[str, Any] | None = None) -> None:
        self.now = NOW
        """Of both clocks."""
        self.jump = 0.0
        """How far the wall clock is off."""
        self.numbers = itertools.count(50_000)
        self.clients: list[Client] = []
        self.module = FakeModule()
        self.engine = MediaEngine(native=self.module, workers=2)
        self.native: Engine = self.module.made[0]
        shared = shared or {}
        self.storage = shared.get("storage") or MemoryStorage()
        self.bus = shared.get("bus") or InProcessBus()
        self.registry = shared.get("registry") or InProcessRegistry()
        self.context = RoomContext(
            engine=self.engine,
            storage=self.storage,
            registry=self.registry,
            bus=self.bus,
            node=node,
            clock=lambda: self.now + self.jump,
            steady=lambda: self.now,
            started=self.now,
        )
        self.rooms = RoomManager(self.context)

    async def project(self, **values: Any) -> Project:
        return await self.storage.create_project("test", **values)

    def token(self, project: Project, user_id: str, payload: str = "", *, effective_s: int = 3600) -> str:
        return tokens.generate(
            project.app_id, user_id, project.server_secret, effective_s, payload, now=self.now
        )

    def client(self, user_id: str) -> Client:
        return Client(self, user_id)

    async def pass_time(self, seconds: float) -> None:
        """The clocks move on; what is due happens."""
        self.now += seconds
        self.rooms.tick()
        await self.settle()

    async def settle(self) -> None:
        """Let everything that is ready happen."""
        for _ in range(20):
            await asyncio.sleep(0)
        await self.rooms.settle()

    async def assert_empty(self) -> None:
        """Nothing is held by anybody."""
        await self.settle()
        counts = self.rooms.counts()
        assert counts == dict.fromkeys(counts, 0)
        assert (self.registry.users, self.registry.streams) == (0, 0)
        assert self.bus.subscriptions == 0
        assert self.engine.open_sessions == 0
        assert self.engine.pending_commands == 0
        assert self.native.sessions == {}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.rooms.settle()
    await world.engine.aclose()


@pytest.fixture
async def nodes() -> AsyncIterator[Callable[[str, dict[str, Any]], World]]:
    """Makes nodes that share what they are given."""
    made: list[World] = []

    def make(node: str, shared: dict[str, Any]) -> World:
        made.append(World(node, shared))
        return made[-1]

    yield make
    for world in made:
        await world.rooms.settle()
        await world.engine.aclose()

"""The lab: the SDK and the server's rooms in one process, with a simulated clock, network and media between.

Everything is the product's own but the sockets (``lab_signalling``), the media (``lab_media``) and the storage, and no
time passes while nothing happens: half an hour without a network is a few milliseconds.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.websockets import WebSocket

from sanderling import EngineProfile, tokens
from sanderling.bridge import MediaEngine
from sanderling.server.bus import InProcessBus
from sanderling.server.lifecycle import SETTLE_S, TICK_S
from sanderling.server.registry import InProcessRegistry
from sanderling.server.rooms import RoomManager
from sanderling.server.rooms.context import RoomContext
from sanderling.server.source_limits import SourceLimiter
from sanderling.server.storage import Project
from sanderling.server.ws.session import SessionLimits, SessionObserver, SignallingSession
from sanderling.testing.fake_engine import FakeModule
from sanderling.testing.memory_storage import NOW, MemoryStorage
from scenario.lab_media import LabMedia, places
from scenario.lab_signalling import NETWORKS, LabConnection, LabNetwork
from scenario.sdk_user import SdkUser

__all__ = ["Lab", "lab"]

RESTART_S = 1.0
"""How long the server is away when it is restarted."""
SERVER = "lab"


class Lab:
    """See ``bodies.Stage``."""

    def __init__(self, project: Project, storage: MemoryStorage) -> None:
        self.project = project
        self.network = LabNetwork()
        self.media = LabMedia()
        self.users: list[SdkUser] = []
        self.rooms: RoomManager | None = None
        self._storage = storage
        self._engine: MediaEngine | None = None
        self._hosts = itertools.count(1)
        self._beats: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the server."""
        loop = asyncio.get_running_loop()
        module = FakeModule()
        self._engine = MediaEngine(native=module, workers=1)
        rooms = self.rooms = RoomManager(
            RoomContext(
                engine=self._engine,
                storage=self._storage,
                registry=InProcessRegistry(),
                bus=InProcessBus(),
                clock=lambda: NOW + loop.time(),
                steady=loop.time,
                started=loop.time(),
                settle_s=SETTLE_S,
            )
        )
        limits, observer, logins = SessionLimits(), SessionObserver(), SourceLimiter(0)

        async def serve(socket: WebSocket) -> None:
            await socket.accept()
            await SignallingSession(socket, rooms, limits, observer, logins, monotonic=loop.time).run()

        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK_S)
                rooms.tick()

        self.media.engine = module.made[0]
        self.network.serve = serve
        self._beats = [loop.create_task(tick()), loop.create_task(self.media.pulse())]

    async def stop(self) -> None:
        """End the server without a word."""
        self.network.serve = self.media.engine = None
        self.network.break_off()
        for beat in self._beats:
            beat.cancel()
        if self.rooms is not None and self._engine is not None:
            await self.rooms.settle()
            await self._engine.aclose()

    async def user(self, user_id: str) -> SdkUser:
        host = f"host{next(self._hosts)}"
        profile = EngineProfile(app_id=self.project.app_id, server=f"http://{host}.{SERVER}")
        now = NOW + asyncio.get_running_loop().time()
        token = tokens.generate(self.project.app_id, user_id, self.project.server_secret, 3600, "", now=now)

        def cut(away: bool) -> None:
            (self.network.cut if away else self.network.mend)(host)

        self.users.append(SdkUser(user_id, profile, token, cut))
        return self.users[-1]

    async def kick(self, room: str, user_id: str, reason: str) -> None:
        assert self.rooms is not None
        await self.rooms.administration.kick(self.project.app_id, room, user_id, reason)

    async def restart(self) -> None:
        await self.stop()
        await asyncio.sleep(RESTART_S)
        self.start()


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """A lab with a running server; use it on a loop of ``virtual_clock``."""
    storage = MemoryStorage()
    stage = Lab(await storage.create_project("lab", l3=True), storage)
    NETWORKS[SERVER] = stage.network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sanderling.sdk.session.Connection", LabConnection)
        for name, value in places(stage.media):
            patch.setattr(name, value)
        stage.start()
        try:
            yield stage
        finally:
            for user in stage.users:
                await user.aclose()
            await stage.stop()
            await stage.network.aclose()
            del NETWORKS[SERVER]

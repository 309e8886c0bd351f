"""A server with a project, and users of it that write down what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sanderling import Engine, EngineProfile, Room, RoomConfig, User
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server
from unit.sdk.recorder import Recorder


class Town:
    """A server with a project; ``join`` makes a user with a recorder."""

    def __init__(self, node: TestServer, project: Project) -> None:
        self.node = node
        self.project = project
        self.engines: list[Engine] = []

    def engine(self, recorder: Recorder | None = None, **profile: object) -> Engine:
        engine = Engine(
            EngineProfile(app_id=self.project.app_id, server=self.node.url, **profile),  # type: ignore[arg-type]
            recorder,
        )
        self.engines.append(engine)
        return engine

    def config(self, user: str, **token: object) -> RoomConfig:
        made = self.node.token(self.project, user, **token)  # type: ignore[arg-type]
        return RoomConfig(token=made, is_user_status_notify=True)

    async def join(self, user: str, room: str = "r", **token: object) -> tuple[Room, Recorder]:
        recorder = Recorder()
        config = self.config(user, **token)
        return await self.engine(recorder).login_room(room, User(user, user), config), recorder


@asynccontextmanager
async def town(*, l3: bool = True) -> AsyncIterator[Town]:
    async with server() as node:
        it = Town(node, await node.create_project(l3=l3))
        try:
            yield it
        finally:
            for engine in it.engines:
                await engine.destroy()

"""A host that pushes pictures and a viewer that sees what becomes of them, with a server between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    PixelFormat,
    Player,
    RoomConfig,
    User,
    VideoFrame,
)
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server
from unit.sdk.picture_files import plain
from unit.sdk.recorder import Recorder

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SECONDS = 20.0


class World:
    """A server, a host that pushes pictures and a viewer."""

    def __init__(self, node: TestServer, project: Project) -> None:
        self.node = node
        self.project = project
        self.heard = Recorder()
        self.seen = Recorder()
        self.source = CustomVideoSource()
        self.picture = plain(320, 240, *RED)
        self.host: Engine
        self.viewer: Engine

    def token(self, user: str) -> str:
        return self.node.token(self.project, user)

    async def push(self) -> None:
        """Push the picture of the moment, 25 a second."""
        while True:
            await self.source.push(VideoFrame.from_ndarray(self.picture, PixelFormat.RGB24))
            await asyncio.sleep(0.04)

    async def play(self, stream_id: str = "film") -> Player:
        player = await self.viewer.start_playing_stream(stream_id)
        await player.first_frame(SECONDS)
        return player


@asynccontextmanager
async def world(**settings: object) -> AsyncIterator[World]:
    async with server() as node:
        project = await node.create_project()
        if settings:
            await node.change_project(project, **settings)
        profile = EngineProfile(app_id=project.app_id, server=node.url)
        made = World(node, project)
        async with Engine(profile, made.heard) as made.host, Engine(profile, made.seen) as made.viewer:
            for engine, name in ((made.host, "host"), (made.viewer, "viewer")):
                login = engine.login_room("r", User(name, name), RoomConfig(token=node.token(project, name)))
                await login
            made.room = made.host.rooms["r"]
            pushing = asyncio.create_task(made.push())
            try:
                yield made
            finally:
                pushing.cancel()


def near(pixel: NDArray[np.uint8], *color: int, by: int = 40) -> bool:
    """The same colour but for what encoding costs."""
    return bool(np.abs(pixel.astype(int) - np.array(color)).max() <= by)


async def until_seen(player: Player, x: float, y: float, *color: int) -> None:
    """Wait until the point at these shares of width and height has that colour."""
    last: NDArray[np.uint8] | None = None
    try:
        async with asyncio.timeout(SECONDS):
            async for frame in player.video(PixelFormat.RGB24):
                pixels = frame.planes[0]
                last = pixels[int(y * frame.height), int(x * frame.width)]
                if near(last, *color):
                    return
    except TimeoutError:
        raise AssertionError(f"at {x}, {y} there is {last}, not {color}") from None

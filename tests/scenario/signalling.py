"""A raw WebSocket client, real WebRTC peers and a server around them, for the tests of signalling."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import websockets
from websockets.asyncio.client import ClientConnection, connect

from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import PixelFormat, VideoFrame
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.viewer import ViewerTransport
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""

Json = dict[str, Any]


class Client:
    """A WebSocket and the messages read from it: replies by seq, notices in order."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.seq = itertools.count(1)
        self.notices: list[Json] = []

    async def read(self) -> Json:
        async with asyncio.timeout(LIMIT_S):
            return json.loads(await self.socket.recv())

    async def request(self, type_: str, **fields: Any) -> Json:
        seq = next(self.seq)
        await self.socket.send(json.dumps({"type": type_, "seq": seq, **fields}))
        while True:
            message = await self.read()
            if message.get("seq") == seq:
                return message
            self.notices.append(message)

    async def ok(self, type_: str, **fields: Any) -> Json:
        reply = await self.request(type_, **fields)
        assert reply["type"] != "error", reply
        return reply

    async def error(self, code: int, type_: str, **fields: Any) -> Json:
        reply = await self.request(type_, **fields)
        assert (reply["type"], reply.get("code")) == ("error", code), reply
        assert reply["message"]
        return reply

    async def notice(self, type_: str, **fields: Any) -> Json:
        """The next notice of this kind with these fields; others before it are dropped."""
        while True:
            message = self.notices.pop(0) if self.notices else await self.read()
            if message["type"] == type_ and fields.items() <= message.items():
                return message

    async def closed(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    self.notices.append(json.loads(await self.socket.recv()))
        assert self.socket.close_code is not None
        return self.socket.close_code


class Stage:
    """A server, a project, and clients that are closed at the end."""

    def __init__(self, running: TestServer, project: Project) -> None:
        self.server = running
        self.project = project
        self.stack = contextlib.AsyncExitStack()

    async def client(self) -> Client:
        return Client(await self.stack.enter_async_context(connect(self.server.ws_url)))

    def login_fields(self, user_id: str, room_id: str = "room", **changes: Any) -> Json:
        project = changes.pop("project", self.project)
        return {
            "app_id": project.app_id,
            "room_id": room_id,
            "user": {"user_id": user_id, "user_name": user_id},
            "token": self.server.token(project, user_id) if user_id else "04",
            "config": {"is_user_status_notify": True},
            **changes,
        }

    async def logged_in(self, user_id: str, room_id: str = "room", **changes: Any) -> Client:
        client = await self.client()
        await client.ok("login", **self.login_fields(user_id, room_id, **changes))
        return client

    async def empty(self) -> None:
        """Wait until the server holds nothing; what the last client held goes as soon as its socket does.

        The parts let go one after the other: a room before the registry, the registry before the engine's threads.
        """
        left: Json = {}
        try:
            async with asyncio.timeout(LIMIT_S):
                while left := await self._left():
                    await asyncio.sleep(0.01)  # other threads work on it
        except TimeoutError:
            raise AssertionError(f"the server still holds {left}") from None

    async def _left(self) -> Json:
        """What the server holds, nothing that is 0."""
        held = await self.server.snapshot()
        counts = {**held["counts"], **{f"registry {kind}": n for kind, n in held["registry"].items()}}
        counts |= {"subscriptions": held["subscriptions"], "sessions": held["sessions"]}
        counts["engine"] = held["engine"]["sessions"]
        return {name: number for name, number in counts.items() if number}


@contextlib.asynccontextmanager
async def stage(*, l3: bool = True, max_plays: int = 12, **arguments: Any) -> AsyncIterator[Stage]:
    async with server(**arguments) as running:
        on = Stage(running, await running.create_project(l3=l3, max_plays=max_plays))
        async with on.stack:
            yield on


@contextlib.asynccontextmanager
async def publishing(client: Client, stream_id: str, **fields: Any) -> AsyncIterator[Json]:
    """Publish moving pictures over a real transport; live inside."""
    publisher = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=lambda *_: None)
    try:
        reply = await client.ok("publish", stream_id=stream_id, offer=await publisher.offer(), **fields)
        await publisher.accept(reply["answer"])
        await client.notice("publisher_state", stream_id=stream_id, state=2)
        task = asyncio.create_task(_send(publisher))
        try:
            yield reply
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        publisher.close()


async def _send(publisher: PublisherTransport) -> None:
    assert publisher.video is not None
    for number in itertools.count():
        picture = np.full((180, 320, 4), number % 256, np.uint8)
        publisher.video.write(
            VideoFrame.from_ndarray(picture, PixelFormat.RGBA, captured_ns=time.monotonic_ns())
        )
        await asyncio.sleep(0.04)  # the pace of the source, as of a camera


@contextlib.asynccontextmanager
async def watching(on: Stage, user_id: str, room_id: str = "room") -> AsyncIterator[Client]:
    """Log in with a real viewer transport."""
    viewer = ViewerTransport((), lambda *_: None)
    try:
        client = await on.client()
        fields = on.login_fields(user_id, room_id, viewer_offer=await viewer.offer())
        reply = await client.ok("login", **fields)
        await viewer.accept(reply["viewer_answer"])
        yield client
    finally:
        viewer.close()

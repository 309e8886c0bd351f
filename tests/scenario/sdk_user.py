"""A user of a body (see ``bodies``) that is the Python SDK: in the lab and on real sockets alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    PixelFormat,
    PlayerState,
    Room,
    RoomConfig,
    RoomStateReason,
    StreamDeleteReason,
    UpdateType,
    User,
    VideoFrame,
)
from unit.sdk.recorder import Call, Recorder

__all__ = ["SdkUser"]

LIMIT_S = 30.0
"""How long a machine may be busy with something else before a test gives up."""

EXPECTED = ("room", "users", "streams", "player", "broadcast")
"""Kinds of events that a body expects, every one."""


async def push(source: CustomVideoSource) -> None:
    """Moving pictures at the pace of a camera."""
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


class SdkUser:
    """See ``bodies.User``. ``cut`` and ``mend``: what happens to this user's way to the server."""

    def __init__(self, user_id: str, profile: EngineProfile, token: str, cut: Callable[[bool], None]) -> None:
        self._id = user_id
        self._token = token
        self._cut = cut
        self._recorder = Recorder()
        self._engine = Engine(profile, self._recorder)
        self._engine.enable_custom_video_render(True)
        self._room: Room | None = None
        self._seen = dict.fromkeys(EXPECTED, 0)
        self._pushing: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> Room:
        assert self._room is not None
        return self._room

    async def aclose(self) -> None:
        for task in self._pushing:
            task.cancel()
        await self._engine.destroy()

    async def log_in(self, room: str) -> None:
        config = RoomConfig(token=self._token, is_user_status_notify=True)
        self._room = await self._engine.login_room(room, User(self._id, self._id.title()), config)

    async def log_out(self) -> None:
        await self.room.logout()

    async def publish(self, stream: str) -> None:
        source = CustomVideoSource()
        self._pushing.add(asyncio.get_running_loop().create_task(push(source)))
        await self.room.start_publishing_stream(stream, source)

    async def stop_publishing(self, stream: str) -> None:
        for publisher in list(self.room.publishers.values()):
            if publisher.stream_id == stream:
                await publisher.stop()

    async def play(self, stream: str) -> None:
        await self.room.start_playing_stream(stream)

    async def picture(self, stream: str) -> None:
        before = len(self._recorder.frames)
        await self._recorder.until(lambda: len(self._recorder.frames) > before, LIMIT_S)

    async def say(self, text: str) -> None:
        await self.room.send_broadcast_message(text)

    async def cut(self) -> None:
        self._cut(True)

    async def mend(self) -> None:
        self._cut(False)

    async def expect_state(self, reason: RoomStateReason, code: int = 0) -> None:
        assert await self._next("room") == (self.room.id, reason, code)

    async def expect_users(self, update: UpdateType, *user_ids: str) -> None:
        assert await self._next("users") == (self.room.id, update, user_ids)

    async def expect_streams(
        self, update: UpdateType, *streams: str, reason: StreamDeleteReason | None = None
    ) -> None:
        reasons = (reason,) * len(streams)
        assert await self._next("streams") == (self.room.id, update, streams, reasons)

    async def expect_player(self, stream: str, state: PlayerState, code: int = 0) -> None:
        assert await self._next("player") == (stream, state, code)

    async def expect_message(self, sender: str, text: str) -> None:
        assert await self._next("broadcast") == (self.room.id, sender, text)

    async def expect_nothing_else(self) -> None:
        for kind, seen in self._seen.items():
            assert self._recorder.of(kind)[seen:] == []

    async def _next(self, kind: str) -> Call:
        number = self._seen[kind]
        self._seen[kind] += 1
        await self._recorder.until(lambda: len(self._recorder.of(kind)) > number, LIMIT_S)
        return self._recorder.of(kind)[number]

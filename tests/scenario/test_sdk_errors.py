"""Every named mistake ends in its code and a sentence, through the SDK, and what ran before it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    ErrorCode,
    PixelFormat,
    PlayerConfig,
    PlayError,
    PlayerState,
    Publisher,
    PublisherConfig,
    PublishError,
    PublisherState,
    ResourceMode,
    Room,
    RoomConfig,
    RoomError,
    SanderlingError,
    TokenError,
    User,
    VideoCodec,
    VideoFrame,
)
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server

pytestmark = pytest.mark.timeout(90)

ROOM = "errors"


class World:
    """A server with a project, and users of it."""

    def __init__(self, node: TestServer, project: Project) -> None:
        self.node = node
        self.project = project
        self.engines: list[Engine] = []
        self.pushing: list[asyncio.Task[None]] = []

    def engine(self, **profile: object) -> Engine:
        settings = {"app_id": self.project.app_id, "server": self.node.url, **profile}
        engine = Engine(EngineProfile(**settings))  # type: ignore[arg-type]
        self.engines.append(engine)
        return engine

    async def join(self, user: str, room: str = ROOM, **profile: object) -> Room:
        token = self.node.token(self.project, user)
        return await self.engine(**profile).login_room(room, User(user, user), RoomConfig(token=token))

    async def publish(self, room: Room, stream: str, codec: VideoCodec = VideoCodec.VP8) -> Publisher:
        source = CustomVideoSource()
        self.pushing.append(asyncio.create_task(push(source)))
        return await room.start_publishing_stream(stream, source, config=PublisherConfig(video_codec=codec))


async def push(source: CustomVideoSource) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


@asynccontextmanager
async def world(*, l3: bool = True, max_plays: int = 12) -> AsyncIterator[World]:
    async with server() as node:
        it = World(node, await node.create_project(l3=l3, max_plays=max_plays))
        try:
            yield it
        finally:
            for task in it.pushing:
                task.cancel()
            for engine in it.engines:
                await engine.destroy()


async def test_only_l3_without_the_service_and_again_once_it_is_on() -> None:
    async with world(l3=False) as it:
        host, viewer = await it.join("host"), await it.join("viewer")
        await it.publish(host, "film")
        config = PlayerConfig(resource_mode=ResourceMode.ONLY_L3)
        with pytest.raises(PlayError) as caught:
            await viewer.start_playing_stream("film", config)
        assert caught.value.code == ErrorCode.L3_NOT_ENABLED
        assert caught.value.message
        await it.node.set_l3(it.project, True)
        player = await viewer.start_playing_stream("film", config)
        await player.first_frame(10)
        assert player.resource_mode is ResourceMode.ONLY_L3


async def test_neither_token_nor_app_sign() -> None:
    async with world() as it:
        with pytest.raises(TokenError) as caught:
            await it.engine().login_room(ROOM, User("alice", "Alice"), RoomConfig())
        assert caught.value.code == ErrorCode.TOKEN_MISSING


async def test_an_app_id_that_is_not_known() -> None:
    async with world() as it:
        wrong = it.project.app_id ^ 1
        with pytest.raises(RoomError) as caught:
            await it.engine(app_id=wrong).login_room(
                ROOM, User("alice", "Alice"), RoomConfig(token=it.node.token(it.project, "alice"))
            )
        assert caught.value.code == ErrorCode.APP_ID_INCORRECT


async def test_the_app_sign_instead_of_a_token() -> None:
    async with world() as it:
        engine = it.engine(app_sign=it.project.app_sign)
        room = await engine.login_room(ROOM, User("alice", "Alice"))
        assert room.id == ROOM


async def test_a_token_without_the_right_to_publish() -> None:
    async with world() as it:
        token = it.node.token(it.project, "alice", room_id=ROOM, can_publish=False)
        room = await it.engine().login_room(ROOM, User("alice", "Alice"), RoomConfig(token=token))
        with pytest.raises(PublishError) as caught:
            await it.publish(room, "film")
        assert caught.value.code == ErrorCode.PUBLISH_NOT_AUTHORIZED


@pytest.mark.parametrize("other_room", [ROOM, "elsewhere"])
async def test_a_stream_id_that_is_taken_and_the_first_goes_on(other_room: str) -> None:
    async with world() as it:
        host, thief, viewer = (
            await it.join("host"),
            await it.join("thief", other_room),
            await it.join("viewer"),
        )
        publisher = await it.publish(host, "film")
        player = await viewer.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        with pytest.raises(PublishError) as caught:
            await it.publish(thief, "film")
        assert caught.value.code == ErrorCode.STREAM_ID_EXISTS
        for _ in range(5):
            await anext(pictures)
        assert publisher.state is PublisherState.PUBLISHING
        assert player.state is PlayerState.PLAYING


async def test_a_default_user() -> None:
    async with world() as it:
        with pytest.raises(RoomError) as caught:
            await it.engine().login_room(ROOM, User(), RoomConfig(token="x"))
        assert caught.value.code == ErrorCode.USER_ID_EMPTY


async def test_publish_and_play_without_a_login() -> None:
    async with world() as it:
        engine = it.engine()
        for call in (
            engine.start_publishing_stream("film", CustomVideoSource()),
            engine.start_playing_stream("film"),
        ):
            with pytest.raises(SanderlingError) as caught:
                await call
            assert caught.value.code == ErrorCode.NOT_LOGGED_IN


async def test_the_play_above_the_limit() -> None:
    async with world() as it:
        host, viewer = await it.join("host"), await it.join("viewer")
        await it.publish(host, "film-0")
        others = [await it.join(f"host-{number}") for number in range(1, 13)]
        for number, other in enumerate(others, 1):
            await it.publish(other, f"film-{number}")
        players = [await viewer.start_playing_stream(f"film-{number}") for number in range(12)]
        with pytest.raises(PlayError) as caught:
            await viewer.start_playing_stream("film-12")
        assert caught.value.code == ErrorCode.TOO_MANY_PLAYS
        for player in players:
            await player.first_frame(20)
        await players[0].stop()
        player = await viewer.start_playing_stream("film-12")
        await player.first_frame(20)


async def test_a_codec_that_the_viewer_lacks() -> None:
    async with world() as it:
        host = await it.join("host")
        # As long as all who are there decode VP9, it is published; who comes later may lack it.
        await it.publish(host, "film", VideoCodec.VP9)
        viewer = await it.join("viewer", video_codecs=(VideoCodec.VP8,))
        with pytest.raises(PlayError) as caught:
            async with asyncio.timeout(10):
                await viewer.start_playing_stream("film")
        assert caught.value.code == ErrorCode.DECODER_UNSUPPORTED
        assert "VP9" in str(caught.value)


async def test_a_slot_shows_only_the_stream_it_is_bound_to() -> None:
    async with world() as it:
        host, other, viewer = await it.join("host"), await it.join("other"), await it.join("viewer")
        dark, bright = CustomVideoSource(), CustomVideoSource()
        it.pushing += [asyncio.create_task(push_grey(dark, 30)), asyncio.create_task(push_grey(bright, 220))]
        await host.start_publishing_stream("dark", dark)
        await other.start_publishing_stream("bright", bright)
        for stream, luma in (("dark", 30), ("bright", 220)) * 3:
            player = await viewer.start_playing_stream(stream)
            pictures = player.video(keep=0)
            for _ in range(3):
                frame = await anext(pictures)
                assert abs(int(frame.planes[0][frame.height // 2, frame.width // 2]) - luma) <= 6
            await player.stop()


async def push_grey(source: CustomVideoSource, luma: int) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    picture[:180] = luma
    while True:
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


async def test_a_play_that_waits_for_its_stream() -> None:
    async with world() as it:
        host, viewer = await it.join("host"), await it.join("viewer")
        playing = viewer.start_playing_stream("film")
        await it.publish(host, "film")
        player = await playing
        await player.first_frame(10)


async def test_login_publish_and_play_in_one_tick() -> None:
    async with world() as it:
        engine = it.engine()
        source = CustomVideoSource()
        it.pushing.append(asyncio.create_task(push(source)))
        token = it.node.token(it.project, "alice")
        engine.login_room(ROOM, User("alice", "Alice"), RoomConfig(token=token))
        publishing = engine.start_publishing_stream("mine", source)
        playing = engine.start_playing_stream("mine")
        await publishing
        await (await playing).first_frame(10)

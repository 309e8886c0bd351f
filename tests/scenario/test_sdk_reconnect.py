"""Connections and servers that go away and come back: who notices, what is lost, when the picture is there again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    PixelFormat,
    PlayerState,
    PublisherState,
    RoomConfig,
    RoomStateReason,
    User,
    VideoFrame,
)
from scenario.node_process import node_process
from unit.sdk.recorder import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

LOGINING, LOGINED = RoomStateReason.LOGINING, RoomStateReason.LOGINED
RECONNECTING, RECONNECTED = RoomStateReason.RECONNECTING, RoomStateReason.RECONNECTED


async def push(source: CustomVideoSource) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


@asynccontextmanager
async def pushing() -> AsyncIterator[CustomVideoSource]:
    source = CustomVideoSource()
    task = asyncio.create_task(push(source))
    try:
        yield source
    finally:
        task.cancel()


async def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    hosting, viewing = Recorder(), Recorder()
    async with node_process(tmp_path / "state") as node, pushing() as source:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url)
        async with Engine(profile, hosting) as host, Engine(profile, viewing) as viewer:
            config = RoomConfig(token=node.token("host"), is_user_status_notify=True)
            room = await host.login_room("r", User("host", "Host"), config)
            publisher = await room.start_publishing_stream("film", source)
            config = RoomConfig(token=node.token("viewer"), is_user_status_notify=True)
            other = await viewer.login_room("r", User("viewer", "Viewer"), config)
            player = await other.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            before = list(viewing.calls)
            await node.kill()
            await viewing.until_call("room", "r", RECONNECTING, 1002051)
            await node.start()
            up = time.monotonic()
            await viewing.until_call("room", "r", RECONNECTED, 0)
            await viewing.until(lambda: player.state is PlayerState.PLAY_REQUESTING)
            pictures = player.video()
            await anext(pictures)
            back = time.monotonic() - up
            print("picture back after", back)
            assert publisher.state is PublisherState.PUBLISHING
            assert player.state is PlayerState.PLAYING
            assert [call[1] for call in viewing.of("room")] == [LOGINING, LOGINED, RECONNECTING, RECONNECTED]
            assert [call[1] for call in hosting.of("room")] == [LOGINING, LOGINED, RECONNECTING, RECONNECTED]
            # Nobody is told that anybody went or came.
            assert viewing.of("streams") == [call[1:] for call in before if call[0] == "streams"]
            assert viewing.of("users") == [call[1:] for call in before if call[0] == "users"]
            print(hosting.calls, viewing.calls)

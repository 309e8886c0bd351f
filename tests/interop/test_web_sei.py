"""Data inside pictures between pages and the Python SDK, in each codec that has a place for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser

from interop.browser_user import open_user
from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    PlayerConfig,
    PlayerSei,
    PublisherConfig,
    RoomConfig,
    User,
    VideoCodec,
)
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer
from scenario.sdk_user import push

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

LISTEN = """() => user.engine.on('playerRecvSEI', (stream, data) => {
    user.sei = [...(user.sei ?? []), [stream, data.length, data[0]]];
})"""


@pytest.mark.parametrize("codec", ["VP8", "AV1"])
async def test_data_in_pictures_both_ways(
    codec: str, browser: Browser, host: TestServer, project: Project
) -> None:
    async with AsyncExitStack() as stack:
        bob = await open_user(
            stack, browser, host.port, "bob", app_id=project.app_id, token=host.token(project, "bob")
        )
        await bob.log_in("r")
        await bob.call(LISTEN)
        engine = await stack.enter_async_context(
            Engine(EngineProfile(app_id=project.app_id, server=host.url))
        )
        room = await engine.login_room(
            "r", User("alice", "Alice"), RoomConfig(token=host.token(project, "alice"))
        )

        source = CustomVideoSource()
        pushing = asyncio.create_task(push(source))
        stack.callback(pushing.cancel)
        config = PublisherConfig(video_codec=VideoCodec[codec], side_info=True)
        publisher = await room.start_publishing_stream("film", source, config=config)
        await bob.begin_to_play("film", isSEIStart=True)
        await bob.picture("film")
        for number in range(1, 6):
            await publisher.send_sei(bytes([number]) * 4096)
            await bob.page.wait_for_function(
                "n => (user.sei ?? []).length === n && user.sei[n - 1][1] === 4096 && user.sei[n - 1][2] === n",
                arg=number,
            )
        await bob.picture("film")

        await bob.publish("page", videoCodec=codec, isSEIStart=True)
        pieces = room.events(PlayerSei)
        player = await room.start_playing_stream("page", PlayerConfig(side_info=True))
        await player.first_frame(20)
        for number in range(1, 6):
            script = "n => user.engine.sendSEI('page', new Uint8Array(1000).fill(n))"
            assert await bob.call(script, number) is True
            async with asyncio.timeout(20):
                piece = await anext(pieces)
            assert (piece.stream_id, piece.data) == ("page", bytes([number]) * 1000)
        for size, code in ((0, 1003043), (4097, 1003044)):
            script = """size => {
                try { return user.engine.sendSEI('page', new Uint8Array(size)); }
                catch ({ errorCode }) { return errorCode; }
            }"""
            assert await bob.call(script, size) == code
        assert bob.errors == []


async def test_data_in_h264_pictures_between_pages(
    browser: Browser, host: TestServer, project: Project
) -> None:
    # The Python SDK has no encoder for it: a page plays what it publishes.
    async with AsyncExitStack() as stack:
        bob = await open_user(
            stack, browser, host.port, "bob", app_id=project.app_id, token=host.token(project, "bob")
        )
        await bob.log_in("r")
        await bob.call(LISTEN)
        await bob.publish("page", videoCodec="H264", isSEIStart=True)
        await bob.begin_to_play("page", isSEIStart=True)
        await bob.picture("page")
        for number in range(1, 6):
            script = "n => user.engine.sendSEI('page', new Uint8Array(4096).fill(n))"
            assert await bob.call(script, number) is True
            await bob.page.wait_for_function(
                "n => (user.sei ?? []).length === n && user.sei[n - 1][1] === 4096 && user.sei[n - 1][2] === n",
                arg=number,
            )
        await bob.picture("page")
        assert bob.errors == []

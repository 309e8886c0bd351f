"""Processes that die or leave in a hurry: what the others are told, with which reason, and that nothing stays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sanderling import (
    Engine,
    EngineProfile,
    PlayerState,
    RoomConfig,
    StreamDeleteReason,
    UpdateType,
    User,
)
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server
from unit.sdk.recorder import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

LIMIT_S = 30.0
"""How long a machine may be busy with something else before a test gives up."""

DELETE = UpdateType.DELETE
STOPPED, LOST = (StreamDeleteReason.PUBLISHER_STOPPED,), (StreamDeleteReason.CONNECTION_LOST,)


@asynccontextmanager
async def user_process(
    node: TestServer, project: Project, role: str, end: str = "stay"
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("room_user.py")), node.url, str(project.app_id)),
        *(node.token(project, "guest"), "guest", role, "film", end),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def watcher(node: TestServer, project: Project) -> AsyncIterator[tuple[Engine, Recorder]]:
    recorder = Recorder()
    async with Engine(EngineProfile(app_id=project.app_id, server=node.url), recorder) as engine:
        config = RoomConfig(token=node.token(project, "watcher"), is_user_status_notify=True)
        await engine.login_room("r", User("watcher", "Watcher"), config)
        yield engine, recorder


def order(recorder: Recorder, *wanted: str) -> list[str]:
    return [str(call[0]) for call in recorder.calls if call[0] in wanted]


async def test_a_publisher_that_is_killed() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            watcher(node, project) as (engine, recorder),
            user_process(node, project, "publish") as host,
        ):
            assert engine.room is not None
            player = await engine.room.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            host.kill()
            # The iterator ends with the stream, and without an error.
            async with asyncio.timeout(LIMIT_S):
                async for _ in pictures:
                    pass
            await recorder.until_call("users", "r", DELETE, ("guest",), seconds=LIMIT_S)
            assert recorder.of("streams")[-1] == ("r", DELETE, ("film",), LOST)
            assert recorder.of("player")[-1] == ("film", PlayerState.NO_PLAY, 0)
            assert order(recorder, "streams", "users")[-2:] == ["streams", "users"]


async def test_a_player_that_is_killed() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with watcher(node, project) as (engine, recorder):
            from scenario.test_sdk_reconnect import pushing

            async with pushing() as source:
                assert engine.room is not None
                await engine.room.start_publishing_stream("film", source)
                async with user_process(node, project, "play") as guest:
                    guest.kill()
                    await recorder.until_call("users", "r", DELETE, ("guest",), seconds=LIMIT_S)
                assert recorder.of("streams") == []


@pytest.mark.parametrize("end", ["logout", "destroy"])
async def test_a_process_that_ends_tells_the_others(end: str) -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            watcher(node, project) as (_, recorder),
            user_process(node, project, "publish", end) as host,
        ):
            assert host.stdin is not None
            host.stdin.write(b"\n")
            await host.stdin.drain()
            async with asyncio.timeout(LIMIT_S):
                assert await host.wait() == 0
            if end == "destroy":
                # The server had confirmed it before the process was gone.
                snapshot = await node.snapshot()
                assert snapshot["counts"]["users"] == 1
                assert snapshot["counts"]["streams"] == 0
            await recorder.until_call("users", "r", DELETE, ("guest",), seconds=LIMIT_S)
            reason = STOPPED if end == "destroy" else LOST
            stream = recorder.of("streams")[-1]
            assert stream in [("r", DELETE, ("film",), reason), ("r", DELETE, ("film",), STOPPED)]

"""Processes that die or leave in a hurry: what the others are told, with which reason, and that nothing stays."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

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
from scenario.user_process import LIMIT_S, UserProcess, user_process
from unit.sdk.recorder import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

DELETE = UpdateType.DELETE
STOPPED, LOST = (StreamDeleteReason.PUBLISHER_STOPPED,), (StreamDeleteReason.CONNECTION_LOST,)


GRACE_S = 5.0
"""How long a user whose connection was lost stays in the room for the others."""
BUSY_S = 3.0
"""What a busy machine may add; with it, what happens at once is still told well before the grace is over."""


def guest(
    node: TestServer, project: Project, role: str, end: str = "stay"
) -> AbstractAsyncContextManager[UserProcess]:
    return user_process(node.url, project.app_id, node.token(project, "guest"), role, end)


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
            guest(node, project, "publish") as host,
        ):
            assert engine.room is not None
            player = await engine.room.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            host.process.kill()
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
                async with guest(node, project, "play") as viewer:
                    viewer.process.kill()
                    await recorder.until_call("users", "r", DELETE, ("guest",), seconds=LIMIT_S)
                assert recorder.of("streams") == []


async def test_a_process_that_ends_right_after_an_unawaited_logout() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            watcher(node, project) as (_, recorder),
            guest(node, project, "publish", "logout") as host,
        ):
            assert await host.finish() == 0
            # Nothing was sent any more: this is a connection that was lost, and the grace is what the others wait.
            await recorder.until_call("users", "r", DELETE, ("guest",), seconds=GRACE_S + BUSY_S)
            assert recorder.of("streams")[-1] == ("r", DELETE, ("film",), LOST)


async def test_a_process_that_ends_after_an_awaited_destroy() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            watcher(node, project) as (_, recorder),
            guest(node, project, "publish", "destroy") as host,
        ):
            assert await host.finish() == 0
            # At once, and not after the grace: the server had confirmed it before the process was gone.
            snapshot = await node.snapshot()
            assert snapshot["counts"]["users"] == 1
            assert snapshot["counts"]["streams"] == 0
            await recorder.until_call("users", "r", DELETE, ("guest",), seconds=BUSY_S)
            assert recorder.of("streams")[-1] == ("r", DELETE, ("film",), STOPPED)


async def test_a_process_that_stands_still_and_reads_nothing() -> None:
    async with server(messages_per_s=100_000) as node:
        project = await node.create_project(l3=True)
        await node.change_project(project, group_commands_per_s=1_000_000)
        async with (
            watcher(node, project) as (engine, recorder),
            guest(node, project, "publish") as host,
            Engine(EngineProfile(app_id=project.app_id, server=node.url)) as sender,
        ):
            assert engine.room is not None
            player = await engine.room.start_playing_stream("film")
            await player.first_frame(LIMIT_S)
            config = RoomConfig(token=node.token(project, "sender"), is_user_status_notify=True)
            room = await sender.login_room("r", User("sender", "Sender"), config)
            host.process.send_signal(signal.SIGSTOP)
            sent: list[bytes] = []
            while "slow reader" not in node.services.observer.closed:
                # Random bytes: what is sent does not get small by compression.
                sent.append(secrets.token_bytes(4096))
                await room.send_transparent_message(sent[-1])
                assert len(sent) < 20_000
            # The others get everything, in order; what is kept for the one is bounded.
            await recorder.until(lambda: len(recorder.of("transparent")) == len(sent), LIMIT_S)
            assert [call[2] for call in recorder.of("transparent")] == sent
            members = (await node.snapshot())["rooms"][0]["members"]
            (kept,) = [member["kept_bytes"] for member in members if member["user_id"] == "guest"]
            assert kept <= 512 * 1024
            host.process.send_signal(signal.SIGCONT)
            assert await host.says() == "RECONNECTING 1002051"
            assert await host.says() == "RECONNECTED 0"
            again = await room.start_playing_stream("film")
            await again.first_frame(LIMIT_S)

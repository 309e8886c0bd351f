"""What the web SDK and the Python SDK tell each other in a room, and what becomes of plays, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from interop.browser_user import BrowserUser, open_user
from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    PlayerState,
    RemoteDeviceState,
    Room,
    RoomConfig,
    RoomStateReason,
    StreamDeleteReason,
    UpdateType,
    User,
)
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer
from scenario.node_process import NodeProcess, node_process
from scenario.sdk_user import push
from unit.sdk.recorder import Recorder

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.processes,
    pytest.mark.timeout(120),
]

ADD, DELETE = UpdateType.ADD, UpdateType.DELETE
ALICE = {"userID": "alice", "userName": "Alice"}


class Meeting:
    """Alice is the Python SDK, Bob a page; both are in room "r"."""

    def __init__(self, node: NodeProcess, room: Room, alice: Recorder, bob: BrowserUser) -> None:
        self.node = node
        self.room = room
        self.alice = alice
        self.bob = bob


@asynccontextmanager
async def meeting(browser: Browser, state: Path) -> AsyncIterator[Meeting]:
    recorder = Recorder()
    async with node_process(state) as node, AsyncExitStack() as stack:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url)
        engine = await stack.enter_async_context(Engine(profile, recorder))
        config = RoomConfig(token=node.token("alice"), is_user_status_notify=True)
        room = await engine.login_room("r", User("alice", "Alice"), config)
        bob = await open_user(
            stack, browser, node.port, "bob", app_id=node.project.app_id, token=node.token("bob")
        )
        await bob.log_in("r")
        await recorder.until_call("users", "r", ADD, ("bob",))
        yield Meeting(node, room, recorder, bob)
        assert bob.errors == []


@asynccontextmanager
async def pushing() -> AsyncIterator[CustomVideoSource]:
    source = CustomVideoSource()
    task = asyncio.create_task(push(source))
    try:
        yield source
    finally:
        task.cancel()


async def test_every_kind_of_message_both_ways(browser: Browser, tmp_path: Path) -> None:
    async with meeting(browser, tmp_path / "state") as here:
        room, bob = here.room, here.bob
        await room.send_broadcast_message("to all")
        await bob.expect_message("alice", "to all")
        await room.send_custom_command("do it", ["bob"])
        await bob.until_other("IMRecvCustomCommand", "r", ALICE, "do it")
        await room.send_transparent_message(b"\x00\xff", ["bob"])
        # Bytes, as a page's JSON shows them.
        await bob.until_other(
            "recvRoomTransparentMessage", "r", {"sendUser": ALICE, "content": {"0": 0, "1": 255}}
        )
        await room.set_room_extra_info("mood", "calm")
        await bob.page.wait_for_function(
            """() => user.seen.other.some(
                ([event, , infos]) => event === 'roomExtraInfoUpdate' && infos[0].value === 'calm')"""
        )

        said = await bob.call("() => user.engine.sendBroadcastMessage('r', 'from a page')")
        assert said["errorCode"] == 0 and said["messageID"] > 0
        await here.alice.until_call("broadcast", "r", "bob", "from a page")
        await bob.call("() => user.engine.sendCustomCommand('r', 'your turn', ['alice'])")
        await here.alice.until_call("command", "r", "bob", "your turn")
        await bob.call("() => user.engine.setRoomExtraInfo('r', 'mood', 'wild')")
        await here.alice.until_call("extra info", "r", "mood", "wild")
        code = await bob.call(
            "() => user.engine.setRoomExtraInfo('r', 'other', 'x').catch(({ errorCode }) => errorCode)"
        )
        assert code == 1002017


async def test_a_page_plays_early_and_goes_on_when_the_publisher_has_a_new_transport(
    browser: Browser, tmp_path: Path
) -> None:
    async with meeting(browser, tmp_path / "state") as here, pushing() as source:
        bob = here.bob
        await bob.begin_to_play("film", resourceMode=2)
        await bob.expect_player("film", PlayerState.PLAY_REQUESTING)
        publisher = await here.room.start_publishing_stream("film", source)
        await bob.expect_player("film", PlayerState.PLAYING)
        await bob.picture("film")
        assert await bob.call("() => user.engine.getPlayingStreamResource('film')") == 2
        await bob.call("() => user.engine.switchPlayingResource('film', 0)")
        await bob.until_other("playerResourceUpdate", "film", 0)

        publisher.interrupted(held=True)
        await here.alice.until(lambda: len(here.alice.of("publisher")) == 4)
        await bob.picture("film")
        await publisher.set_extra_info("cut")
        await bob.page.wait_for_function(
            """() => user.seen.other.some(
                ([event, , streams]) => event === 'streamExtraInfoUpdate' && streams[0].extraInfo === 'cut')"""
        )
        await publisher.mute(video=True)
        await bob.until_other("remoteCameraStatusUpdate", "film", "MUTE")
        await publisher.mute(video=False)
        await bob.until_other("remoteCameraStatusUpdate", "film", "OPEN")
        await publisher.stop()
        await bob.expect_player("film", PlayerState.NO_PLAY)
        # The play was never interrupted for the page.
        await bob.expect_streams(ADD, "film")
        await bob.expect_streams(DELETE, "film", reason=StreamDeleteReason.PUBLISHER_STOPPED)


async def test_a_page_that_mutes_and_one_that_is_closed(browser: Browser, tmp_path: Path) -> None:
    async with meeting(browser, tmp_path / "state") as here:
        bob = here.bob
        await bob.publish("film")
        await here.alice.until(lambda: "film" in here.room.streams)
        await bob.call("() => user.engine.mutePublishStreamVideo(user.sources.film, true)")
        await here.alice.until(lambda: here.room.streams["film"].camera is RemoteDeviceState.MUTE)
        await bob.call("() => user.engine.mutePublishStreamVideo(user.sources.film, false)")
        await here.alice.until(lambda: here.room.streams["film"].camera is RemoteDeviceState.OPEN)
        await bob.page.goto("about:blank")
        stopped = StreamDeleteReason.PUBLISHER_STOPPED
        # Its goodbye got out: not taken for a lost connection five seconds later.
        await here.alice.until_call("streams", "r", DELETE, ("film",), (stopped,))


@asynccontextmanager
async def page_user(
    browser: Browser, host: TestServer, project: Project, token: str = ""
) -> AsyncIterator[BrowserUser]:
    """Bob in a page, in room "r" of a server whose operator the test is."""
    async with AsyncExitStack() as stack:
        token = token or host.token(project, "bob")
        bob = await open_user(stack, browser, host.port, "bob", app_id=project.app_id, token=token)
        await bob.log_in("r")
        yield bob
        assert bob.errors == []


async def test_a_token_that_ends_is_told_and_renewed(
    browser: Browser, host: TestServer, project: Project
) -> None:
    await host.change_project(project, token_expired="kick")
    token = host.token(project, "bob", expire_s=4)
    async with page_user(browser, host, project, token) as bob:
        await bob.page.wait_for_function(
            "() => user.seen.other.some(([event]) => event === 'tokenWillExpire')"
        )
        newer = host.token(project, "bob")
        assert await bob.call("token => user.engine.renewToken(token)", newer) is True
        wrong = host.token(project, "carol")
        code = "token => user.engine.renewToken(token).catch(({ errorCode }) => errorCode)"
        assert await bob.call(code, wrong) == 1102016
        await bob.expect_state(RoomStateReason.LOGINING)
        await bob.expect_state(RoomStateReason.LOGINED)
        # The first one has ended, and nothing of it.
        await bob.page.wait_for_timeout(5_000)
        await bob.expect_nothing_else()


async def test_forbidden_streams_and_l3_that_is_switched_off(
    browser: Browser, host: TestServer, project: Project
) -> None:
    async with page_user(browser, host, project) as bob:
        await bob.publish("mine")
        await bob.begin_to_play("mine", resourceMode=2)
        await bob.expect_player("mine", PlayerState.PLAY_REQUESTING)
        await bob.expect_player("mine", PlayerState.PLAYING)
        await bob.picture("mine")
        await host.forbid_stream(project, "mine", 60.0)
        await bob.expect_player("mine", PlayerState.NO_PLAY, 1004025)
        await bob.until_other(
            "publisherStateUpdate", {"streamID": "mine", "state": "NO_PUBLISH", "errorCode": 1003025}
        )
        await host.set_l3(project, False)
        await bob.publish("other")
        await bob.begin_to_play("other", resourceMode=2)
        await bob.expect_player("other", PlayerState.PLAY_REQUESTING)
        # On the web it is 1104038.
        await bob.expect_player("other", PlayerState.NO_PLAY, 1004072)
        await bob.begin_to_play("other", resourceMode=0)
        await bob.expect_player("other", PlayerState.PLAY_REQUESTING)
        await bob.expect_player("other", PlayerState.PLAYING)

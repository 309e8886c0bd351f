"""What is refused and what is taken back: tokens, members, streams, paths."""

from __future__ import annotations

import asyncio
import time

import pytest

from sanderling import (
    Engine,
    EngineProfile,
    ErrorCode,
    PlayerState,
    PublisherState,
    ResourceMode,
    RoomConfig,
    RoomError,
    RoomStateChanged,
    RoomStateReason,
    RoomTokenWillExpire,
    SanderlingError,
    StreamDeleteReason,
    TokenError,
    UpdateType,
    User,
    tokens,
)
from scenario.cut_proxy import cut_proxy
from scenario.test_sdk_reconnect import pushing
from scenario.town import town
from unit.sdk.recorder import Recorder

pytestmark = pytest.mark.timeout(90)


async def test_a_token_is_renewed_by_hand_and_by_its_function() -> None:
    async with town() as it:
        by_hand, heard = await it.join("alice", expire_s=20)
        await heard.until(lambda: bool(heard.of("token")))
        [(room, remaining)] = heard.of("token")
        assert room == "r"
        assert isinstance(remaining, int)
        assert 0 < remaining <= 20
        await by_hand.renew_token(it.node.token(it.project, "alice"))
        with pytest.raises(TokenError) as caught:
            await by_hand.renew_token(it.node.token(it.project, "bob"))
        assert caught.value.code == ErrorCode.TOKEN_USER_ID_MISMATCH

        asked: list[int] = []
        twice = asyncio.Event()

        async def provide() -> str:
            asked.append(1)
            if len(asked) == 2:
                twice.set()
            return it.node.token(it.project, "carol", expire_s=20 if len(asked) == 1 else 3600)

        recorder = Recorder()
        engine = it.engine(recorder)
        room_of_carol = await engine.login_room("r", User("carol", "Carol"), RoomConfig(token=provide))
        events = room_of_carol.events(RoomTokenWillExpire)
        async with asyncio.timeout(15):
            await twice.wait()
        await engine.destroy()
        assert [event async for event in events] == []


async def test_the_server_ends_a_membership_and_says_why() -> None:
    async with town() as it, pushing() as source:
        (host, hosting), (viewer, heard) = await it.join("host"), await it.join("viewer")
        states = host.events(RoomStateChanged)
        await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        assert await it.node.kick(it.project, "r", "host", "be kind")
        state = await anext(states)
        assert (state.reason, state.error_code) == (RoomStateReason.KICK_OUT, 1002055)
        assert state.extended_data == {"custom_reason": "be kind"}
        assert hosting.of("publisher")[-1][1] is PublisherState.NO_PUBLISH
        await heard.until_call("users", "r", UpdateType.DELETE, ("host",))
        gone = (StreamDeleteReason.USER_KICKED,)
        assert heard.of("streams")[-1] == ("r", UpdateType.DELETE, ("film",), gone)
        assert player.state is PlayerState.NO_PLAY
        assert heard.of("player")[-1] == ("film", PlayerState.NO_PLAY, 0)


async def test_the_server_forbids_a_stream() -> None:
    async with town() as it, pushing() as source:
        (host, hosting), (viewer, heard) = await it.join("host"), await it.join("viewer")
        await host.start_publishing_stream("film", source)
        await viewer.start_playing_stream("film")
        assert await it.node.forbid_stream(it.project, "film", 60.0, "no")
        await hosting.until_call("publisher", "film", PublisherState.NO_PUBLISH, 1003025)
        removed = (StreamDeleteReason.REMOVED_BY_SERVER,)
        await heard.until_call("streams", "r", UpdateType.DELETE, ("film",), removed)
        assert heard.of("player")[-1] == ("film", PlayerState.NO_PLAY, 1004025)
        assert host.state is RoomStateReason.LOGINED
        with pytest.raises(SanderlingError) as caught:
            await host.start_publishing_stream("film", source)
        assert caught.value.code == ErrorCode.PUBLISH_FORBIDDEN


async def test_a_token_that_ends_ends_the_membership_where_the_project_says_so() -> None:
    async with town() as it:
        await it.node.change_project(it.project, token_expired="kick")
        room, heard = await it.join("alice", expire_s=2)
        await heard.until_call("room", "r", RoomStateReason.KICK_OUT, 1002056)
        assert room.session.over


@pytest.mark.parametrize("policy", ["keep", "rtc", "stop"])
async def test_what_running_plays_do_when_l3_is_switched_off(policy: str) -> None:
    async with town() as it, pushing() as source:
        await it.node.change_project(it.project, l3_off=policy)
        (host, _), (viewer, heard) = await it.join("host"), await it.join("viewer")
        await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        await it.node.set_l3(it.project, False)
        if policy == "stop":
            await heard.until_call("player", "film", PlayerState.NO_PLAY, 1004072)
            return
        if policy == "rtc":
            await heard.until_call("resource", "film", ResourceMode.ONLY_RTC)
        for _ in range(5):
            await anext(pictures)
        assert player.state is PlayerState.PLAYING


async def test_a_reconnect_uses_the_renewed_token() -> None:
    async with town() as it, cut_proxy(it.node.port) as proxy:
        recorder = Recorder()
        engine = Engine(EngineProfile(app_id=it.project.app_id, server=proxy.url), recorder)
        it.engines.append(engine)
        room = await engine.login_room("r", User("alice", "Alice"), it.config("alice", expire_s=5))
        await room.renew_token(it.node.token(it.project, "alice"))
        # The server forgets the session while the connection is away.
        proxy.refuses = True
        proxy.cut()
        await recorder.until_call("room", "r", RoomStateReason.RECONNECTING, 1002051)
        session_id = (await it.node.snapshot())["rooms"][0]["members"][0]["session_id"]

        async def forget() -> None:
            member = it.node.services.rooms._context.members[session_id]
            member.resumable = False

        await it.node.call(forget())
        proxy.refuses = False
        await recorder.until_call("room", "r", RoomStateReason.RECONNECTED, 0)


TOKENS = {
    "expired": ErrorCode.TOKEN_EXPIRED,
    "other user": ErrorCode.TOKEN_USER_ID_MISMATCH,
    "other project": ErrorCode.TOKEN_APP_ID_MISMATCH,
    "other version": ErrorCode.TOKEN_VERSION_WRONG,
    "other secret": ErrorCode.AUTHENTICATION_FAILED,
    "cut short": ErrorCode.AUTHENTICATION_FAILED,
    "other room": ErrorCode.AUTHENTICATION_FAILED,
    "none": ErrorCode.TOKEN_MISSING,
}


@pytest.mark.parametrize("what", TOKENS)
async def test_each_token_that_is_refused_has_its_code(what: str) -> None:
    async with town() as it:
        project, now = it.project, time.time()
        good = it.node.token(project, "alice")
        token = {
            "expired": lambda: it.node.token(project, "alice", expire_s=10, now=now - 60),
            "other user": lambda: it.node.token(project, "bob"),
            "other project": lambda: tokens.generate(
                project.app_id ^ 1, "alice", project.server_secret, 60, "", now=now
            ),
            "other version": lambda: "03" + good[2:],
            "other secret": lambda: tokens.generate(project.app_id, "alice", "x" * 32, 60, "", now=now),
            "cut short": lambda: good[: len(good) // 2],
            "other room": lambda: it.node.token(project, "alice", room_id="elsewhere"),
            "none": lambda: "",
        }[what]()
        recorder = Recorder()
        with pytest.raises(SanderlingError) as caught:
            await it.engine(recorder).login_room("r", User("alice", "Alice"), RoomConfig(token=token))
        assert caught.value.code == TOKENS[what]
        await recorder.until_call("room", "r", RoomStateReason.LOGIN_FAILED, int(TOKENS[what]))


async def test_a_room_that_is_full() -> None:
    async with town() as it:
        config = RoomConfig(token=it.node.token(it.project, "alice"), max_member_count=1)
        await it.engine().login_room("r", User("alice", "Alice"), config)
        recorder = Recorder()
        with pytest.raises(RoomError) as caught:
            await it.engine(recorder).login_room("r", User("bob", "Bob"), it.config("bob"))
        assert caught.value.code == ErrorCode.ROOM_FULL
        await recorder.until_call("room", "r", RoomStateReason.LOGIN_FAILED, 1002034)

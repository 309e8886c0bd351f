"""An engine whose connection is lost: what it tells, what it asks for again, and when it gives up."""

from __future__ import annotations

import asyncio

import pytest

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    ErrorCode,
    PlayError,
    PlayerState,
    PublisherState,
    RoomConfig,
    RoomError,
    RoomStateChanged,
    RoomStateReason,
    StreamDeleteReason,
    TokenError,
    UpdateType,
    User,
)
from sanderling.signaling import messages
from unit.sdk.recorder import Recorder
from unit.sdk.scripted_server import ScriptedServer, scripted_server

ALICE = User("alice", "Alice")
BOB = messages.User(user_id="bob", user_name="Bob")
CONFIG = RoomConfig(token="secret-token", is_user_status_notify=True)
LOGINING, LOGINED = RoomStateReason.LOGINING, RoomStateReason.LOGINED
RECONNECTING, RECONNECTED = RoomStateReason.RECONNECTING, RoomStateReason.RECONNECTED


def engine_of(server: ScriptedServer, handler: Recorder | None = None, **profile: float) -> Engine:
    return Engine(EngineProfile(app_id=1234, server=server.url, **profile), handler)  # type: ignore[arg-type]


async def test_a_session_is_resumed_and_what_was_missed_arrives_once() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.resumable = True
        server.streams = (messages.Stream("s1", BOB),)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        server.missed = [
            messages.UserNotice(0, (BOB,)),
            messages.StreamNotice(0, (messages.Stream("s2", BOB),)),
        ]
        server.cut()
        asked = await server.expect(messages.Resume)
        assert (asked.session_id, asked.secret) == ("session-1", "hush")
        assert asked.received == 2  # the play's answer and its state
        await recorder.until_call("streams", "lobby", UpdateType.ADD, ("s2",), (None,))
        assert [call[1:] for call in recorder.of("room")] == [
            (LOGINING, 0),
            (LOGINED, 0),
            (RECONNECTING, 1002051),
            (RECONNECTED, 0),
        ]
        assert recorder.of("users") == [("lobby", UpdateType.ADD, ("bob",))]
        assert room.players["s1"].state is PlayerState.PLAYING
        assert [call[1] for call in recorder.of("player")] == [
            PlayerState.PLAY_REQUESTING,
            PlayerState.PLAYING,
        ]
        assert sum(isinstance(message, messages.Login) for message in server.received) == 1


async def test_what_is_asked_for_while_the_connection_is_away_is_sent_once_it_is_back() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        server.resumable = True
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.refuse[messages.Resume] = (1002071, "wait a moment")
        server.cut()
        await server.expect(messages.Resume)
        room.start_playing_stream("s1")
        server.refuse.clear()
        await server.expect(messages.Resume)
        assert (await server.expect(messages.Play)).stream_id == "s1"


async def test_a_forgotten_session_is_logged_in_published_and_played_again() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.resumable = True
        server.streams = (messages.Stream("s1", BOB),)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Play)
        await server.expect(messages.Publish)
        first = await server.expect(messages.Login)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await server.say(messages.PublisherStateNotice("mine", 2))
        await playing
        await publishing
        server.refuse[messages.Resume] = (1002057, "no such session")
        server.cut()
        again = await server.expect(messages.Login)
        assert (again.room_id, again.user, again.token) == (first.room_id, first.user, first.token)
        assert again.viewer_offer != first.viewer_offer
        assert (await server.expect(messages.Play)).stream_id == "s1"
        publish = await server.expect(messages.Publish)
        assert (publish.stream_id, publish.renew) == ("mine", False)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await server.say(messages.PublisherStateNotice("mine", 2))
        await recorder.until(lambda: len(recorder.of("player")) == 4 and len(recorder.of("publisher")) == 4)
        assert [call[1:] for call in recorder.of("player")] == [
            (PlayerState.PLAY_REQUESTING, 0),
            (PlayerState.PLAYING, 0),
            (PlayerState.PLAY_REQUESTING, 1004020),
            (PlayerState.PLAYING, 0),
        ]
        assert [call[1:] for call in recorder.of("publisher")] == [
            (PublisherState.PUBLISH_REQUESTING, 0),
            (PublisherState.PUBLISHING, 0),
            (PublisherState.PUBLISH_REQUESTING, 1003020),
            (PublisherState.PUBLISHING, 0),
        ]
        # The same stream is still there: nobody is told anything of it.
        assert len(recorder.of("streams")) == 1
        assert [call[1] for call in recorder.of("room")][2:] == [RECONNECTING, RECONNECTED]


async def test_what_went_while_the_session_was_lost_is_told_once() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.users, server.streams = (BOB,), (messages.Stream("s1", BOB),)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        server.users, server.streams = (), (messages.Stream("s2", BOB),)
        server.cut()
        lost = (StreamDeleteReason.CONNECTION_LOST,)
        await recorder.until_call("streams", "lobby", UpdateType.ADD, ("s2",), (None,))
        assert recorder.of("streams")[1:] == [
            ("lobby", UpdateType.DELETE, ("s1",), lost),
            ("lobby", UpdateType.ADD, ("s2",), (None,)),
        ]
        assert recorder.of("users")[1:] == [("lobby", UpdateType.DELETE, ("bob",))]
        assert recorder.of("player")[-1] == ("s1", PlayerState.NO_PLAY, 0)
        assert dict(room.users) == {}


async def test_a_server_that_has_just_started_gets_time_to_find_everybody() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.users = (BOB,)
        server.streams = (messages.Stream("s1", BOB), messages.Stream("s2", BOB))
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        server.users, server.streams, server.settle_ms = (), (), 400
        server.refuse[messages.Play] = (1004002, "no such stream")
        server.cut()
        await recorder.until_call("room", "lobby", RECONNECTED, 0)
        await server.expect(messages.Play)
        server.refuse.clear()
        await server.say(messages.UserNotice(0, (BOB,)))
        await server.say(messages.StreamNotice(0, (messages.Stream("s1", BOB),)))
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        # Only the stream that does not come back is gone, and only after the time that the server asked for.
        lost = (StreamDeleteReason.CONNECTION_LOST,)
        await recorder.until_call("streams", "lobby", UpdateType.DELETE, ("s2",), lost)
        assert len(recorder.of("streams")) == 2
        assert len(recorder.of("users")) == 1
        assert room.players["s1"].state is PlayerState.PLAYING
        assert list(room.streams) == ["s1"]


async def test_the_time_for_attempts_ends() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder, room_retry_time=0.05) as engine:
        server.resumable = True
        room = await engine.login_room("lobby", ALICE, CONFIG)
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.PublisherStateNotice("mine", 2))
        await publishing
        server.refuse[messages.Resume] = (1002071, "wait")
        server.cut()
        await recorder.until_call("room", "lobby", RoomStateReason.RECONNECT_FAILED, 1002053)
        assert recorder.of("publisher")[-1] == ("mine", PublisherState.NO_PUBLISH, 1003021)
        assert engine.room is None
        server.refuse.clear()
        await engine.login_room("lobby", ALICE, CONFIG)


@pytest.mark.parametrize("code", [1002033, 1002034, 1002066, 1002078, 1001004])
async def test_a_login_that_is_refused_for_good_ends_the_attempts(code: int) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        await engine.login_room("lobby", ALICE, CONFIG)
        server.refuse[messages.Login] = (code, "no")
        server.cut()
        await recorder.until_call("room", "lobby", RoomStateReason.RECONNECT_FAILED, code)
        assert sum(isinstance(message, messages.Login) for message in server.received) == 2


@pytest.mark.parametrize("code", [1002050, 1002055, 1002056])
async def test_a_session_that_was_kicked_while_it_was_away(code: int) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.resumable = True
        await engine.login_room("lobby", ALICE, CONFIG)
        server.refuse[messages.Resume] = (code, "kicked")
        server.cut()
        await recorder.until_call("room", "lobby", RoomStateReason.KICK_OUT, code)
        assert sum(isinstance(message, messages.Login) for message in server.received) == 1


async def test_a_kick_names_the_other_side() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        states = room.events(RoomStateChanged)
        await server.say(messages.Kicked(1002050, "logged in elsewhere", origin="203.0.113.9:5000"))
        state = await anext(states)
        assert (state.reason, state.error_code) == (RoomStateReason.KICK_OUT, 1002050)
        assert state.extended_data == {"origin": "203.0.113.9:5000"}


async def test_a_kick_by_the_server_gives_its_reason() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        states = room.events(RoomStateChanged)
        await server.say(messages.Kicked(1002055, "removed", custom_reason="spam"))
        state = await anext(states)
        assert (state.reason, state.error_code) == (RoomStateReason.KICK_OUT, 1002055)
        assert state.extended_data == {"custom_reason": "spam"}


async def test_a_logout_that_is_not_confirmed_fails_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sanderling.sdk.session.ANSWER_TIMEOUT", 0.05)
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        room.start_playing_stream("s1")
        await server.expect(messages.Play)
        server.silent.add(messages.Logout)
        await room.logout()
        assert room.state is RoomStateReason.LOGOUT_FAILED
        assert recorder.of("player")[-1] == ("s1", PlayerState.NO_PLAY, 0)
        await recorder.until_call("room", "lobby", RoomStateReason.LOGOUT_FAILED, 1002052)
        assert engine.room is None
        server.silent.clear()
        await engine.login_room("lobby", ALICE, CONFIG)


async def test_a_logout_while_the_connection_is_away() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.resumable = True
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.silent.add(messages.Resume)
        server.cut()
        await server.expect(messages.Resume)
        await room.logout()
        assert [call[1] for call in recorder.of("room")] == [
            LOGINING,
            LOGINED,
            RECONNECTING,
            RoomStateReason.LOGOUT_FAILED,
        ]


async def test_a_token_function_is_asked_again_for_a_new_login() -> None:
    tokens = iter(["first", "second"])

    async def provide() -> str:
        return next(tokens)

    async with scripted_server() as server, engine_of(server) as engine:
        await engine.login_room("lobby", ALICE, RoomConfig(token=provide))
        assert (await server.expect(messages.Login)).token == "first"
        server.cut()
        assert (await server.expect(messages.Login)).token == "second"


async def test_a_message_that_goes_down_with_its_session_is_not_sent_again() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.silent.add(messages.Broadcast)
        saying = asyncio.ensure_future(room.send_broadcast_message("hello"))
        await server.expect(messages.Broadcast)
        server.cut()
        with pytest.raises(RoomError) as caught:
            await saying
        assert caught.value.code == ErrorCode.MESSAGE_SEND_FAILED
        await server.expect(messages.Login)
        await server.expect(messages.Login)
        assert not any(isinstance(message, messages.Broadcast) for message in server.received)


async def test_a_token_function_that_fails_is_asked_until_it_does_not() -> None:
    recorder = Recorder()
    answers = iter(["first", ValueError("backend down"), ValueError("backend down"), "second"])

    async def provide() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with scripted_server() as server, engine_of(server, recorder) as engine:
        await engine.login_room("lobby", ALICE, RoomConfig(token=provide))
        await server.expect(messages.Login)
        server.cut()
        assert (await server.expect(messages.Login)).token == "second"
        await recorder.until_call("room", "lobby", RECONNECTED, 0)


async def test_a_token_function_that_fails_at_the_first_login_is_named() -> None:
    async def provide() -> str:
        raise ValueError("backend down")

    async with scripted_server() as server, engine_of(server) as engine:
        with pytest.raises(RoomError, match="backend down") as caught:
            await engine.login_room("lobby", ALICE, RoomConfig(token=provide))
        assert caught.value.code == ErrorCode.LOGIN_FAILED


async def test_a_play_under_way_when_its_session_is_lost_goes_on_in_the_next() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.silent.add(messages.Play)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        server.silent.clear()
        server.cut()
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        # It was never interrupted, only late; and it was asked for once.
        assert [call[1:] for call in recorder.of("player")] == [
            (PlayerState.PLAY_REQUESTING, 0),
            (PlayerState.PLAYING, 0),
        ]
        assert not any(isinstance(message, messages.Play) for message in server.received)


async def test_a_publish_under_way_when_its_session_is_lost_goes_on_in_the_next() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.silent.add(messages.Publish)
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Publish)
        server.silent.clear()
        server.cut()
        assert not (await server.expect(messages.Publish)).renew
        await server.say(messages.PublisherStateNotice("mine", 2))
        await publishing
        assert not any(isinstance(message, messages.Publish) for message in server.received)


async def test_a_viewer_transport_that_breaks_down_is_replaced_within_the_session() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.connects = True
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        player = await playing
        first = await server.expect(messages.Login)
        async with asyncio.timeout(10):
            while not room.session.viewing.up:
                await asyncio.sleep(0.01)
        transport = room.session.viewing.transport
        assert transport is not None
        transport._on_state(
            "failed", None
        )  # what the engine finds out after a quarter of a minute of silence
        offer = await server.expect(messages.ViewerOffer)
        assert fingerprints(offer.offer) != fingerprints(first.viewer_offer)
        assert (await server.expect(messages.Play)).stream_id == "s1"
        await server.say(messages.PlayerStateNotice("s1", 2))
        await recorder.until(lambda: len(recorder.of("player")) == 4)
        assert [call[1:] for call in recorder.of("player")][2:] == [
            (PlayerState.PLAY_REQUESTING, 1004020),
            (PlayerState.PLAYING, 0),
        ]
        assert room.state is LOGINED
        assert player.state is PlayerState.PLAYING


async def test_a_play_that_the_server_interrupted_is_asked_for_again() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        await server.say(messages.PlayerStateNotice("s1", 0, 1004020, "a worker failed"))
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await recorder.until(lambda: len(recorder.of("player")) == 4)


@pytest.mark.parametrize("code", [1004025, 1004072])
async def test_a_play_that_the_server_ends_for_good(code: int) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        pictures = (await playing).video()
        await server.say(messages.PlayerStateNotice("s1", 0, code, "no more"))
        with pytest.raises(PlayError) as caught:
            await anext(pictures)
        assert caught.value.code == code
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, code)


async def test_a_stream_that_ended_while_the_connection_was_away_is_published_once_more() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.resumable = True
        room = await engine.login_room("lobby", ALICE, CONFIG)
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.PublisherStateNotice("mine", 2))
        publisher = await publishing
        server.missed = [messages.PublisherStateNotice("mine", 0, 1003020, "silent for too long")]
        server.cut()
        assert not (await server.expect(messages.Publish)).renew
        await server.say(messages.PublisherStateNotice("mine", 2))
        await recorder.until(lambda: len(recorder.of("publisher")) == 4)
        await publisher.stop()
        assert (await server.expect(messages.StopPublish)).stream_id == "mine"
        assert not any(isinstance(message, messages.Publish) for message in server.received)


async def test_a_publisher_whose_transport_breaks_down_and_is_then_told_that_its_stream_ended() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.PublisherStateNotice("mine", 2))
        publisher = await publishing
        server.silent.add(messages.Publish)
        publisher.interrupted(held=True)
        renewing = await server.expect(messages.Publish)
        assert renewing.renew
        await server.say(messages.PublisherStateNotice("mine", 0, 1003020, "lost"))
        await server.say(messages.UserNotice(0, (BOB,)))
        await recorder.until(lambda: bool(recorder.of("users")))
        await server.say(messages.Error(1003001, "say it again", seq=renewing.seq))
        server.silent.clear()
        assert not (await server.expect(messages.Publish)).renew
        await server.say(messages.PublisherStateNotice("mine", 2))
        await recorder.until(lambda: len(recorder.of("publisher")) == 4)
        await publisher.stop()
        await server.expect(messages.StopPublish)


async def test_a_publish_that_the_server_forbids_ends() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        publishing = room.start_publishing_stream("mine", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.PublisherStateNotice("mine", 2))
        await publishing
        await server.say(messages.PublisherStateNotice("mine", 0, 1003025, "forbidden"))
        await recorder.until_call("publisher", "mine", PublisherState.NO_PUBLISH, 1003025)
        assert room.publishers == {}


async def test_an_attempt_that_fails_at_once_says_why() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        server.refuse[messages.Login] = (1002072, "too many logins")
        with pytest.raises(Exception, match="too many logins") as caught:
            await engine.login_room("lobby", ALICE, CONFIG)
        assert not isinstance(caught.value, RoomError | TokenError)
        assert caught.value.code == ErrorCode.RATE_LIMITED_ROOM  # type: ignore[attr-defined]


def fingerprints(offer: str) -> set[str]:
    return {line for line in offer.splitlines() if line.startswith("a=fingerprint:")}

"""States and notices of an engine, exactly and in order, against a server that follows a script."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence

import pytest

from sanderling import (
    Channel,
    CustomVideoSource,
    Engine,
    EngineProfile,
    ErrorCode,
    PlayError,
    PlayerState,
    PublishError,
    PublisherState,
    RoomConfig,
    RoomError,
    RoomStateReason,
    RoomStreamUpdate,
    SanderlingError,
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


def engine_of(server: ScriptedServer, handler: Recorder | None = None) -> Engine:
    return Engine(EngineProfile(app_id=1234, server=server.url), handler)


async def test_login_sends_what_was_given_and_reports_what_is_there() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.users = (BOB,)
        server.streams = (messages.Stream("s1", BOB, extra_info="hello"),)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        login = await server.expect(messages.Login)
        assert (login.app_id, login.room_id, login.token) == (1234, "lobby", "secret-token")
        assert login.user == messages.User(user_id="alice", user_name="Alice")
        assert login.config.is_user_status_notify
        assert login.viewer_offer.count("\nm=audio") == 2
        assert login.viewer_offer.count("\nm=video") == 2
        assert login.viewer_offer.count("a=recvonly") == 4
        assert "stereo=1" in login.viewer_offer
        assert "a=candidate" not in login.viewer_offer
        await recorder.until_call("streams", "lobby", UpdateType.ADD, ("s1",), (None,))
        assert recorder.calls == [
            ("room", "lobby", LOGINING, 0),
            ("room", "lobby", LOGINED, 0),
            ("users", "lobby", UpdateType.ADD, ("bob",)),
            ("streams", "lobby", UpdateType.ADD, ("s1",), (None,)),
        ]
        assert dict(room.users) == {"bob": User("bob", "Bob")}
        assert room.streams["s1"].extra_info == "hello"
        await room.logout()
        await server.expect(messages.Logout)
        assert recorder.of("room")[-1] == ("lobby", RoomStateReason.LOGOUT, 0)


@pytest.mark.parametrize("user", [User(), User("", "Alice")])
async def test_an_empty_user_cannot_log_in(user: User) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        with pytest.raises(RoomError) as caught:
            await engine.login_room("lobby", user, CONFIG)
        assert caught.value.code == ErrorCode.USER_ID_EMPTY
        await recorder.until_call("room", "lobby", RoomStateReason.LOGIN_FAILED, 1002005)
        assert recorder.of("room") == [
            ("lobby", LOGINING, 0),
            ("lobby", RoomStateReason.LOGIN_FAILED, 1002005),
        ]
        assert server.connections == 0
        # The engine is free for another try.
        await engine.login_room("lobby", ALICE, CONFIG)


async def test_a_refused_login_has_the_servers_code_and_fails_what_followed_it() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Login] = (1002078, "the token expired")
        login = engine.login_room("lobby", ALICE, CONFIG)
        publishing = engine.start_publishing_stream("s1", CustomVideoSource())
        with pytest.raises(TokenError) as caught:
            await login
        assert caught.value.code == ErrorCode.TOKEN_EXPIRED
        with pytest.raises(PublishError):
            await publishing
        await recorder.until_call("room", "lobby", RoomStateReason.LOGIN_FAILED, 1002078)
        assert recorder.of("publisher")[-1][:2] == ("s1", PublisherState.NO_PUBLISH)


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ("http://127.0.0.1:1", ErrorCode.LOGIN_FAILED),
        ("http://localhost.invalid:7700", ErrorCode.LOGIN_FAILED),
    ],
)
async def test_a_wrong_address_is_named(server: str, code: ErrorCode) -> None:
    recorder = Recorder()
    async with Engine(EngineProfile(app_id=1, server=server), recorder) as engine:
        with pytest.raises(RoomError) as caught:
            await engine.login_room("lobby", ALICE, CONFIG)
        assert caught.value.code == code
        assert server.removeprefix("http") in str(caught.value)
        assert "check" in caught.value.hint
        await recorder.until_call("room", "lobby", RoomStateReason.LOGIN_FAILED, int(code))


async def test_what_answers_but_is_no_such_server_is_named() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with Engine(EngineProfile(app_id=1, server=f"http://127.0.0.1:{port}/live")) as engine:
            with pytest.raises(RoomError) as caught:
                await engine.login_room("lobby", ALICE, CONFIG)
    assert caught.value.code == ErrorCode.LOGIN_FAILED
    assert f"ws://127.0.0.1:{port}/live/ws" in str(caught.value)
    assert "404" in str(caught.value)


async def test_a_server_that_never_answers_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.sdk.connection.CONNECT_TIMEOUT", 0.05)
    silent = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with Engine(EngineProfile(app_id=1, server=f"http://127.0.0.1:{port}")) as engine:
            with pytest.raises(RoomError) as caught:
                await engine.login_room("lobby", ALICE, CONFIG)
        silent.set()
    assert caught.value.code == ErrorCode.LOGIN_TIMEOUT
    assert f"127.0.0.1:{port}" in str(caught.value)


async def test_publish_and_play_without_a_login() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        with pytest.raises(SanderlingError) as publishing:
            await engine.start_publishing_stream("s1", CustomVideoSource())
        with pytest.raises(SanderlingError) as playing:
            await engine.start_playing_stream("s1")
        assert publishing.value.code == playing.value.code == ErrorCode.NOT_LOGGED_IN
        await recorder.until_call("error", 1000002, "start_playing_stream")
        assert ("error", 1000002, "start_publishing_stream") in recorder.calls


async def test_publish_in_the_tick_of_the_login_follows_it() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        engine.login_room("lobby", ALICE, CONFIG)
        engine.start_publishing_stream("s1", CustomVideoSource())
        publish = await server.expect(messages.Publish)
        assert publish.stream_id == "s1"
        assert "VP8/90000" in publish.offer
        assert "red/" not in publish.offer
        assert "a=sendonly" in publish.offer
        await server.say(messages.PublisherStateNotice("s1", 2))
        await recorder.until_call("publisher", "s1", PublisherState.PUBLISHING, 0)
        assert recorder.calls == [
            ("room", "lobby", LOGINING, 0),
            ("publisher", "s1", PublisherState.PUBLISH_REQUESTING, 0),
            ("room", "lobby", LOGINED, 0),
            ("publisher", "s1", PublisherState.PUBLISHING, 0),
        ]


async def test_stop_publishing_tells_the_server_and_reports_once() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        publishing = room.start_publishing_stream("s1", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.PublisherStateNotice("s1", 2))
        publisher = await publishing
        await publisher.stop()
        await publisher.stop()
        assert (await server.expect(messages.StopPublish)).stream_id == "s1"
        states = [call[1] for call in recorder.of("publisher")]
        await recorder.until_call("publisher", "s1", PublisherState.NO_PUBLISH, 0)
        states = [call[1] for call in recorder.of("publisher")]
        assert states == [
            PublisherState.PUBLISH_REQUESTING,
            PublisherState.PUBLISHING,
            PublisherState.NO_PUBLISH,
        ]
        assert room.publishers == {}


async def test_a_channel_publishes_one_stream() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        room.start_publishing_stream("s1", CustomVideoSource())
        with pytest.raises(PublishError) as caught:
            await room.start_publishing_stream("s2", CustomVideoSource())
        assert caught.value.code == ErrorCode.CHANNEL_ALREADY_PUBLISHING
        room.start_publishing_stream("s2", CustomVideoSource(), channel=Channel.AUX)
        await server.expect(messages.Publish)
        assert (await server.expect(messages.Publish)).channel in (0, 1)


@pytest.mark.parametrize(("code", "text"), [(1003028, "exists"), (1003072, "no right"), (1003080, "codec")])
async def test_a_refused_publish(code: int, text: str) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Publish] = (code, text)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        with pytest.raises(PublishError) as caught:
            await room.start_publishing_stream("s1", CustomVideoSource())
        assert caught.value.code == code
        await recorder.until_call("publisher", "s1", PublisherState.NO_PUBLISH, code)
        assert not any(isinstance(message, messages.StopPublish) for message in server.received)


async def test_a_play_runs_through_its_states_and_ends_with_the_stream() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.streams = (messages.Stream("s1", BOB),)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        player = await playing
        pictures = player.video()
        gone = messages.Stream("s1", BOB, delete_reason=1)
        await server.say(messages.StreamNotice(1, (gone,)))
        assert [picture async for picture in pictures] == []
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, 0)
        assert recorder.of("player") == [
            ("s1", PlayerState.PLAY_REQUESTING, 0),
            ("s1", PlayerState.PLAYING, 0),
            ("s1", PlayerState.NO_PLAY, 0),
        ]
        assert room.streams == {}
        assert not any(isinstance(message, messages.StopPlay) for message in server.received)


async def test_a_stream_that_is_not_there_is_played_when_it_comes() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Play] = (1004002, "no such stream")
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        assert not playing.done()
        server.refuse.clear()
        await server.say(messages.StreamNotice(0, (messages.Stream("s1", BOB),)))
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        await recorder.until_call("player", "s1", PlayerState.PLAYING, 0)
        assert [call[1] for call in recorder.of("player")] == [
            PlayerState.PLAY_REQUESTING,
            PlayerState.PLAYING,
        ]


@pytest.mark.parametrize("code", [1004072, 1004010, 1004080])
async def test_a_refused_play(code: int) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Play] = (code, "no")
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        with pytest.raises(PlayError) as caught:
            await playing
        assert caught.value.code == code
        assert playing.player is not None
        with pytest.raises(PlayError):
            await playing.player.first_frame(5)
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, code)


async def test_the_pool_grows_by_doubling_before_the_third_play() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        for number in range(5):
            room.start_playing_stream(f"s{number}")
        for _ in range(5):
            await server.expect(messages.Play)
        offers = [message.offer for message in server.received if isinstance(message, messages.ViewerOffer)]
        sizes = [offer.count("\nm=video") for offer in offers]
        assert sizes == [8] or sizes == [4, 8]


async def test_kicked_stops_everything_once() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        room.start_publishing_stream("s1", CustomVideoSource())
        await server.expect(messages.Publish)
        await server.say(messages.Kicked(code=1002050, message="logged in elsewhere"))
        await recorder.until_call("room", "lobby", RoomStateReason.KICK_OUT, 1002050)
        assert recorder.of("publisher")[-1] == ("s1", PublisherState.NO_PUBLISH, 1003020)
        assert engine.room is None
        await engine.login_room("lobby", ALICE, CONFIG)


async def test_a_connection_that_stays_away_ends_iterators_with_one_error() -> None:
    recorder = Recorder()
    async with scripted_server() as server:
        profile = EngineProfile(app_id=1234, server=server.url, room_retry_time=0.0)
        async with Engine(profile, recorder) as engine:
            room = await engine.login_room("lobby", ALICE, CONFIG)
            playing = room.start_playing_stream("s1")
            await server.expect(messages.Play)
            await server.say(messages.PlayerStateNotice("s1", 2))
            pictures = (await playing).video()
            server.refuse[messages.Login] = (1002030, "not now")
            await server.drop()
            with pytest.raises(PlayError) as caught:
                await anext(pictures)
            assert caught.value.code == ErrorCode.PLAY_INTERRUPTED
            with pytest.raises(StopAsyncIteration):
                await anext(pictures)
            await recorder.until_call("room", "lobby", RoomStateReason.RECONNECT_FAILED, 1002053)
            assert [call[1] for call in recorder.of("room")] == [
                LOGINING,
                LOGINED,
                RoomStateReason.RECONNECTING,
                RoomStateReason.RECONNECT_FAILED,
            ]


@pytest.mark.parametrize("junk", [b"\x00\xff", b"{", b'{"type":"login_ok"}'])
async def test_junk_from_the_server_ends_the_session_with_its_code(junk: bytes) -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        await engine.login_room("lobby", ALICE, CONFIG)
        await server.say_bytes(junk)
        await recorder.until_call("room", "lobby", RoomStateReason.KICK_OUT, 1002057)


async def test_a_second_login_is_refused_and_the_first_goes_on() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        with pytest.raises(RoomError) as caught:
            await engine.login_room("other", ALICE, CONFIG)
        assert caught.value.code == ErrorCode.ROOM_COUNT_EXCEEDED
        assert room.state is LOGINED


async def test_the_token_may_come_from_a_function() -> None:
    async def provide() -> str:
        return "made-to-order"

    async with scripted_server() as server, engine_of(server) as engine:
        await engine.login_room("lobby", ALICE, RoomConfig(token=provide))
        assert (await server.expect(messages.Login)).token == "made-to-order"


async def test_cancelling_the_await_of_a_login_logs_out() -> None:
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.silent.add(messages.Login)
        login = engine.login_room("lobby", ALICE, CONFIG)
        waiting = asyncio.ensure_future(login)
        await server.expect(messages.Login)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await server.expect(messages.Logout)
        await recorder.until_call("room", "lobby", RoomStateReason.LOGOUT, 0)


async def test_what_happened_before_the_handler_was_set_is_replayed() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        await engine.login_room("lobby", ALICE, CONFIG)
        recorder = Recorder()
        engine.set_event_handler(recorder)
        await recorder.until_call("room", "lobby", LOGINED, 0)
        assert recorder.calls == [("room", "lobby", LOGINING, 0), ("room", "lobby", LOGINED, 0)]


async def test_events_are_also_an_iterator_that_ends_with_the_engine() -> None:
    async with scripted_server() as server:
        async with engine_of(server) as engine:
            room = await engine.login_room("lobby", ALICE, CONFIG)
            events = room.events(RoomStreamUpdate)
            await server.say(messages.UserNotice(0, (BOB,)))
            await server.say(messages.StreamNotice(0, (messages.Stream("s1", BOB),)))
            event = await anext(events)
            assert event.streams[0].stream_id == "s1"
            assert room.users["bob"] == User("bob", "Bob")
        assert [event async for event in events] == []


async def test_dropped_calls_warn_of_nothing() -> None:
    # filterwarnings = error: a "was never awaited" or "never retrieved" would fail this test.
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Login] = (1002067, "no token")
        engine.login_room("lobby", ALICE)
        engine.start_publishing_stream("s1", CustomVideoSource())
        engine.start_playing_stream("s1")
        await recorder.until_call("room", "lobby", RoomStateReason.LOGIN_FAILED, 1002067)
    del engine
    gc.collect()


async def test_destroy_inside_a_handler() -> None:
    done = asyncio.Event()

    class Leaving(Recorder):
        async def on_room_user_update(
            self, room_id: str, update_type: UpdateType, users: Sequence[User]
        ) -> None:
            await engine.destroy()
            done.set()

    async with scripted_server() as server:
        engine = engine_of(server, Leaving())
        await engine.login_room("lobby", ALICE, CONFIG)
        await server.say(messages.UserNotice(0, (BOB,)))
        async with asyncio.timeout(10):
            await done.wait()
        await server.expect(messages.Logout)


async def test_a_stream_that_comes_while_the_server_says_that_it_is_not_there() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        server.silent.add(messages.Play)
        playing = room.start_playing_stream("s1")
        asked = await server.expect(messages.Play)
        await server.say(messages.StreamNotice(0, (messages.Stream("s1", BOB),)))
        await server.say(messages.Error(code=1004002, message="no such stream", seq=asked.seq))
        server.silent.clear()
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing


async def test_the_token_reaches_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with scripted_server() as server, engine_of(server) as engine:
            # The other end of the test's connection may write what it likes.
            logging.getLogger("websockets.server").setLevel(logging.INFO)
            room = await engine.login_room("lobby", ALICE, CONFIG)
            assert "secret-token" not in repr(CONFIG)
            server.refuse[messages.Play] = (1004072, "off")
            with pytest.raises(PlayError):
                await room.start_playing_stream("s")
    assert "secret-token" not in caplog.text


async def test_destroy_is_idempotent_and_later_calls_are_refused() -> None:
    async with scripted_server() as server:
        engine = engine_of(server)
        await engine.login_room("lobby", ALICE, CONFIG)
        await asyncio.gather(engine.destroy(), engine.destroy())
        await engine.destroy()
        with pytest.raises(SanderlingError) as caught:
            engine.login_room("lobby", ALICE, CONFIG)
        assert caught.value.code == ErrorCode.ENGINE_NOT_CREATED


def test_an_engine_needs_a_running_loop() -> None:
    with pytest.raises(SanderlingError) as caught:
        Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700"))
    assert caught.value.code == ErrorCode.ENGINE_NOT_CREATED


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:7700", "ftp://host", "http://", "http://host:port", "ws://h:99999"]
)
async def test_a_server_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SanderlingError) as caught:
        Engine(EngineProfile(app_id=1, server=url))
    assert caught.value.code == ErrorCode.ILLEGAL_PARAMETER

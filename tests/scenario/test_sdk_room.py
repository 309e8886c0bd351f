"""Rooms as their members see them: messages, extra infos, devices, several rooms, paths, transports."""

from __future__ import annotations

import asyncio

import pytest

from sanderling import (
    Channel,
    ErrorCode,
    NetworkQualityUpdate,
    PlayerConfig,
    PlayerMediaEvent,
    PlayerState,
    PlayerVideoSizeChanged,
    PublisherConfig,
    PublisherFirstFrame,
    PublisherState,
    PublisherStreamEvent,
    PublisherVideoSizeChanged,
    RateLimited,
    RemoteDeviceState,
    ResourceMode,
    ResourceType,
    RoomConfig,
    RoomError,
    RoomMode,
    RoomStateReason,
    SanderlingError,
    StreamDeleteReason,
    StreamEvent,
    StreamQualityLevel,
    UpdateType,
    User,
)
from scenario.test_sdk_reconnect import pushing
from scenario.town import town
from unit.sdk.recorder import Recorder

pytestmark = pytest.mark.timeout(90)


async def test_messages_reach_the_others_and_not_the_sender() -> None:
    async with town() as it:
        (alice, heard_by_alice), (bob, heard) = await it.join("alice"), await it.join("bob")
        _, heard_by_carol = await it.join("carol")
        first = await alice.send_broadcast_message("hello")
        assert await bob.send_broadcast_message("hi") > first
        await alice.send_barrage_message("wow")
        await alice.send_custom_command("your turn", [bob.user])
        await alice.send_transparent_message(b"\x00\xff", ["bob"])
        await heard.until_call("transparent", "r", "alice", b"\x00\xff")
        await heard_by_alice.until_call("broadcast", "r", "bob", "hi")
        await heard_by_carol.until_call("barrage", "r", "alice", "wow")
        assert heard.of("broadcast") == [("r", "alice", "hello")]
        assert heard.of("barrage") == [("r", "alice", "wow")]
        assert heard.of("command") == [("r", "alice", "your turn")]
        assert heard_by_alice.of("barrage") == heard_by_alice.of("command") == []
        assert heard_by_carol.of("command") == heard_by_carol.of("transparent") == []


@pytest.mark.parametrize(
    ("call", "arguments", "code"),
    [
        ("send_broadcast_message", ("",), ErrorCode.MESSAGE_EMPTY),
        ("send_broadcast_message", ("é" * 513,), ErrorCode.MESSAGE_TOO_LONG),
        ("send_barrage_message", ("",), ErrorCode.MESSAGE_EMPTY),
        ("send_barrage_message", ("x" * 1025,), ErrorCode.MESSAGE_TOO_LONG),
        ("send_custom_command", ("",), ErrorCode.MESSAGE_EMPTY),
        ("send_custom_command", ("x", [""]), ErrorCode.MESSAGE_USER_ID_EMPTY),
        ("send_custom_command", ("x", ["u" * 64]), ErrorCode.MESSAGE_USER_ID_TOO_LONG),
        ("send_custom_command", ("x", ["u"] * 101), ErrorCode.MESSAGE_PARAMETERS_TOO_LONG),
        ("send_transparent_message", (b"",), ErrorCode.MESSAGE_EMPTY),
        ("send_transparent_message", (b"x" * 4097,), ErrorCode.MESSAGE_DATA_TOO_LONG),
        ("set_room_extra_info", ("", "v"), ErrorCode.ROOM_EXTRA_INFO_KEY_EMPTY),
        ("set_room_extra_info", ("k" * 11, "v"), ErrorCode.ROOM_EXTRA_INFO_KEY_TOO_LONG),
        ("set_room_extra_info", ("k", "v" * 129), ErrorCode.ROOM_EXTRA_INFO_VALUE_TOO_LONG),
        ("send_data", ("nobodys", b"x"), ErrorCode.NOT_BROADCASTING),
        ("send_data", ("", b"x"), ErrorCode.SEQUENTIAL_DATA_STREAM_MISSING),
        ("send_data", ("mine", b""), ErrorCode.SEQUENTIAL_DATA_SEND_FAILED),
        ("send_data", ("mine", b"x" * 4097), ErrorCode.SEQUENTIAL_DATA_SEND_FAILED),
        ("subscribe_data", ("",), ErrorCode.STREAM_ID_EMPTY),
        ("subscribe_data", ("nobodys",), ErrorCode.STREAM_NOT_FOUND),
        ("unsubscribe_data", ("nobodys",), ErrorCode.NOT_SUBSCRIBED),
        ("switch", ("",), ErrorCode.ROOM_ID_EMPTY),
        ("renew_token", ("",), ErrorCode.TOKEN_MISSING),
        ("renew_token", ("04nonsense",), ErrorCode.AUTHENTICATION_FAILED),
    ],
)
async def test_bad_input_has_its_code(call: str, arguments: tuple[object, ...], code: ErrorCode) -> None:
    async with town() as it:
        room, _ = await it.join("alice")
        with pytest.raises(SanderlingError) as caught:
            await getattr(room, call)(*arguments)
        assert caught.value.code == code
        assert room.state is RoomStateReason.LOGINED


async def test_broadcasts_have_a_rate() -> None:
    async with town() as it:
        room, _ = await it.join("alice")
        outcomes = await asyncio.gather(
            *(room.send_broadcast_message("again") for _ in range(4)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
        assert len(refused) == 2
        assert {error.code for error in refused} == {ErrorCode.BROADCAST_TOO_OFTEN}
        assert all(error.retry_after > 0 for error in refused)


async def test_nothing_is_said_after_the_logout() -> None:
    async with town() as it:
        room, _ = await it.join("alice")
        await room.logout()
        for call in (room.send_broadcast_message("x"), room.stream_list(), room.renew_token("x")):
            with pytest.raises(SanderlingError) as caught:
                await call
            assert caught.value.code == ErrorCode.NOT_LOGGED_IN


async def test_the_rooms_extra_info_is_told_now_and_to_those_who_come_later() -> None:
    async with town() as it:
        (alice, _), (bob, heard) = await it.join("alice"), await it.join("bob")
        await alice.set_room_extra_info("mood", "calm")
        await heard.until_call("extra info", "r", "mood", "calm")
        assert bob.extra_info["mood"].user.user_id == "alice"
        with pytest.raises(RoomError) as caught:
            await bob.set_room_extra_info("other", "x")
        assert caught.value.code == ErrorCode.ROOM_EXTRA_INFO_TOO_MANY_KEYS
        carol, heard_by_carol = await it.join("carol")
        await heard_by_carol.until_call("extra info", "r", "mood", "calm")
        assert carol.extra_info["mood"].value == "calm"
        assert carol.online_user_count == 3


async def test_a_streams_extra_info_devices_and_list() -> None:
    async with town() as it, pushing() as source:
        (alice, _), (bob, heard) = await it.join("alice"), await it.join("bob")
        publisher = await alice.start_publishing_stream("film", source)
        await heard.until(lambda: "film" in bob.streams)
        await publisher.set_extra_info("act one")
        await heard.until_call("stream info", "r", "film", "act one")
        await publisher.mute(video=True)
        await heard.until_call("camera", "film", RemoteDeviceState.MUTE)
        await publisher.enable(microphone=False)
        await heard.until_call("microphone", "film", RemoteDeviceState.DISABLE)
        await publisher.mute(video=False)
        await heard.until_call("camera", "film", RemoteDeviceState.OPEN)
        assert bob.streams["film"].microphone is RemoteDeviceState.DISABLE
        assert [stream.stream_id for stream in await bob.stream_list()] == ["film"]
        assert await alice.stream_list() == ()
        assert [stream.extra_info for stream in await alice.stream_list(own=True)] == ["act one"]
        _, heard_late = await it.join("carol")
        await heard_late.until_call("microphone", "film", RemoteDeviceState.DISABLE)


async def test_sequential_data_arrives_in_order() -> None:
    async with town() as it, pushing() as source:
        (alice, _), (bob, heard) = await it.join("alice"), await it.join("bob")
        await alice.start_publishing_stream("film", source)
        await bob.subscribe_data("film")
        with pytest.raises(RoomError) as caught:
            await bob.subscribe_data("film")
        assert caught.value.code == ErrorCode.REPEATED_SUBSCRIPTION
        await asyncio.gather(*(alice.send_data("film", bytes([number])) for number in range(20)))
        await heard.until(lambda: len(heard.of("data")) == 20)
        assert [call[1] for call in heard.of("data")] == [bytes([number]) for number in range(20)]
        await bob.unsubscribe_data("film")


async def test_four_channels_at_once() -> None:
    async with town() as it, pushing() as source:
        (alice, _), (bob, heard) = await it.join("alice"), await it.join("bob")
        for channel in Channel:
            await alice.start_publishing_stream(f"s{int(channel)}", source, channel=channel)
        await heard.until(lambda: len(bob.streams) == 4)
        assert set(alice.publishers) == set(Channel)


async def test_several_rooms_at_once() -> None:
    async with town() as it:
        recorder = Recorder()
        engine = it.engine(recorder, room_mode=RoomMode.MULTI_ROOM)
        alice = User("alice", "Alice")
        # All in one tick: each login has to wait for the one before it.
        logins = [engine.login_room(f"r{number}", alice, it.config("alice")) for number in range(5)]
        rooms = [await login for login in logins]
        assert [room.state for room in rooms] == [RoomStateReason.LOGINED] * 5
        assert list(engine.rooms) == [f"r{number}" for number in range(5)]
        for room_id, user, code in (
            ("r5", alice, ErrorCode.TOO_MANY_ROOMS),
            ("r0", alice, ErrorCode.ROOM_ID_IN_USE),
            ("r5", User("bob", "Bob"), ErrorCode.MULTI_ROOM_USER_DIFFERS),
        ):
            with pytest.raises(RoomError) as caught:
                await engine.login_room(room_id, user, it.config("alice"))
            assert caught.value.code == code
        bob, heard = await it.join("bob", "r3")
        await rooms[3].send_broadcast_message("only here")
        await heard.until_call("broadcast", "r3", "alice", "only here")
        async with pushing() as source:
            for publishing, code in (
                (None, ErrorCode.PUBLISH_IN_MULTI_ROOM_WITHOUT_CONFIG),
                (PublisherConfig(), ErrorCode.PUBLISH_ROOM_ID_MISSING),
            ):
                with pytest.raises(SanderlingError) as missing:
                    await engine.start_publishing_stream("film", source, config=publishing)
                assert missing.value.code == code
            await engine.start_publishing_stream("film", source, room_id="r3")
            await heard.until(lambda: "film" in bob.streams)
        for playing, code in (
            (None, ErrorCode.PLAY_IN_MULTI_ROOM_WITHOUT_CONFIG),
            (PlayerConfig(), ErrorCode.PLAY_ROOM_ID_MISSING),
        ):
            with pytest.raises(SanderlingError) as missing:
                await engine.start_playing_stream("film", playing)
            assert missing.value.code == code
        with pytest.raises(RoomError) as switching:
            await engine.switch_room("r0", "r9")
        assert switching.value.code == ErrorCode.SWITCH_ROOM_IN_MULTI_ROOM
        await engine.logout_room("r1")
        assert "r1" not in engine.rooms
        await engine.logout_room()
        assert dict(engine.rooms) == {}


async def test_switching_the_room_keeps_the_connection() -> None:
    async with town() as it, pushing() as source:
        (host, _), recorder = await it.join("host", "second"), Recorder()
        await host.start_publishing_stream("film", source)
        engine = it.engine(recorder)
        room = await engine.login_room("first", User("alice", "Alice"), it.config("alice"))
        player = await room.start_playing_stream("film")
        viewer = room.session.viewing.transport
        room = await engine.switch_room("first", "second")
        assert player.state is PlayerState.NO_PLAY
        assert room.session.viewing.transport is viewer
        assert "film" in room.streams
        player = await room.start_playing_stream("film")
        await player.first_frame(10)
        await recorder.until(lambda: bool(recorder.of("streams")))
        assert recorder.of("room") == [
            ("first", RoomStateReason.LOGINING, 0),
            ("first", RoomStateReason.LOGINED, 0),
            ("first", RoomStateReason.LOGOUT, 0),
            ("second", RoomStateReason.LOGINING, 0),
            ("second", RoomStateReason.LOGINED, 0),
        ]
        with pytest.raises(RoomError) as caught:
            await engine.switch_room("first", "third")
        assert caught.value.code == ErrorCode.ROOM_ID_INCORRECT


async def test_a_switch_that_is_refused_fails_and_leaves_the_user_in_no_room() -> None:
    async with town() as it:
        config = RoomConfig(token=it.node.token(it.project, "alice"), max_member_count=1)
        full = await it.engine(Recorder()).login_room("full", User("alice", "Alice"), config)
        recorder = Recorder()
        engine = it.engine(recorder)
        await engine.login_room("first", User("bob", "Bob"), it.config("bob"))
        with pytest.raises(RoomError) as caught:
            await engine.switch_room("first", "full")
        assert caught.value.code == ErrorCode.ROOM_FULL
        await recorder.until(lambda: len(recorder.of("room")) == 5)
        assert recorder.of("room")[-1] == ("full", RoomStateReason.LOGIN_FAILED, ErrorCode.ROOM_FULL)
        assert dict(engine.rooms) == {}
        again = await engine.login_room("first", User("bob", "Bob"), it.config("bob"))
        assert again.state is RoomStateReason.LOGINED
        assert full.state is RoomStateReason.LOGINED


async def test_a_viewer_that_comes_on_stage_gets_the_fast_path_and_back() -> None:
    async with town() as it, pushing() as film, pushing() as own:
        (host, _), (viewer, heard) = await it.join("host"), await it.join("viewer")
        await host.start_publishing_stream("film", film)
        player = await viewer.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        assert player.resource_mode is ResourceMode.ONLY_L3
        publisher = await viewer.start_publishing_stream("mine", own)
        await heard.until_call("resource", "film", ResourceMode.ONLY_RTC)
        for _ in range(5):
            await anext(pictures)
        await publisher.stop()
        await heard.until_call("resource", "film", ResourceMode.ONLY_L3)
        await player.switch_resource(ResourceType.RTC)
        await heard.until(lambda: player.resource_mode is ResourceMode.ONLY_RTC)
        for _ in range(5):
            await anext(pictures)
        with pytest.raises(SanderlingError) as caught:
            await player.switch_resource(ResourceType.CDN)
        assert caught.value.code == ErrorCode.NOT_INSTALLED
        with pytest.raises(SanderlingError) as other:
            await viewer.start_playing_stream("mine", PlayerConfig(resource_mode=ResourceMode.ONLY_CDN))
        assert other.value.code == ErrorCode.NOT_INSTALLED
        # One play throughout, never interrupted.
        assert [call[1] for call in heard.of("player")[:2]] == [
            PlayerState.PLAY_REQUESTING,
            PlayerState.PLAYING,
        ]
        assert player.state is PlayerState.PLAYING
        assert ("break", "film", PlayerMediaEvent.VIDEO_BREAK_OCCUR) not in heard.calls


async def test_pictures_that_stop_are_a_break() -> None:
    async with town() as it:
        (host, _), (viewer, heard) = await it.join("host"), await it.join("viewer")
        async with pushing() as source:
            await host.start_publishing_stream("film", source)
            player = await viewer.start_playing_stream("film")
            await player.first_frame(10)
        await heard.until_call("break", "film", PlayerMediaEvent.VIDEO_BREAK_OCCUR)
        async with pushing(source):
            await heard.until_call("break", "film", PlayerMediaEvent.VIDEO_BREAK_RESUME)


async def test_every_step_of_an_attempt_is_told() -> None:
    async with town() as it, pushing() as source:
        host, _ = await it.join("host")
        steps = host.events(PublisherStreamEvent)
        publisher = await host.start_publishing_stream("film", source)
        await publisher.stop()
        seen = [(await anext(steps)).event for _ in range(3)]
        assert seen == [StreamEvent.PUBLISH_START, StreamEvent.PUBLISH_SUCCESS, StreamEvent.PUBLISH_END]


async def test_the_quality_of_the_network_is_told_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.sdk.monitor.NETWORK_INTERVAL", 1.1)
    async with town() as it, pushing() as source:
        (host, _), (viewer, _) = await it.join("host"), await it.join("viewer")
        of_host, of_viewer = host.events(NetworkQualityUpdate), viewer.events(NetworkQualityUpdate)
        await host.start_publishing_stream("film", source)
        await (await viewer.start_playing_stream("film")).first_frame(10)
        async with asyncio.timeout(20):
            while (update := await anext(of_host)).up is not StreamQualityLevel.EXCELLENT:
                assert update.user_id == ""
            while (update := await anext(of_viewer)).user_id != "host":
                assert update.user_id == ""


async def test_a_publisher_transport_that_is_lost_is_made_anew_and_players_stay() -> None:
    async with town() as it, pushing() as source:
        (host, hosting), (viewer, heard) = await it.join("host"), await it.join("viewer")
        publisher = await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        transport = publisher._transport
        assert transport is not None
        transport._on_state(
            "failed", None
        )  # what the engine finds out after a quarter of a minute of silence
        await hosting.until(lambda: len(hosting.of("publisher")) == 4)
        assert [call[1:] for call in hosting.of("publisher")][2:] == [
            (PublisherState.PUBLISH_REQUESTING, 1003020),
            (PublisherState.PUBLISHING, 0),
        ]
        for _ in range(5):
            await anext(pictures)
        assert player.state is PlayerState.PLAYING
        assert len(heard.of("streams")) == 1
        assert len(heard.of("player")) == 2


async def test_a_viewer_transport_that_is_lost_is_made_anew() -> None:
    async with town() as it, pushing() as source:
        (host, _), (viewer, heard) = await it.join("host"), await it.join("viewer")
        await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        pictures = player.video()
        await anext(pictures)
        viewer.session.viewing.lose()
        await heard.until(lambda: len(heard.of("player")) == 4)
        assert [call[1:] for call in heard.of("player")][2:] == [
            (PlayerState.PLAY_REQUESTING, 1004020),
            (PlayerState.PLAYING, 0),
        ]
        for _ in range(5):
            await anext(pictures)
        assert viewer.state is RoomStateReason.LOGINED
        assert (UpdateType.DELETE, StreamDeleteReason.CONNECTION_LOST) not in heard.of("streams")


async def test_first_pictures_and_sizes_are_told() -> None:
    async with town() as it, pushing() as source:
        (host, _), (viewer, _) = await it.join("host"), await it.join("viewer")
        published = host.events(PublisherFirstFrame, PublisherVideoSizeChanged)
        played = viewer.events(PlayerVideoSizeChanged)
        await host.start_publishing_stream("film", source)
        await viewer.start_playing_stream("film")
        async with asyncio.timeout(20):
            seen = [await anext(published) for _ in range(3)]
            assert await anext(played) == PlayerVideoSizeChanged("film", 320, 180)
        assert seen == [
            PublisherFirstFrame(Channel.MAIN, "video", sent=False),
            PublisherVideoSizeChanged(320, 180, Channel.MAIN),
            PublisherFirstFrame(Channel.MAIN, "video", sent=True),
        ]

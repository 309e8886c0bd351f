"""set_play_stream_video_type: while a stream plays, before it does, and when the server does not know the play."""

from __future__ import annotations

import pytest

from sanderling import (
    Engine,
    EngineProfile,
    ErrorCode,
    PlayerConfig,
    PlayError,
    RoomConfig,
    SanderlingError,
    User,
    VideoStreamType,
)
from sanderling.signaling import messages
from unit.sdk.scripted_server import ScriptedServer, scripted_server

ALICE = User("alice", "Alice")
SMALL, BIG, DEFAULT = VideoStreamType.SMALL, VideoStreamType.BIG, VideoStreamType.DEFAULT


def engine_of(server: ScriptedServer) -> Engine:
    return Engine(EngineProfile(app_id=1234, server=server.url))


async def test_the_layer_is_chosen_while_a_stream_plays() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, RoomConfig(token="t"))
        playing = room.start_playing_stream("s1")
        assert (await server.expect(messages.Play)).video_type == DEFAULT
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        await engine.set_play_stream_video_type("s1", SMALL)
        asked = await server.expect(messages.SetVideoType)
        assert (asked.stream_id, asked.video_type) == ("s1", SMALL)
        await engine.set_play_stream_video_type("s1", DEFAULT)
        assert (await server.expect(messages.SetVideoType)).video_type == DEFAULT


async def test_a_choice_made_before_goes_with_the_play() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, RoomConfig(token="t"))
        await engine.set_play_stream_video_type("s1", BIG)
        room.start_playing_stream("s1")
        room.start_playing_stream("s2", PlayerConfig(video_type=SMALL))
        plays = [await server.expect(messages.Play) for _ in range(2)]
        assert {play.stream_id: play.video_type for play in plays} == {"s1": BIG, "s2": SMALL}
        assert not any(isinstance(message, messages.SetVideoType) for message in server.received)


async def test_a_play_that_the_server_does_not_hold_takes_the_choice_along_later() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        room = await engine.login_room("lobby", ALICE, RoomConfig(token="t"))
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        server.refuse[messages.SetVideoType] = (1004011, "not played")
        await engine.set_play_stream_video_type("s1", BIG)
        # The server lost the viewer transport; the play is asked for again.
        await server.say(messages.PlayerStateNotice("s1", 0, code=1004020, message="lost"))
        assert (await server.expect(messages.Play)).video_type == BIG


async def test_what_cannot_be_is_refused_with_its_code() -> None:
    async with scripted_server() as server, engine_of(server) as engine:
        with pytest.raises(SanderlingError) as refused:
            await engine.set_play_stream_video_type("s1", SMALL)
        assert refused.value.code is ErrorCode.NOT_LOGGED_IN
        room = await engine.login_room("lobby", ALICE, RoomConfig(token="t"))
        for stream_id, video_type, code in (
            ("", SMALL, ErrorCode.STREAM_ID_EMPTY),
            ("x" * 257, SMALL, ErrorCode.STREAM_ID_TOO_LONG),
            ("s1", 3, ErrorCode.ILLEGAL_PARAMETER),
        ):
            with pytest.raises(SanderlingError) as refused:
                await engine.set_play_stream_video_type(stream_id, video_type)  # type: ignore[arg-type]
            assert refused.value.code is code
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        player = await playing
        server.refuse[messages.SetVideoType] = (1000017, "broken")
        with pytest.raises(SanderlingError) as refused:
            await engine.set_play_stream_video_type("s1", BIG)
        assert refused.value.code is ErrorCode.ILLEGAL_PARAMETER
        await player.stop()
        with pytest.raises(PlayError) as ended:
            await player.set_video_type(BIG)
        assert ended.value.code is ErrorCode.STREAM_NOT_PLAYED

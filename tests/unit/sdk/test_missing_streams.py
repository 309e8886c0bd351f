"""A play of a stream that is not there: asked for again, for as long as the product does."""

from __future__ import annotations

import asyncio

import pytest

import sanderling.sdk.playing as playing_module
from sanderling import Engine, EngineProfile, ErrorCode, PlayError, PlayerState, RoomConfig, User
from sanderling.signaling import messages
from unit.sdk.recorder import Recorder
from unit.sdk.scripted_server import ScriptedServer, scripted_server

ALICE = User("alice", "Alice")
CONFIG = RoomConfig(token="secret-token")


def engine_of(server: ScriptedServer, handler: Recorder | None = None) -> Engine:
    return Engine(EngineProfile(app_id=1234, server=server.url), handler)


async def test_a_stream_of_another_room_is_asked_for_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(playing_module, "RETRY_INTERVAL", 0.01)
    async with scripted_server() as server, engine_of(server) as engine:
        server.refuse[messages.Play] = (1004002, "no such stream")
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        for _ in range(3):
            await server.expect(messages.Play)
        server.refuse.clear()  # no notice: the stream is in another room
        assert playing.player is not None
        async with asyncio.timeout(10):
            while playing.player.resource_mode is None:  # until the server has said yes
                await asyncio.sleep(0)
        await server.say(messages.PlayerStateNotice("s1", 2))
        player = await playing
        await player.stop()
        await server.expect(messages.StopPlay)


async def test_a_play_that_is_stopped_while_it_waits_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing_module, "RETRY_INTERVAL", 0.01)
    recorder = Recorder()
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        server.refuse[messages.Play] = (1004002, "no such stream")
        room = await engine.login_room("lobby", ALICE, CONFIG)
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.expect(messages.Play)
        assert playing.player is not None
        await playing.player.stop()
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, 0)
        assert not room.players
        await engine.destroy()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sanderling-play")]


async def test_a_play_anew_outlives_the_word_that_the_former_stream_is_gone() -> None:
    recorder = Recorder()
    film = messages.Stream("s1", messages.User("bob", "Bob"))
    async with scripted_server() as server, engine_of(server, recorder) as engine:
        room = await engine.login_room("lobby", ALICE, CONFIG)
        await server.say(messages.StreamNotice(0, (film,)))
        playing = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        await playing
        # The play ends first, and the room hears of the stream after the next play has begun.
        server.refuse[messages.Play] = (1004002, "no such stream")
        await server.say(messages.PlayerStateNotice("s1", 0))
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, 0)
        again = room.start_playing_stream("s1")
        await server.expect(messages.Play)
        await server.say(messages.StreamNotice(1, (film,)))
        await recorder.until(lambda: len(recorder.of("streams")) == 2)
        server.refuse.clear()
        await server.say(messages.StreamNotice(0, (film,)))
        await server.expect(messages.Play)
        await server.say(messages.PlayerStateNotice("s1", 2))
        player = await again
        # A play that runs ends with its stream.
        await server.say(messages.StreamNotice(1, (film,)))
        await recorder.until(lambda: player.state is PlayerState.NO_PLAY)
        assert [call[1] for call in recorder.of("player")] == [
            PlayerState.PLAY_REQUESTING,
            PlayerState.PLAYING,
            PlayerState.NO_PLAY,
        ] * 2


async def test_a_stream_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing_module, "RETRY_INTERVAL", 0.01)
    recorder = Recorder()
    async with (
        scripted_server() as server,
        Engine(EngineProfile(app_id=1234, server=server.url, av_retry_time=0.02), recorder) as engine,
    ):
        server.refuse[messages.Play] = (1004002, "no such stream")
        room = await engine.login_room("lobby", ALICE, CONFIG)
        with pytest.raises(PlayError) as caught:
            await room.start_playing_stream("s1")
        assert caught.value.code == ErrorCode.STREAM_NOT_FOUND
        await recorder.until_call("player", "s1", PlayerState.NO_PLAY, 1004002)

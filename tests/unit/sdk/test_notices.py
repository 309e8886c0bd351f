"""Notices of a room that change nothing but what is told."""

from __future__ import annotations

from sanderling import Engine, EngineProfile, RoomConfig, User
from sanderling.signaling import messages
from unit.sdk.recorder import Recorder
from unit.sdk.scripted_server import scripted_server


async def test_online_counts_and_data_of_others_are_told() -> None:
    recorder = Recorder()
    async with (
        scripted_server() as server,
        Engine(EngineProfile(app_id=1234, server=server.url), recorder) as engine,
    ):
        room = await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token="t"))
        await server.say(messages.OnlineCountNotice(7))
        await server.say(messages.DataNotice("s1", b"\x01"))
        await server.say(messages.NetworkQualityNotice("bob", 99, 1))  # of a newer peer
        await recorder.until_call("data", "s1", b"\x01")
        assert recorder.of("online") == [("lobby", 7)]
        assert room.online_user_count == 7

"""What an engine loads, and when."""

from __future__ import annotations

import threading

import pytest

from sanderling import Engine, EngineProfile, ErrorCode, RoomConfig, User
from sanderling.errors import MediaUnavailable
from sanderling.sdk.webrtc import runtime
from unit.sdk.scripted_server import scripted_server


async def test_entering_the_engine_loads_what_the_login_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(runtime, "preload", lambda: loaded.append(threading.current_thread()))
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700")):
        assert len(loaded) == 1
        assert loaded[0] is not threading.current_thread()


async def test_a_machine_that_cannot_load_it_hears_so_from_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise MediaUnavailable(ErrorCode.NOT_INSTALLED, "not there")

    monkeypatch.setattr(runtime, "load", missing)
    async with scripted_server() as server, Engine(EngineProfile(app_id=1, server=server.url)) as engine:
        with pytest.raises(MediaUnavailable):
            await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token="t"))

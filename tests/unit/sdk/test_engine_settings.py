"""Settings of an engine, and until when each may be made; experimental calls; where servers may stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    ErrorCode,
    GeoFence,
    GeoFenceAreaCode,
    GeoFenceType,
    RoomConfig,
    RoomError,
    RoomMode,
    RoomStateReason,
    SanderlingError,
    User,
)
from sanderling.signaling import messages
from sanderling.testing import fake_engine, server
from unit.sdk.recorder import Recorder
from unit.sdk.scripted_server import scripted_server

ALICE = User("alice", "Alice")
CONFIG = RoomConfig(token="t")
PROFILE = EngineProfile(app_id=1, server="http://127.0.0.1:7700")
EUROPE = (GeoFenceType.INCLUDE, (GeoFenceAreaCode.EU,))


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(SanderlingError) as caught:
        call()
    return int(caught.value.code)


async def test_settings_count_until_what_they_are_for_has_begun() -> None:
    recorder = Recorder()
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url), recorder) as engine:
        engine.set_engine_config({"room_retry_time": "60", "av_retry_time": "2.5"})
        room = await engine.login_room("lobby", ALICE, CONFIG)
        assert room.av_retry_time == 2.5
        assert code_of(lambda: engine.set_engine_config({"room_retry_time": "5"})) == 1000067
        # None of them changes when one cannot.
        both = {"av_retry_time": "9", "room_retry_time": "5"}
        assert code_of(lambda: engine.set_engine_config(both)) == 1000067
        assert room.av_retry_time == 2.5
        engine.set_engine_config({"av_retry_time": "30"})
        assert (room.av_retry_time, room.session.av_retry_time) == (30.0, 30.0)
        await recorder.until_call("error", 1000067, "set_engine_config")
        await room.logout()
        engine.set_engine_config({"room_retry_time": "5"})


async def test_what_counts_from_the_first_media_on_cannot_change_while_there_is_some() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:
        await engine.start_preview(CustomVideoSource())
        assert code_of(lambda: engine.set_engine_config({"av_retry_time": "5"})) == 1000066
        await engine.stop_preview()
        engine.set_engine_config({"av_retry_time": "5"})
        room = await engine.login_room("lobby", ALICE, CONFIG)
        room.start_publishing_stream("s1", CustomVideoSource())
        assert code_of(lambda: engine.set_engine_config({"av_retry_time": "6"})) == 1000066
        await engine.stop_publishing_stream()
        room.start_playing_stream("s2")
        assert code_of(lambda: engine.set_engine_config({"av_retry_time": "6"})) == 1000066
        await engine.stop_playing_stream("s2")
        engine.set_engine_config({"av_retry_time": "6"})


@pytest.mark.parametrize(
    "settings",
    [{"room_retry": "1"}, {"av_retry_time": "soon"}, {"room_retry_time": "-1"}, {"av_retry_time": "nan"}],
)
async def test_a_setting_that_there_is_not_is_named(settings: dict[str, str]) -> None:
    async with Engine(PROFILE) as engine:
        assert code_of(lambda: engine.set_engine_config(settings)) == 1000017


async def test_the_room_mode_is_set_before_the_first_login() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:
        assert code_of(lambda: engine.set_room_mode(2)) == 1000017  # type: ignore[arg-type]
        engine.set_room_mode(RoomMode.MULTI_ROOM)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        with pytest.raises(SanderlingError) as caught:
            await engine.start_publishing_stream("s1", CustomVideoSource())
        assert caught.value.code == ErrorCode.PUBLISH_IN_MULTI_ROOM_WITHOUT_CONFIG
        assert code_of(lambda: engine.set_room_mode(RoomMode.SINGLE_ROOM)) == 1001020
        await room.logout()
        assert code_of(lambda: engine.set_room_mode(RoomMode.SINGLE_ROOM)) == 1001020


async def test_another_room_takes_multi_room_mode() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:
        await engine.login_room("lobby", ALICE, CONFIG)
        for call in (
            lambda: engine.start_publishing_stream("s1", CustomVideoSource(), room_id="stage"),
            lambda: engine.start_playing_stream("s1", room_id="stage"),
        ):
            with pytest.raises(RoomError) as caught:
                await call()
            assert int(caught.value.code) == 1002081
        playing = engine.start_playing_stream("s1", room_id="lobby")
        assert playing.player is not None


async def test_a_geo_fence_is_set_before_the_first_login() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:
        engine.set_geo_fence(*EUROPE)
        engine.set_geo_fence(GeoFenceType.NONE)
        room = await engine.login_room("lobby", ALICE, CONFIG)
        await room.logout()
        assert code_of(lambda: engine.set_geo_fence(*EUROPE)) == 1001021


@pytest.mark.parametrize(
    ("kind", "areas"),
    [(GeoFenceType.INCLUDE, ()), (GeoFenceType.EXCLUDE, ()), (3, ()), (GeoFenceType.INCLUDE, (1,))],
)
async def test_what_is_no_fence_is_refused(kind: GeoFenceType, areas: tuple[GeoFenceAreaCode, ...]) -> None:
    async with Engine(PROFILE) as engine:
        assert code_of(lambda: engine.set_geo_fence(kind, areas)) == 1000017


@pytest.mark.parametrize(
    ("fence", "region", "admitted"),
    [
        (GeoFence(*EUROPE), "EU", True),
        (GeoFence(*EUROPE), "NA", False),
        (GeoFence(*EUROPE), "", False),
        (GeoFence(GeoFenceType.EXCLUDE, (GeoFenceAreaCode.NA, GeoFenceAreaCode.CN)), "EU", True),
        (GeoFence(GeoFenceType.EXCLUDE, (GeoFenceAreaCode.NA, GeoFenceAreaCode.CN)), "CN", False),
        # Where nobody knows where it stands, it may stand where it must not.
        (GeoFence(GeoFenceType.EXCLUDE, (GeoFenceAreaCode.NA,)), "", False),
        (GeoFence(GeoFenceType.EXCLUDE, (GeoFenceAreaCode.NA,)), "MARS", False),
        (GeoFence(), "", True),
    ],
)
def test_a_fence_admits_or_not(fence: GeoFence, region: str, admitted: bool) -> None:
    assert fence.admits(region) is admitted


@pytest.mark.parametrize("region", ["EU", "NA", ""])
async def test_a_server_outside_of_the_fence_hears_nothing_of_the_user(region: str) -> None:
    recorder = Recorder()
    async with server(native=fake_engine.FakeModule(), region=region) as node:
        project = await node.create_project("test")
        profile = EngineProfile(app_id=project.app_id, server=node.url, geo_fence=GeoFence(*EUROPE))
        async with Engine(profile, recorder) as engine:
            login = engine.login_room("lobby", ALICE, RoomConfig(token=node.token(project, "alice")))
            if region == "EU":
                assert (await login).state is RoomStateReason.LOGINED
                return
            with pytest.raises(SanderlingError) as caught:
                await login
            assert int(caught.value.code) == 1000039
            await recorder.until_call("room", "lobby", RoomStateReason.LOGIN_FAILED, 1000039)
        assert node.services.observer.received == {}


async def test_custom_data_goes_with_the_login_and_has_its_limit() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:
        with pytest.raises(RoomError) as caught:
            await engine.login_room("lobby", ALICE, RoomConfig(token="t", custom_data="x" * 129))
        assert int(caught.value.code) == 1002083
        assert it.connections == 0
        config = RoomConfig(token="t", custom_data="x" * 128)
        room = await engine.login_room("lobby", ALICE, config)
        assert (await it.expect(messages.Login)).config.custom_data == "x" * 128
        with pytest.raises(RoomError) as caught:
            await engine.switch_room("lobby", "stage", replace(config, custom_data="é" * 65))
        assert int(caught.value.code) == 1002083
        assert room.state is RoomStateReason.LOGINED


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"get_version"', "{}", '{"method": 1}', '{"method": "get_version", "params": 1}'],
)
async def test_what_is_no_json_for_an_experimental_call_is_refused(text: str) -> None:
    recorder = Recorder()
    async with Engine(PROFILE, recorder) as engine:
        assert code_of(lambda: engine.call_experimental_api(text)) == 1001091
        await recorder.until_call("error", 1001091, "call_experimental_api")


async def test_experimental_calls_do_what_they_say() -> None:
    async with scripted_server() as it, Engine(replace(PROFILE, server=it.url)) as engine:

        def ask(method: str, **values: object) -> dict[str, object]:
            answer = json.loads(
                engine.call_experimental_api(json.dumps({"method": method, "params": values}))
            )
            assert answer["method"] == method
            result: dict[str, object] = answer["result"]
            return result

        known = ask("list_methods")["methods"]
        assert known == ["get_version", "list_methods", "get_state"]
        assert ask("get_version")["protocol"] == 1
        assert ask("get_state") == {"rooms": []}
        room = await engine.login_room("lobby", ALICE, CONFIG)
        room.start_playing_stream("s1")
        state = {
            "room_id": "lobby",
            "state": "LOGINED",
            "publishing": {},
            "playing": {"s1": "PLAY_REQUESTING"},
        }
        assert ask("get_state") == {"rooms": [state]}
        assert code_of(lambda: ask("explode")) == 1000017

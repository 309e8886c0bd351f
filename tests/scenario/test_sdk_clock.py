"""The time of a machine is set while its users are in a room: nobody notices."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from sanderling import Engine, EngineProfile, PlayerState, RoomConfig, RoomStateReason, UpdateType, User
from scenario.cut_proxy import cut_proxy
from scenario.node_process import node_process
from scenario.user_process import user_process
from scenario.wall_clock import WallClock
from unit.sdk.recorder import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

HOUR_S = 3600
SILENT_S = 2.0
"""How long a session may be silent in these tests: some heartbeats pass while the clock is off."""


async def test_the_clock_of_the_tests_is_off(tmp_path: Path) -> None:
    clock = await asyncio.to_thread(WallClock, tmp_path / "clock")
    clock.set(-HOUR_S)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; print(time.time(), time.monotonic())"),
        env=clock.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    wall, steady = (float(text) for text in output.split())
    assert HOUR_S - 60 < time.time() - wall < HOUR_S + 60
    assert abs(time.monotonic() - steady) < 60


@pytest.mark.parametrize("whose", ["server", "user"])
async def test_the_wall_clock_jumps(whose: str, tmp_path: Path) -> None:
    clock = await asyncio.to_thread(WallClock, tmp_path / "clock")
    limits = {"SANDERLING_HEARTBEAT_TIMEOUT_S": str(SILENT_S)}
    recorder = Recorder()
    async with node_process(
        tmp_path / "state", environment=limits | (clock.environment if whose == "server" else {})
    ) as node:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url)
        async with cut_proxy(node.port) as proxy, Engine(profile, recorder) as engine:
            config = RoomConfig(token=node.token("watcher"), is_user_status_notify=True)
            room = await engine.login_room("r", User("watcher", "Watcher"), config)
            environment = clock.environment if whose == "user" else None
            token = node.token("guest")
            async with user_process(
                proxy.url, node.project.app_id, token, "publish", environment=environment
            ) as guest:
                player = await room.start_playing_stream("film")
                pictures = player.video()
                for off in (HOUR_S, -2 * HOUR_S):
                    await asyncio.to_thread(clock.set, off)
                    async with asyncio.timeout(4 * SILENT_S):
                        # Longer than anybody may be silent, by the pictures: the steady clock decides.
                        for _ in range(int(SILENT_S * 1.5 * 20)):
                            await anext(pictures)
                    # The session is still there to be resumed.
                    proxy.cut()
                    assert await guest.says() == "RECONNECTING 1002051"
                    assert await guest.says() == "RECONNECTED 0"
                    await room.send_broadcast_message("what time is it?")
                assert player.state is PlayerState.PLAYING
                assert engine.room is not None
                assert [call[1] for call in recorder.of("users")] == [UpdateType.ADD]
                assert [call[1] for call in recorder.of("streams")] == [UpdateType.ADD]
                assert [call[1] for call in recorder.of("room")] == [
                    RoomStateReason.LOGINING,
                    RoomStateReason.LOGINED,
                ]
                assert len(recorder.of("player")) == 2

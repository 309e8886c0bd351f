"""Connections and servers that go away and come back: who notices, what is lost, when the picture is there again."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sanderling import (
    CustomVideoSource,
    Engine,
    EngineProfile,
    ErrorCode,
    PixelFormat,
    PlayError,
    PlayerState,
    PublisherState,
    Room,
    RoomConfig,
    RoomMode,
    RoomStateChanged,
    RoomStateReason,
    UpdateType,
    User,
    VideoFrame,
)
from sanderling.testing import TestServer, server
from scenario.cut_proxy import cut_proxy
from scenario.node_process import node_process
from unit.sdk.recorder import Recorder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

RECONNECTS = 1000
LEAK_KIB = 2
"""Memory that a reconnect may leave: less than any object of a connection that stays, more than the ups and downs of
allocators and of the engine, which are a tenth of it."""
OPEN_FILES = 8
"""Descriptors that may come and go meanwhile: the media engine opens sockets for its own checks of paths."""

BACK_S, BUSY_S = 2.0, 3.0
"""How soon the picture is back after a server's restart, and what a busy machine may add to it."""

LOGINING, LOGINED = RoomStateReason.LOGINING, RoomStateReason.LOGINED
RECONNECTING, RECONNECTED = RoomStateReason.RECONNECTING, RoomStateReason.RECONNECTED


async def push(source: CustomVideoSource) -> None:
    picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
    while True:
        picture[:180] = (picture[0, 0] + 3) % 200
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


@asynccontextmanager
async def pushing(source: CustomVideoSource | None = None) -> AsyncIterator[CustomVideoSource]:
    source = source or CustomVideoSource()
    task = asyncio.create_task(push(source))
    try:
        yield source
    finally:
        task.cancel()


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_a_server_that_ends_and_is_started_again(end: str, tmp_path: Path) -> None:
    hosting, viewing = Recorder(), Recorder()
    async with node_process(tmp_path / "state") as node, pushing() as source:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url)
        async with Engine(profile, hosting) as host, Engine(profile, viewing) as viewer:
            config = RoomConfig(token=node.token("host"), is_user_status_notify=True)
            room = await host.login_room("r", User("host", "Host"), config)
            publisher = await room.start_publishing_stream("film", source)
            config = RoomConfig(token=node.token("viewer"), is_user_status_notify=True)
            other = await viewer.login_room("r", User("viewer", "Viewer"), config)
            player = await other.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            before = list(viewing.calls)
            await (node.kill() if end == "kill" else node.terminate())
            await viewing.until_call("room", "r", RECONNECTING, 1002051)
            await node.start()
            serving = time.monotonic()
            await viewing.until_call("room", "r", RECONNECTED, 0)
            await viewing.until_call("player", "film", PlayerState.PLAY_REQUESTING, 1004020)
            await viewing.until(lambda: viewing.of("player")[-1][1] is PlayerState.PLAYING)
            # The same iterator goes on.
            await anext(pictures)
            took = time.monotonic() - serving
            print(f"picture back {took:.2f} s after the server served again")
            assert took <= BACK_S + BUSY_S
            assert publisher.state is PublisherState.PUBLISHING
            assert player.state is PlayerState.PLAYING
            assert [call[1] for call in viewing.of("room")] == [LOGINING, LOGINED, RECONNECTING, RECONNECTED]
            assert [call[1] for call in hosting.of("room")] == [LOGINING, LOGINED, RECONNECTING, RECONNECTED]
            # Nobody is told that anybody went or came.
            assert viewing.of("streams") == [call[1:] for call in before if call[0] == "streams"]
            assert viewing.of("users") == [call[1:] for call in before if call[0] == "users"]


async def to_the_end(pictures: AsyncIterator[VideoFrame]) -> None:
    async for _ in pictures:
        pass


async def join(
    node: TestServer, url: str, user: str, recorder: Recorder, **profile: float
) -> tuple[Engine, Room]:
    project = (await node.call(node.services.storage.projects()))[0]
    engine = Engine(EngineProfile(app_id=project.app_id, server=url, **profile), recorder)  # type: ignore[arg-type]
    config = RoomConfig(token=node.token(project, user), is_user_status_notify=True)
    return engine, await engine.login_room("r", User(user, user), config)


async def test_media_and_messages_survive_a_connection_that_is_cut() -> None:
    hosting, viewing = Recorder(), Recorder()
    async with server() as node, pushing() as source, cut_proxy(node.port) as proxy:
        await node.create_project(l3=True)
        host, room = await join(node, node.url, "host", hosting)
        viewer, other = await join(node, proxy.url, "viewer", viewing)
        async with host, viewer:
            publisher = await room.start_publishing_stream("film", source)
            player = await other.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            proxy.refuses = True
            proxy.cut()
            await viewing.until_call("room", "r", RECONNECTING, 1002051)
            for _ in range(10):
                await anext(pictures)  # media does not need the connection
            assert other.state is RECONNECTING
            texts = [f"message {number}" for number in range(3)]
            for text in texts[:2]:
                await room.send_broadcast_message(text)
            await room.set_room_extra_info("mood", "calm")
            saying = asyncio.ensure_future(other.send_custom_command("still here"))
            proxy.refuses = False
            await viewing.until_call("room", "r", RECONNECTED, 0)
            await saying
            await room.send_custom_command(texts[2])
            await viewing.until_call("command", "r", "host", texts[2])
            await hosting.until_call("command", "r", "viewer", "still here")
            # In order, each once.
            assert [call[2] for call in viewing.of("broadcast")] == texts[:2]
            assert viewing.of("extra info") == [("r", "mood", "calm")]
            assert len(hosting.of("command")) == 1
            for _ in range(5):
                await anext(pictures)
            assert player.state is PlayerState.PLAYING
            assert publisher.state is PublisherState.PUBLISHING
            assert len(viewing.of("player")) == 2
            # The others have noticed nothing.
            assert [call[1] for call in hosting.of("users")] == [UpdateType.ADD]
            assert [call[1] for call in hosting.of("room")] == [LOGINING, LOGINED]


async def test_a_connection_that_falls_silent_is_made_anew() -> None:
    viewing = Recorder()
    async with server(heartbeat_timeout_s=3.0) as node, cut_proxy(node.port) as proxy:
        await node.create_project(l3=True)
        viewer, _ = await join(node, proxy.url, "viewer", viewing)
        async with viewer:
            before = proxy.connections
            proxy.silence(True)
            await viewing.until_call("room", "r", RECONNECTING, 1002051)
            proxy.silence(False)
            await viewing.until_call("room", "r", RECONNECTED, 0)
            assert proxy.connections > before


async def test_the_same_user_elsewhere_is_named_to_the_one_who_goes() -> None:
    first, second = Recorder(), Recorder()
    async with server() as node:
        await node.create_project(l3=True)
        one, room = await join(node, node.url, "alice", first)
        states = room.events(RoomStateChanged)
        two, _ = await join(node, node.url, "alice", second)
        async with one, two:
            state = await anext(states)
            assert (state.reason, state.error_code) == (RoomStateReason.KICK_OUT, 1002050)
            assert str(state.extended_data["origin"]).startswith("127.0.0.1:")
            assert one.room is None
            assert [call[1] for call in second.of("room")] == [LOGINING, LOGINED]


async def test_a_user_that_was_replaced_while_away_does_not_come_back() -> None:
    first, second = Recorder(), Recorder()
    async with server() as node, cut_proxy(node.port) as proxy:
        await node.create_project(l3=True)
        one, _ = await join(node, proxy.url, "alice", first)
        proxy.refuses = True
        proxy.cut()
        await first.until_call("room", "r", RECONNECTING, 1002051)
        two, _ = await join(node, node.url, "alice", second)
        proxy.refuses = False
        async with one, two:
            await first.until_call("room", "r", RoomStateReason.KICK_OUT, 1002050)
            assert [call[1] for call in second.of("room")] == [LOGINING, LOGINED]


async def test_many_reconnects_leave_nothing_behind() -> None:
    viewing = Recorder()
    async with server() as node, pushing() as source, cut_proxy(node.port) as proxy:
        await node.create_project(l3=True)
        viewer, other = await join(node, proxy.url, "viewer", viewing)
        async with viewer:
            await other.start_publishing_stream("mine", source)

            async def reconnect(times: int) -> tuple[int, int, int]:
                """Tasks, descriptors and memory after so many reconnects."""
                for _ in range(times):
                    del viewing.calls[:]  # what is written down is memory too
                    proxy.cut()
                    await viewing.until(lambda: len(viewing.of("room")) >= 2)
                return *await settled(), resident_kib()

            # Pools fill and lazily made things are made in the first half; the second one adds nothing.
            tasks, descriptors, memory = await reconnect(RECONNECTS // 2)
            after = await reconnect(RECONNECTS // 2)
            assert after[0] <= tasks
            assert after[1] <= descriptors + OPEN_FILES
            assert after[2] - memory <= RECONNECTS // 2 * LEAK_KIB
            assert other.state is RECONNECTED


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def settled() -> tuple[int, int]:
    """Tasks and descriptors of this process once what is closing has closed."""
    gc.collect()
    last, same = (0, 0), 0
    while same < 20:
        await asyncio.sleep(0.02)
        now = (len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")))
        same = same + 1 if now == last else 0
        last = now
    return last


async def test_a_server_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    recorder = Recorder()
    async with node_process(tmp_path / "state") as node, pushing() as source:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url, room_retry_time=1.0)
        async with Engine(profile, recorder) as engine:
            room = await engine.login_room("r", User("host", "Host"), RoomConfig(token=node.token("host")))
            await room.start_publishing_stream("film", source)
            player = await room.start_playing_stream("film")
            pictures = player.video()
            await anext(pictures)
            await node.kill()
            await recorder.until_call("room", "r", RoomStateReason.RECONNECT_FAILED, 1002053)
            assert recorder.of("publisher")[-1] == ("film", PublisherState.NO_PUBLISH, 1003021)
            assert recorder.of("player")[-1] == ("film", PlayerState.NO_PLAY, 1004020)
            with pytest.raises(PlayError) as caught:
                await to_the_end(pictures)
            assert caught.value.code == ErrorCode.PLAY_INTERRUPTED
            assert engine.room is None


async def test_a_logout_that_a_silent_server_does_not_confirm() -> None:
    recorder, watching = Recorder(), Recorder()
    async with server() as node, cut_proxy(node.port) as proxy:
        await node.create_project(l3=True)
        watcher, _ = await join(node, node.url, "watcher", watching)
        engine, room = await join(node, proxy.url, "alice", recorder)
        async with watcher, engine:
            await watching.until_call("users", "r", UpdateType.ADD, ("alice",))
            proxy.silence(True)
            await room.logout()
            await recorder.until_call("room", "r", RoomStateReason.LOGOUT_FAILED, 1002052)
            assert engine.room is None
            proxy.silence(False)
            # What this end closed, the others hear of in the end.
            await watching.until_call("users", "r", UpdateType.DELETE, ("alice",), seconds=30)


async def test_several_rooms_come_back_without_ending_each_other(tmp_path: Path) -> None:
    recorder = Recorder()
    async with node_process(tmp_path / "state") as node:
        profile = EngineProfile(app_id=node.project.app_id, server=node.url, room_mode=RoomMode.MULTI_ROOM)
        async with Engine(profile, recorder) as engine:
            alice = User("alice", "Alice")
            config = RoomConfig(token=node.token("alice"))
            for number in range(3):
                await engine.login_room(f"r{number}", alice, config)
            await node.kill()
            await node.start()
            for number in range(3):
                await recorder.until_call("room", f"r{number}", RECONNECTED, 0)
            assert {room.state for room in engine.rooms.values()} == {RECONNECTED}
            assert not [call for call in recorder.of("room") if call[1] is RoomStateReason.KICK_OUT]
            await asyncio.gather(*(room.stream_list() for room in engine.rooms.values()))

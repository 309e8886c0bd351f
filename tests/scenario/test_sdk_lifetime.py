"""An engine leaves nothing behind: no thread, descriptor, task or child; however it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sanderling import CustomVideoSource, Engine, EngineProfile, File, RoomConfig, User
from sanderling.testing import server
from unit.sdk.media_files import write_clip

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CYCLES = 20


def held() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


async def settled() -> tuple[int, int]:
    """What is held once native threads had the time to end: when it has not changed for a while."""
    gc.collect()
    last, same = held(), 0
    while same < 20:
        await asyncio.sleep(0.01)
        now = held()
        same = same + 1 if now == last else 0
        last = now
    return last


async def test_twenty_engines_leave_no_thread_descriptor_or_task(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mov")
    async with server() as node:
        project = await node.create_project(l3=True)
        profile = EngineProfile(app_id=project.app_id, server=node.url)
        # The loop's pool grows when it likes; with one thread it cannot hide one of ours.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))

        async def cycle() -> None:
            async with Engine(profile) as host, Engine(profile) as viewer:
                token = node.token(project, "host")
                room = await host.login_room("r", User("host", "Host"), RoomConfig(token=token))
                await room.start_publishing_stream("film", File(clip, loop=True))
                token = node.token(project, "viewer")
                other = await viewer.login_room("r", User("viewer", "Viewer"), RoomConfig(token=token))
                player = await other.start_playing_stream("film")
                await player.first_frame(20)
                await anext(player.audio())

        for _ in range(3):  # thread pools fill, lazily made things are made
            await cycle()
        tasks = len(asyncio.all_tasks())
        before = await settled()
        for _ in range(CYCLES):
            await cycle()
        after = await settled()
        assert after[0] <= before[0]
        assert after[1] <= before[1]
        assert len(asyncio.all_tasks()) == tasks
        left = await node.snapshot()
        assert left["sessions"] == 0


async def test_destroy_goes_on_when_its_await_is_cancelled() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        engine = Engine(EngineProfile(app_id=project.app_id, server=node.url))
        room = await engine.login_room(
            "r", User("host", "Host"), RoomConfig(token=node.token(project, "host"))
        )
        await room.start_publishing_stream("film", CustomVideoSource())
        destroying = asyncio.ensure_future(engine.destroy())
        await asyncio.sleep(0)
        destroying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await destroying
        await engine.destroy()
        left = await node.snapshot()
        assert left["sessions"] == 0
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("sanderling")]


async def test_the_examples_publish_and_play_and_end_with_ctrl_c(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mov", width=320, height=240)
    async with server() as node:
        project = await node.create_project(l3=True)
        host = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "publish_file.py"),
            node.url,
            str(project.app_id),
            node.token(project, "host"),
            str(clip),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert host.stdout is not None
            async with asyncio.timeout(20):
                assert b"publishing film" in await host.stdout.readline()
            png = tmp_path / "film.png"
            viewer = await asyncio.create_subprocess_exec(
                sys.executable,
                str(EXAMPLES / "play_to_png.py"),
                node.url,
                str(project.app_id),
                node.token(project, "viewer"),
                str(png),
            )
            async with asyncio.timeout(20):
                assert await viewer.wait() == 0
            assert png.read_bytes().startswith(b"\x89PNG")
            host.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                _, errors = await host.communicate()
            # asyncio.run turns the interrupt into KeyboardInterrupt once everything was undone.
            assert b"KeyboardInterrupt" in errors
            assert b"Task was destroyed" not in errors
            assert b"never retrieved" not in errors
        finally:
            if host.returncode is None:
                host.kill()
                await host.wait()
        left = await node.snapshot()
        assert left["sessions"] == 0


FORKED = """
import asyncio, os, sys
from sanderling import Engine, EngineProfile, ForkedProcessError, User
async def main():
    engine = Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1"))
    pid = os.fork()
    if pid == 0:
        try:
            engine.login_room("r", User("a", "a"))
        except ForkedProcessError as error:
            os.write(1, str(error).encode())
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    await engine.destroy()
asyncio.run(main())
"""


def test_a_child_made_by_fork_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fork" in done.stdout


ALONE = ("unshare", "--user", "--map-root-user", "--net")
"""A network of its own without any interface that is up; needs no root."""

NO_NETWORK = """
import asyncio
from sanderling import PublisherConfig
from sanderling.sdk.webrtc.publisher import PublisherTransport
async def main():
    told = asyncio.get_running_loop().create_future()
    def on_state(state, error):
        if not told.done():
            told.set_result((state, error))
    transport = PublisherTransport(PublisherConfig(), video=True, audio=False, on_state=on_state)
    await transport.offer()
    state, error = await asyncio.wait_for(told, 20)
    print(state, int(error.code), type(error).__name__, error)
    transport.close()
asyncio.run(main())
"""


def test_a_machine_without_any_address_is_told_so() -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", NO_NETWORK],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("failed 1000006 MediaUnavailable")
    assert "no network address" in done.stdout


LOOPBACK_ONLY = """
import asyncio, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    # netdevice(7): SIOCSIFFLAGS with IFF_UP | IFF_RUNNING on the loopback interface.
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))
from sanderling import CustomVideoSource, Engine, EngineProfile, RoomConfig, User
from sanderling.testing import server
async def main():
    async with server() as node:
        project = await node.create_project(l3=True)
        async with Engine(EngineProfile(app_id=project.app_id, server=node.url)) as engine:
            room = await engine.login_room("r", User("a", "a"), RoomConfig(token=node.token(project, "a")))
            publisher = await room.start_publishing_stream("s", CustomVideoSource())
            print(publisher.state.name)
asyncio.run(main())
"""


def test_loopback_alone_is_enough_for_a_server_on_this_machine() -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", LOOPBACK_ONLY],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "PUBLISHING" in done.stdout.splitlines()

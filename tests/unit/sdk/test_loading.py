"""What an engine loads, and when."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from codes_seen import met
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


LOG_IN = """
import asyncio, sys
from sanderling import Engine, EngineProfile, RoomConfig, SanderlingError, User

async def main():
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1")) as engine:
        try:
            await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token="t"))
        except SanderlingError as error:
            print(int(error.code), error)

asyncio.run(main())
"""


def log_in(path: Path) -> str:
    """What a login says in a process of its own that finds modules in ``path`` first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", LOG_IN],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    return done.stdout


def test_an_engine_that_is_not_for_this_machine_says_so(tmp_path: Path) -> None:
    """The real module with another processor in its header, as of a wheel for another machine."""
    spec = importlib.util.find_spec("wrtc")
    assert spec is not None
    assert spec.origin is not None
    header = bytearray(Path(spec.origin).read_bytes()[:4096])
    header[18:20] = (243).to_bytes(2, "little")  # e_machine (System V ABI, ELF header): RISC-V
    (tmp_path / Path(spec.origin).name).write_bytes(header)
    said = log_in(tmp_path)
    assert met(int(said.partition(" ")[0])) == 1000006
    assert "does not run on this machine" in said


def test_an_engine_that_is_not_installed_is_another_matter(tmp_path: Path) -> None:
    (tmp_path / "webrtc.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'webrtc'\", name='webrtc')\n"
    )
    said = log_in(tmp_path)
    assert said.startswith("1000010 ")
    assert "pip install wrtc" in said


@pytest.mark.parametrize(
    ("system", "text", "code"),
    [
        ("linux", "libX11.so.6: cannot open shared object file: No such file or directory", 1000010),
        ("linux", "/x/wrtc.so: cannot open shared object file: No such file or directory", 1000006),
        ("linux", "/lib/libc.so.6: version `GLIBC_2.28' not found (required by /x/wrtc.so)", 1000006),
        ("freebsd14", "No module named 'webrtc'", 1000006),
    ],
)
def test_why_it_does_not_load_decides_the_code(
    monkeypatch: pytest.MonkeyPatch, system: str, text: str, code: int
) -> None:
    monkeypatch.setattr("sanderling.sdk.webrtc.runtime.sys.platform", system)
    assert int(runtime._not_loaded(ImportError(text)).code) == code

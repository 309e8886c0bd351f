"""The SDK's log in files."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sanderling import (
    Engine,
    EngineProfile,
    LogConfig,
    RoomConfig,
    RoomError,
    SanderlingError,
    User,
    set_log_config,
)
from sanderling.sdk.log_file import LOG_NAME, _Entry, _Rotated
from unit.sdk.scripted_server import scripted_server

SDK = logging.getLogger("sanderling.sdk")


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    yield
    set_log_config(None)


def lines(folder: Path) -> list[str]:
    return (folder / LOG_NAME).read_text().splitlines()


def test_a_log_is_written_where_it_should_until_told_otherwise(tmp_path: Path) -> None:
    level = SDK.level
    set_log_config(LogConfig(path=tmp_path / "new" / "logs"))
    SDK.info("first %d", 1)
    SDK.debug("too fine")
    set_log_config(LogConfig(path=str(tmp_path), level=logging.DEBUG))
    SDK.debug("second")
    set_log_config(None)
    SDK.warning("nowhere")
    assert [line.rpartition("sanderling.sdk ")[2] for line in lines(tmp_path / "new" / "logs")] == ["first 1"]
    assert [line.rpartition("sanderling.sdk ")[2] for line in lines(tmp_path)] == ["second"]
    assert level == SDK.level
    assert SDK.handlers == []


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    set_log_config(LogConfig(path=tmp_path, size=1024, count=3))
    for number in range(100):
        SDK.info("%080d", number)
    set_log_config(None)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [LOG_NAME, f"{LOG_NAME}.1", f"{LOG_NAME}.2"]
    assert all((tmp_path / name).stat().st_size <= 1024 for name in files)
    assert lines(tmp_path)[-1].endswith(f"{99:080d}")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Also where nothing is forbidden to who runs the tests: a file is no folder, and nobody writes to /proc."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/sanderling"), "a\0b"):
        with pytest.raises(SanderlingError) as caught:
            set_log_config(LogConfig(path=path))
        assert int(caught.value.code) == 1001014


def test_a_path_can_be_too_long(tmp_path: Path) -> None:
    for path in (tmp_path / "/".join(["x" * 200] * 11), tmp_path / ("x" * 256)):
        with pytest.raises(SanderlingError) as caught:
            set_log_config(LogConfig(path=path))
        assert int(caught.value.code) == 1001015
    assert list(tmp_path.iterdir()) == []


def test_a_failed_change_leaves_the_log_that_there_is(tmp_path: Path) -> None:
    set_log_config(LogConfig(path=tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(SanderlingError):
        set_log_config(LogConfig(path=tmp_path / "file"))
    SDK.info("still here")
    set_log_config(None)
    assert lines(tmp_path)[-1].endswith("still here")


@pytest.mark.parametrize("values", [{"size": 1023}, {"size": 100 * 2**20 + 1}, {"count": 2}, {"count": 21}])
def test_impossible_sizes_are_refused(values: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(SanderlingError) as caught:
        LogConfig(path=tmp_path, **values)
    assert int(caught.value.code) == 1000017


async def _log_in_twice() -> None:
    async with scripted_server() as server, Engine(EngineProfile(app_id=1, server=server.url)) as engine:
        await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token="secret-token"))
        with pytest.raises(RoomError):
            await engine.login_room("stage", User("alice", "Alice"), RoomConfig(token="secret-token"))


def test_states_and_failures_are_logged_and_no_secret_is(tmp_path: Path) -> None:

    set_log_config(LogConfig(path=tmp_path, level=logging.DEBUG))
    asyncio.run(_log_in_twice())
    set_log_config(None)
    text = "\n".join(lines(tmp_path))
    for expected in (
        "room lobby: LOGINING, code 0",
        "room lobby: LOGINED, code 0",
        "login_room failed: 1002001",
    ):
        assert expected in text
    assert "secret-token" not in text


def test_a_disk_that_is_too_slow_costs_lines_and_never_time() -> None:
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(2)
    entry = _Entry(waiting)
    for number in range(5):
        entry.handle(logging.LogRecord("sanderling.sdk", logging.INFO, "", 0, f"line {number}", None, None))
    assert [waiting.get_nowait().getMessage() for _ in range(2)] == ["line 0", "line 1"]
    entry.handle(logging.LogRecord("sanderling.sdk", logging.INFO, "", 0, "line 5", None, None))
    texts = [waiting.get_nowait().getMessage() for _ in range(2)]
    assert texts == ["3 lines were lost: the disk was too slow", "line 5"]


def test_a_log_with_as_many_lines_waiting_as_may_ends_with_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanderling.sdk.log_file.WAITING_LINES", 3)
    go, busy = threading.Event(), threading.Event()
    emit = _Rotated.emit

    def slow(handler: _Rotated, record: logging.LogRecord) -> None:
        busy.set()
        go.wait(30)
        emit(handler, record)

    monkeypatch.setattr(_Rotated, "emit", slow)
    set_log_config(LogConfig(path=tmp_path))
    SDK.info("line 0")
    assert busy.wait(30)
    for number in range(1, 4):
        SDK.info("line %d", number)
    disk = threading.Timer(0.2, go.set)
    disk.start()
    try:
        set_log_config(None)
    finally:
        go.set()
        disk.join()
    assert [line.rpartition("sanderling.sdk ")[2] for line in lines(tmp_path)] == [
        f"line {number}" for number in range(4)
    ]

"""The demo as its users run it: real processes, a real server, real media over loopback."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from sanderling.demo import clock, recompute, save

pytestmark = pytest.mark.processes

LIMIT_SECONDS = 45.0
"""How long anything may take before the test fails; nothing is measured with it."""


class Demo:
    """A running ``python -m sanderling.demo``; every line of its standard error is kept."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sanderling.demo", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._deadline = time.monotonic() + LIMIT_SECONDS
        self._rest = b""

    def until(self, pattern: str) -> re.Match[str]:
        """Read standard error up to the line that ``pattern`` is found in."""
        for line in self._read_lines():
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines))

    def finish(self) -> tuple[int, list[str]]:
        """Read to the end; the exit code and the lines of standard output."""
        for _ in self._read_lines():
            pass
        assert self.process.stdout is not None
        output = self.process.stdout.read().decode().splitlines()
        return self.process.wait(timeout=LIMIT_SECONDS), output

    def pids(self) -> list[int]:
        """Process numbers of the parent's children, as it said them."""
        return [int(pid) for line in self.lines for pid in re.findall(r"started as process (\d+)", line)]

    def ports(self) -> list[int]:
        """Port of the server and ports of the media engine, as it named them."""
        text = next(line for line in self.lines if line.startswith("server ready"))
        server, media = re.fullmatch(
            r"server ready: http://127\.0\.0\.1:(\d+), media on ports? (.*) \(.*", text
        ).groups()  # type: ignore[union-attr]
        return [int(server), *map(int, media.split(", "))]

    def close(self) -> None:
        """End what is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read_lines(self) -> Iterator[str]:
        assert self.process.stderr is not None
        descriptor = self.process.stderr.fileno()
        while True:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, self._deadline - time.monotonic()))
            if not ready:
                raise AssertionError("nothing more within the limit; so far:\n" + "\n".join(self.lines))
            data = os.read(descriptor, 65536)
            if not data:
                return
            *complete, self._rest = (self._rest + data).split(b"\n")
            for raw in complete:
                self.lines.append(raw.decode())
                yield self.lines[-1]


@pytest.fixture
def start() -> Iterator[type[Demo]]:
    """Starts demos; none outlives the test."""
    running: list[Demo] = []

    class Started(Demo):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            running.append(self)

    yield Started
    for demo in running:
        demo.close()


def _assert_gone(demo: Demo) -> None:
    """No process and no port of the demo is left; processes that are still on their way out are waited for."""
    pids = demo.pids()
    assert len(pids) == 3
    for pid in pids:
        _wait_for_end(pid)
    for port in demo.ports():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as listener:
                if kind is socket.SOCK_STREAM:  # closed connections may linger, listeners may not
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", port))


def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Readable once it has ended, whether or not its new parent has reaped it.
        ended, _, _ = select.select([descriptor], [], [], LIMIT_SECONDS)
        assert ended, f"process {pid} is still there"
    finally:
        os.close(descriptor)


def test_result_saved_files_and_figures(start: type[Demo], tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    demo = start("--seconds", "6", "--json", "--save", str(folder))
    code, output = demo.finish()
    assert code == 0, "\n".join(demo.lines)
    assert len(output) == 1, "standard output is for the result alone"
    result = json.loads(output[0])

    assert list(result) == [
        "resource_mode",
        "room_states",
        "player_states",
        "publisher_states",
        "login_ms",
        "first_frame_ms",
        "latency_ms",
        "frames",
        "freezes",
        "audio",
        "video",
    ]
    assert result["resource_mode"] == "ONLY_L3"
    assert result["room_states"] == ["LOGINING", "LOGINED"]
    assert result["publisher_states"] == ["PUBLISH_REQUESTING", "PUBLISHING"]
    assert result["player_states"] == ["PLAY_REQUESTING", "PLAYING"]
    latency = result["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert result["login_ms"] > 0
    assert result["first_frame_ms"] > 0
    assert 0 < result["frames"]["received"] <= result["frames"]["sent"]
    assert result["audio"]["received_ms"] > 0
    assert 0 <= result["audio"]["concealed_ratio"] < 0.5
    assert result["video"]["codec"] == "VP8"
    assert result["video"]["width"] / result["video"]["height"] == pytest.approx(16 / 9, rel=0.01)

    assert json.loads(json.dumps(result)) == json.loads(_as_json(recompute.recompute(folder)))
    _assert_pictures_show_the_film_with_the_clock(folder)
    _assert_sound_is_the_films(folder / save.SOUND)
    _assert_gone(demo)


def _as_json(value: object) -> bytes:
    import msgspec

    return msgspec.json.encode(value)


def _assert_pictures_show_the_film_with_the_clock(folder: Path) -> None:
    rows = {row.frame: row for row in save.read_rows(folder / save.FRAMES)}
    pictures = sorted((folder / save.PICTURES).iterdir())
    assert 8 <= len(pictures) <= 14, "two a second for six seconds"
    for path in pictures:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
        number = int(path.stem.removeprefix("frame-"))
        reading = clock.read(frame.to_ndarray(format="gray"))
        assert reading is not None, path.name
        assert reading.unix_ns == rows[number].sent_ns
        film = frame.to_ndarray(format="rgb24")[frame.height // 4 :]
        assert film.std() > 10, f"{path.name} is a plain surface"


def _assert_sound_is_the_films(path: Path) -> None:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getsampwidth()) == (48_000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    assert len(samples) > 48_000
    assert np.sqrt((samples**2).mean()) > 50, "silence"


def test_ctrl_c_stops_in_order_and_leaves_nothing(start: type[Demo]) -> None:
    demo = start("--json", "--seconds", "60")
    demo.until("viewer: first picture after")
    os.killpg(demo.process.pid, signal.SIGINT)  # as the terminal does, to its whole group
    code, output = demo.finish()
    assert code == 130, "\n".join(demo.lines)
    assert json.loads(output[-1])["player_states"][-1] == "PLAYING"
    order = [
        "stopping the viewer",
        "viewer: player NO_PLAY",
        "viewer: room LOGOUT",
        "stopping the host",
        "host: publisher NO_PUBLISH",
        "host: room LOGOUT",
        "stopping the server",
    ]
    assert [line for line in demo.lines if line in order] == order
    _assert_gone(demo)


def test_ctrl_c_before_the_first_picture_leaves_nothing(start: type[Demo]) -> None:
    demo = start("--json", "--seconds", "60")
    demo.until("host: started as process")
    demo.process.send_signal(signal.SIGINT)
    code, output = demo.finish()
    assert (code, output) == (130, [])
    assert "stopped before the first picture" in demo.lines


def test_a_killed_parent_leaves_no_orphan(start: type[Demo]) -> None:
    demo = start("--json", "--seconds", "60")
    demo.until("viewer: first picture after")
    demo.process.kill()
    demo.process.wait()
    _assert_gone(demo)


@pytest.mark.parametrize("victim", ["server", "host", "viewer"])
def test_a_process_that_dies_is_named_and_the_rest_ends(start: type[Demo], victim: str) -> None:
    demo = start("--json", "--seconds", "60")
    demo.until("viewer: first picture after")
    pid = next(
        int(m[1]) for line in demo.lines if (m := re.fullmatch(rf"{victim}: started as process (\d+)", line))
    )
    os.kill(pid, signal.SIGKILL)
    code, output = demo.finish()
    assert (code, output) == (1, [])
    assert demo.lines[-1].startswith(f"error: the {victim} ended by itself"), demo.lines[-1]
    _assert_gone(demo)


def test_a_port_in_use_is_named_with_its_flag(start: type[Demo]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--json", "--port", str(port))
        code, output = demo.finish()
    assert (code, output) == (1, [])
    assert str(port) in demo.lines[-1]
    assert "--port" in demo.lines[-1]


def test_given_ports_are_taken(start: type[Demo]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    demo = start("--json", "--seconds", "1", "--port", str(port), "--media-ports", "42700-42799")
    code, _ = demo.finish()
    assert code == 0, "\n".join(demo.lines)
    server, *media = demo.ports()
    assert server == port
    assert all(42700 <= number <= 42799 for number in media)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--media-ports", "9-x"], "--media-ports"),
        (["--media-ports", "5000-4000"], "--media-ports"),
        (["--seconds", "0"], "--seconds"),
        (["--port", "70000"], "--port"),
    ],
)
def test_wrong_arguments_are_refused_by_name(start: type[Demo], arguments: list[str], message: str) -> None:
    demo = start(*arguments)
    code, output = demo.finish()
    assert (code, output) == (2, [])
    assert message in "\n".join(demo.lines)


def test_a_folder_with_a_saved_run_is_not_overwritten(start: type[Demo], tmp_path: Path) -> None:
    (tmp_path / save.FRAMES).write_text("precious")
    demo = start("--json", "--seconds", "1", "--save", str(tmp_path))
    code, _ = demo.finish()
    assert code == 1
    assert "--save" in demo.lines[-1]
    assert (tmp_path / save.FRAMES).read_text() == "precious"

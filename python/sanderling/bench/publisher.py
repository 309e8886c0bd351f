"""The publisher of ``join``: test pictures with a burned-in clock, sent by WHIP from a process of its own.

Run as ``python -m sanderling.bench.publisher``. Standard input has one line of JSON, the :class:`Task`; its end,
SIGTERM or SIGINT end the publishing. Standard output has reports, a line each: :class:`Publishing` once media flows,
:class:`KeyFrame` per key frame, :class:`Requests` several times a second.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from sanderling.bench.encoder import ClockEncoder
from sanderling.bench.failure import BenchFailed
from sanderling.bench.http_client import HttpClient
from sanderling.bench.sessions import begin_session, end_session, publisher_connected
from sanderling.bridge.load import load_generator

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = ["REPORT", "KeyFrame", "Publishing", "Report", "Requests", "Task", "main"]

REPORT_PICTURES = 5
"""Pictures between two reports of requests."""


class Task(msgspec.Struct, frozen=True):
    """What to publish and where. ``answers``: whether a request for a key frame is answered by one."""

    url: str
    path: str
    token: str
    address: str
    width: int
    height: int
    fps: int
    gop_s: float
    answers: bool

    def __repr__(self) -> str:
        """Leave the token out: this text may reach a log."""
        return f"Task(url={self.url!r}, path={self.path!r}, token=…)"


class Publishing(msgspec.Struct, frozen=True, tag="publishing"):
    """The transport is up and pictures flow."""


class KeyFrame(msgspec.Struct, frozen=True, tag="key_frame"):
    """A key frame was handed to the transport at ``monotonic_ns``."""

    monotonic_ns: int
    asked: bool


class Requests(msgspec.Struct, frozen=True, tag="requests"):
    """Requests for a key frame so far."""

    count: int


Report = Publishing | KeyFrame | Requests
REPORT: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def main() -> int:
    """Run until told to stop; returns the exit code."""
    try:
        task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"expected one line of JSON on standard input: {error}\n")
        return 2
    try:
        asyncio.run(_publish(task))
    except BenchFailed as error:
        sys.stderr.write(f"{error} {error.remedy}".rstrip() + "\n")
        return 1
    return 0


async def _publish(task: Task) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    orders, _ = await loop.connect_read_pipe(lambda: _EndOfInput(stop), sys.stdin)
    load = load_generator(listen=task.address)
    try:
        async with HttpClient(task.url) as http:
            publisher, offer = load.open_publisher(codec="vp8", key_frames_on_request=task.answers)
            answer, location = await begin_session(http, task.path, task.token, offer)
            load.answer(publisher, answer)
            await publisher_connected(load, publisher)
            try:
                await _send(load, publisher, task, stop)
            finally:
                await end_session(http, location, task.token)
    finally:
        load.close()
        orders.close()


async def _send(load: Load, publisher: int, task: Task, stop: asyncio.Event) -> None:
    encoder = ClockEncoder(task.width, task.height, task.fps, task.gop_s)
    interval = 1 / task.fps
    due = time.monotonic()
    answered = pictures = 0
    while not stop.is_set():
        requests = load.publisher_report(publisher)["key_frame_requests"]
        asked = task.answers and requests > answered
        answered = requests
        picture = encoder.encode(time.time_ns(), key_frame=asked)
        load.frame(publisher, picture.data, picture.rtp_timestamp, picture.key_frame)
        if not pictures:
            _say(Publishing())
        if picture.key_frame:
            _say(KeyFrame(time.monotonic_ns(), asked))
        if pictures % REPORT_PICTURES == 0:
            _say(Requests(requests))
        pictures += 1
        due += interval
        # One that falls behind skips ahead rather than sending pictures in a heap.
        due = max(due, time.monotonic() - interval)
        try:
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await stop.wait()
        except TimeoutError:
            continue


def _say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


class _EndOfInput(asyncio.Protocol):
    """The end of standard input means stop: the parent is gone."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def eof_received(self) -> bool:
        self._stop.set()
        return False


if __name__ == "__main__":
    sys.exit(main())

"""``fanout --sink veth``: the bench runs again in a process inside the cable's load side.

A process is in one network. So the outer one makes the namespaces and removes them; the inner one, which is this module
run as ``python -m sanderling.bench.inside_cable``, is told what to do by one line of JSON and answers with one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import msgspec

from sanderling.bench.failure import BenchFailed
from sanderling.bench.fanout import FanoutOptions, run_fanout
from sanderling.bench.figures import FanoutResult
from sanderling.bench.process import ChildProcess
from sanderling.bench.veth import Cable

__all__ = ["main", "run_inside_cable"]

LINE_SECONDS = 120.0
"""Longest silence of the inner process, beyond a reading's length: thousands of viewers connect in it."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the inner process is."""

    text: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """Its result."""

    result: FanoutResult


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """It cannot go on."""

    sentence: str
    remedy: str


class Order(msgspec.Struct, frozen=True):
    """What the inner process is told."""

    mark: str
    options: FanoutOptions


_REPORTS: msgspec.json.Decoder[Progress | Finished | Stopped] = msgspec.json.Decoder(
    Progress | Finished | Stopped
)


async def run_inside_cable(options: FanoutOptions, progress: Callable[[str], None]) -> FanoutResult:
    """As ``run_fanout``, into a cable that is made for it and removed whatever happens. Needs root."""
    with Cable() as cable:
        command = [*cable.at_load, sys.executable, "-P", "-m", "sanderling.bench.inside_cable"]
        order = msgspec.json.encode(Order(cable.mark, options)) + b"\n"
        async with ChildProcess.run("bench", command, first_line=order) as child:
            while True:
                report = _REPORTS.decode(await child.line(LINE_SECONDS + options.seconds))
                match report:
                    case Progress():
                        progress(report.text)
                    case Finished():
                        return report.result
                    case Stopped():
                        raise BenchFailed(report.sentence, report.remedy)


def main() -> int:
    """Run inside; returns the exit code."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    try:
        result = asyncio.run(_inside(order))
    except BenchFailed as error:
        _say(Stopped(str(error), error.remedy))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    _say(Finished(result))
    return 0


async def _inside(order: Order) -> FanoutResult:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run_fanout(order.options, lambda text: _say(Progress(text)), Cable(order.mark))


def _say(report: Progress | Finished | Stopped) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

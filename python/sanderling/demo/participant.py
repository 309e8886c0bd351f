"""One user's process: how it is told what to do, how it reports, and how it ends.

Standard input carries one line of JSON, the :class:`Invitation`, and then nothing: a second line ``stop`` or the
end of the input ends the session in order, and so do SIGTERM and SIGINT. The token comes this way because a command
line can be read by every user of the machine. Standard output carries reports (``reports.py``), a line each.
"""

from __future__ import annotations

import asyncio
import io
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import BinaryIO

import msgspec

from sanderling import TLS, EngineProfile
from sanderling.demo import reports
from sanderling.demo.waiting import Stopped
from sanderling.errors import ErrorCode, SanderlingError

__all__ = ["HOST", "ROOM_ID", "STREAM_ID", "VIEWER", "Invitation", "Reporter", "run"]

log = logging.getLogger("sanderling.demo")

ROOM_ID = "demo"
STREAM_ID = "demo-film"
HOST = "host"
VIEWER = "viewer"

MAX_INVITATION = 64 * 1024
"""Bytes of the first line; a token has at most 16 KiB."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


class Invitation(msgspec.Struct, frozen=True):
    """All that a participant is told. ``fingerprint``: of the server's certificate, where the system trusts it not."""

    app_id: int
    server: str
    token: str
    fingerprint: str = ""

    @property
    def profile(self) -> EngineProfile:
        """The engine's settings."""
        tls = TLS(fingerprint=self.fingerprint) if self.fingerprint else None
        return EngineProfile(app_id=self.app_id, server=self.server, tls=tls)

    def __repr__(self) -> str:
        """Leave the token out: this text may reach a log."""
        return f"Invitation(app_id={self.app_id}, server={self.server!r}, token=…)"


class Reporter:
    """Writes reports to the parent. A parent that is gone is the same as being told to stop."""

    def __init__(self, stream: BinaryIO, on_gone: Callable[[], None]) -> None:
        self._stream = stream
        self._on_gone = on_gone
        self._gone = False

    def __call__(self, report: reports.Report) -> None:
        """Send ``report`` now."""
        if self._gone:
            return
        try:
            self._stream.write(reports.encode(report))
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._gone = True
            self._on_gone()


Part = Callable[[Invitation, Reporter, asyncio.Event], Awaitable[None]]
"""What a participant does until the event is set: ``await part(invitation, report, stop)``."""


def run(part: Part) -> int:
    """Run ``part`` as this process; returns its exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    # Unbuffered, so that nothing after the first line is swallowed before the loop watches the pipe.
    orders = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - lives as long as the process
    try:
        invitation = msgspec.json.decode(orders.readline(MAX_INVITATION), type=Invitation)
    except msgspec.DecodeError as error:
        print(
            f"expected one line of JSON with app_id, server and token on standard input: {error}",
            file=sys.stderr,
        )
        return EXIT_USAGE
    return asyncio.run(_run(part, invitation, orders))


async def _run(part: Part, invitation: Invitation, orders: io.FileIO) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    transport, _ = await loop.connect_read_pipe(lambda: _Orders(stop), orders)
    report = Reporter(sys.stdout.buffer, stop.set)
    try:
        await part(invitation, report, stop)
    except Stopped:
        return EXIT_OK
    except SanderlingError as error:
        report(reports.Failed(int(error.code), error.message, error.hint))
        return EXIT_FAILED
    except Exception as error:
        log.exception("the participant failed")
        report(reports.Failed(int(ErrorCode.INTERNAL_ERROR), f"{type(error).__name__}: {error}"))
        return EXIT_FAILED
    finally:
        transport.close()
    return EXIT_OK


class _Orders(asyncio.Protocol):
    """The rest of standard input: any line, or its end, means stop."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def data_received(self, data: bytes) -> None:
        if b"\n" in data:
            self._stop.set()

    def eof_received(self) -> bool:
        self._stop.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop.set()

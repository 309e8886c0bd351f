"""The demo's server process: a whole node, as ``sanderling serve`` runs it, that ends with its parent.

Run as ``python -m sanderling.demo.server --state DIR``. Once it serves, it prints one line of JSON (ServerReady).
It stops in order on SIGINT or SIGTERM, and when its standard input has a line or ends; a parent that is killed
therefore leaves no server behind.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

import msgspec

from sanderling.demo import reports
from sanderling.errors import SanderlingError
from sanderling.server.app import serve
from sanderling.server.config import ServerConfig
from sanderling.server.lifecycle import Services
from sanderling.server.telemetry import configure_logging

__all__ = ["main"]

HOST = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sanderling.demo.server")
    parser.add_argument("--state", required=True, metavar="DIR")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--media-ports", default="0", metavar="FIRST-LAST")
    options = parser.parse_args(arguments)
    config = ServerConfig(host=HOST, port=options.port, state=options.state, media_ports=options.media_ports)
    configure_logging("console", "warning")
    try:
        asyncio.run(_serve(config))
    except SanderlingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(config: ServerConfig) -> None:
    orders, _ = await asyncio.get_running_loop().connect_read_pipe(_EndOnInput, sys.stdin)
    try:
        await serve(config, on_ready=_say_ready)
    finally:
        orders.close()


def _say_ready(services: Services, port: int) -> None:
    ready = reports.ServerReady(
        f"http://{HOST}:{port}", [list(worker) for worker in services.engine.candidates]
    )
    print(msgspec.json.encode(ready).decode(), flush=True)


class _EndOnInput(asyncio.Protocol):
    """Any input, or its end, has the effect of SIGTERM."""

    def data_received(self, data: bytes) -> None:
        _terminate()

    def eof_received(self) -> bool:
        _terminate()
        return False


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

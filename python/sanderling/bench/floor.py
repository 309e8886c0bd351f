"""The bare floor: sendmmsg with segmentation and nothing else, to the same sockets, as many packets a flush.

It runs in this process, or, where the server is in another network, in one of its own there: this module as
``python -m sanderling.bench.floor``, which reads one line of JSON and writes one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from sanderling.bench.failure import BenchFailed
from sanderling.bench.figures import per_packet
from sanderling.bench.process import ChildProcess
from sanderling.bridge.load import send_floor

__all__ = ["Floor", "main", "measure_floor"]

DATAGRAM_BYTES = 1200
MOST_PER_FLUSH = 64
START_SECONDS = 20.0


class Floor(msgspec.Struct, frozen=True):
    """What this machine sends at best. ``per_flush``: packets to each address together."""

    packets_per_cpu_second: float
    per_flush: int


class Order(msgspec.Struct, frozen=True):
    """To ``addresses`` ("ip:port") as fast as it goes from ``listen``, for so many seconds."""

    addresses: list[str]
    per_flush: int
    seconds: float
    listen: str


async def measure_floor(
    addresses: Sequence[str],
    packets_per_flush: float,
    seconds: float,
    *,
    listen: str,
    prefix: Sequence[str] = (),
) -> Floor:
    """Measure with that many packets a flush, rounded. ``prefix``: command that a process there is put behind."""
    per_flush = min(MOST_PER_FLUSH, max(1, round(packets_per_flush)))
    order = Order(list(addresses), per_flush, seconds, listen)
    if not prefix:
        return await asyncio.to_thread(_send, order)
    command = [*prefix, sys.executable, "-P", "-m", "sanderling.bench.floor"]
    async with ChildProcess.run("floor", command, first_line=msgspec.json.encode(order) + b"\n") as child:
        return msgspec.json.decode(await child.line(START_SECONDS + seconds), type=Floor)


def main() -> int:
    """Carry out one order; returns the exit code."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(_send(order)) + b"\n")
    return 0


def _send(order: Order) -> Floor:
    figures = send_floor(
        order.addresses,
        size=DATAGRAM_BYTES,
        per_flush=order.per_flush,
        seconds=order.seconds,
        listen=order.listen,
    )
    per_second, _ = per_packet(figures["cpu_seconds"], figures["packets"])
    if not per_second:
        raise BenchFailed("the bare floor sent nothing")
    return Floor(per_second, order.per_flush)


if __name__ == "__main__":
    sys.exit(main())

"""The delay a server adds: from the kernel's receive stamp to the return of the sendmmsg that carries the copies.

The same histogram of a forwarder that does nothing but send each datagram on is taken in the same run and subtracted:
what remains is the server's own work, not the machine's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sanderling.bench.node import Node
from sanderling.bridge.load import null_forwarder

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = ["DELAY_VIEWERS", "AddedDelay", "Histogram", "measure_added_delay"]

DELAY_VIEWERS = 100
"""Viewers the added delay is measured with."""
PACKETS_PER_SECOND = 250
"""Of the stream: about 2.3 Mb/s."""
PACKET_BYTES = 1160
_OVERHEAD_BYTES = 40
"""RTP header, extensions and tag around the payload."""
_SETTLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values up to each bound, microseconds ascending; the last bound is infinite."""

    bounds_us: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def read(cls, values: Mapping[str, Sequence[Any]]) -> Histogram:
        """As the engine reports it; JSON writes infinity as null."""
        bounds = tuple(float("inf") if bound is None else float(bound) for bound in values["bounds_us"])
        return cls(bounds, tuple(int(count) for count in values["counts"]))

    def since(self, before: Histogram) -> Histogram:
        """What came after ``before`` was read."""
        counts = zip(self.counts, before.counts, strict=True)
        return Histogram(self.bounds_us, tuple(later - earlier for later, earlier in counts))

    def quantile_ms(self, share: float) -> float | None:
        """Milliseconds below which ``share`` of the values lie, linear within a bucket; None without values."""
        total = sum(self.counts)
        if not total:
            return None
        wanted, seen, low = share * total, 0, 0.0
        for bound, count in zip(self.bounds_us, self.counts, strict=True):
            if count and seen + count >= wanted:
                high = bound if bound != float("inf") else low
                return (low + (high - low) * (wanted - seen) / count) / 1000
            seen += count
            low = bound if bound != float("inf") else low
        return low / 1000


@dataclass(frozen=True, slots=True)
class AddedDelay:
    """p50 and p99 in milliseconds: the server's, the null forwarder's, and the difference."""

    server: dict[str, float]
    null: dict[str, float]
    difference: dict[str, float]


async def measure_added_delay(
    node: Node,
    source: Load,
    publishers: Sequence[int],
    addresses: Sequence[str],
    *,
    burst: int,
    seconds: float,
    progress: Callable[[str], None],
) -> AddedDelay | None:
    """Measure with the viewers at ``addresses`` ("ip:port"), which are connected; None when nothing was forwarded."""
    for publisher in publishers:
        source.start_pattern(
            publisher, packets_per_second=PACKETS_PER_SECOND, packet_bytes=PACKET_BYTES, burst=burst
        )
    try:
        await asyncio.sleep(_SETTLE_SECONDS)
        before = Histogram.read(await node.added_delay())
        await asyncio.sleep(seconds)
        server = Histogram.read(await node.added_delay()).since(before)
    finally:
        for publisher in publishers:
            source.stop_pattern(publisher)
    null = await _null_forwarder(addresses, burst=burst, seconds=seconds)
    parts = [{name: each.quantile_ms(share) for name, share in _RANKS} for each in (server, null)]
    if any(value is None for part in parts for value in part.values()):
        return None
    server_ms, null_ms = ({name: round(value or 0.0, 3) for name, value in part.items()} for part in parts)
    difference = {name: round(max(0.0, server_ms[name] - null_ms[name]), 3) for name, _ in _RANKS}
    progress(
        f"added delay with {len(addresses)} viewers: p50 {server_ms['p50']} p99 {server_ms['p99']} ms, "
        f"null forwarder p50 {null_ms['p50']} p99 {null_ms['p99']} ms"
    )
    return AddedDelay(server_ms, null_ms, difference)


_RANKS = (("p50", 0.5), ("p99", 0.99))


async def _null_forwarder(addresses: Sequence[str], *, burst: int, seconds: float) -> Histogram:
    host = addresses[0].rpartition(":")[0]
    forwarder = null_forwarder(addresses, listen=host)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((host, 0))
            to_host, _, to_port = str(forwarder.address).rpartition(":")
            sender.connect((to_host, int(to_port)))
            await _send(sender, burst, _SETTLE_SECONDS)
            before = Histogram.read(forwarder.report()["added_delay"])
            await _send(sender, burst, seconds)
            return Histogram.read(forwarder.report()["added_delay"]).since(before)
    finally:
        forwarder.close()


async def _send(sender: socket.socket, burst: int, seconds: float) -> None:
    """Send what a publisher would, as ``burst`` datagrams at a time."""
    # No version of STUN, DTLS or RTP: the viewers' sockets it ends at throw it away.
    datagram = b"\xff" * (PACKET_BYTES + _OVERHEAD_BYTES)
    due = time.monotonic()
    end = due + seconds
    while due < end:
        for _ in range(burst):
            sender.send(datagram)
        due += burst / PACKETS_PER_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))

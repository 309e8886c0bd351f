"""What ``fanout`` loads: this product's node, or a peer. Both get the same publishers and viewers."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sanderling.bench.failure import BenchFailed
from sanderling.bench.janus import Janus, VideoRoom
from sanderling.bench.node import Node
from sanderling.bench.sessions import begin_session, publisher_connected, until_connected
from sanderling.bench.usage import perf_counts

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = [
    "CHECKED_EVERY",
    "JanusTarget",
    "NodeTarget",
    "SendCounts",
    "Target",
    "check_media",
    "connect_viewers",
    "host_address",
]

CHECKED_EVERY = 50
"""One viewer of so many decrypts and checks every packet; the others count them."""
_JOINS_AT_ONCE = 16
_SEND_CALLS = ("syscalls:sys_enter_sendmsg", "syscalls:sys_enter_sendto", "syscalls:sys_enter_sendmmsg")


@dataclass(frozen=True, slots=True)
class SendCounts:
    """What a server has sent so far: packets, turns in which it sent something, system calls for that."""

    packets: float
    flushes: float
    calls: float


class Target(Protocol):
    """A server under load."""

    name: str
    pid: int

    async def publish(self, load: Load, stream: int) -> int:
        """Publish stream number ``stream``; the publisher's number in ``load``, its transport up."""

    async def view(self, load: Load, stream: int, number: int) -> str:
        """Play a stream as viewer ``number``; where its socket is ("ip:port"), its transport on its way."""

    async def send_counts(self) -> SendCounts | None:
        """Counters of the server itself; None where it has none."""

    async def send_calls(self, seconds: float) -> float | None:
        """System calls that sent something in so many seconds, counted by the kernel; None where it cannot be."""


class NodeTarget:
    """A node, by WHIP and WHEP."""

    name = "sanderling"

    def __init__(self, node: Node) -> None:
        self._node = node
        self.pid = node.pid

    async def publish(self, load: Load, stream: int) -> int:
        """As the protocol says."""
        publisher, offer = load.open_publisher(codec="vp8")
        token = self._node.token(f"host-{stream}")
        answer, _ = await begin_session(
            self._node.http, self._node.endpoint("whip", _stream(stream)), token, offer
        )
        load.answer(publisher, answer)
        await publisher_connected(load, publisher)
        return publisher

    async def view(self, load: Load, stream: int, number: int) -> str:
        """As the protocol says."""
        viewer, offer = load.open_viewer(check=number % CHECKED_EVERY == 0, audio=False)
        token = self._node.token(f"viewer-{number}")
        answer, _ = await begin_session(
            self._node.http, self._node.endpoint("whep", _stream(stream)), token, offer
        )
        load.answer(viewer, answer)
        return host_address(offer)

    async def send_counts(self) -> SendCounts | None:
        """As the protocol says."""
        counters = await self._node.counters()
        if "flushes" not in counters:
            return None
        return SendCounts(counters["packets_out"], counters["flushes"], counters["sends"])

    async def send_calls(self, seconds: float) -> float | None:
        """As the protocol says."""
        return await _send_calls(self.pid, seconds)


class JanusTarget:
    """A Janus gateway, by its VideoRoom."""

    name = Janus.name

    def __init__(self, janus: Janus, room: VideoRoom) -> None:
        self._room = room
        self.pid = janus.pid
        self._feeds: dict[int, int] = {}

    async def publish(self, load: Load, stream: int) -> int:
        """As the protocol says."""
        publisher, offer = load.open_publisher(codec="vp8")
        # Janus wants to be the DTLS client of whoever leaves it the choice; the load generator is one always.
        feed, answer = await self._room.publish(offer.replace("a=setup:actpass", "a=setup:active"))
        self._feeds[stream] = feed
        load.answer(publisher, answer)
        await publisher_connected(load, publisher)
        return publisher

    async def view(self, load: Load, stream: int, number: int) -> str:
        """As the protocol says."""
        handle, offer = await self._room.subscribe(self._feeds[stream])
        _, answer = load.accept_offer(offer, check=number % CHECKED_EVERY == 0)
        await self._room.start(handle, answer)
        return host_address(answer)

    async def send_counts(self) -> SendCounts | None:
        """Janus has no such counters."""
        return None

    async def send_calls(self, seconds: float) -> float | None:
        """As the protocol says."""
        return await _send_calls(self.pid, seconds)


async def connect_viewers(
    target: Target, load: Load, numbers: range, streams: int, connected_before: int
) -> list[str]:
    """Let viewers come, a few at a time, and wait until all are connected; where their sockets are."""
    turns = asyncio.Semaphore(_JOINS_AT_ONCE)

    async def one(number: int) -> str:
        async with turns:
            return await target.view(load, number % streams, number)

    tasks = [asyncio.create_task(one(number), name=f"bench-viewer-{number}") for number in numbers]
    try:
        viewers = list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await until_connected(load, connected_before + len(viewers))
    return viewers


def check_media(load: Load) -> None:
    """BenchFailed when a viewer that checks what it gets got something else than was published."""
    report = load.report()
    if report["corrupted"]:
        raise BenchFailed(
            f"{report['corrupted']} of {report['checked']} checked packets were not what was sent"
        )


def host_address(sdp: str) -> str:
    """Where a session description's first UDP host candidate is, as "ip:port" (RFC 8839, section 5.1)."""
    found = re.search(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise BenchFailed("a session description of the load generator has no host candidate")
    return f"{found[1]}:{found[2]}"


def _stream(number: int) -> str:
    return f"bench-{number}"


async def _send_calls(pid: int, seconds: float) -> float | None:
    counts = await perf_counts(pid, _SEND_CALLS, seconds)
    return float(sum(counts.values())) if counts else None

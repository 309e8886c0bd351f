"""``bench memory``: what one more viewer weighs, by the server's resident memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.bench.figures import MemoryResult
from sanderling.bench.node import Node
from sanderling.bench.open_files import allow_open_files
from sanderling.bench.sessions import RoomMember, publish, until_connected, view
from sanderling.bench.usage import resident_bytes
from sanderling.bridge.load import load_generator

if TYPE_CHECKING:
    from sanderling.bridge.load import Load

__all__ = ["MemoryOptions", "run_memory"]

PACKETS_PER_SECOND = 100
"""To each viewer, over all its streams together: ten seconds fill what a viewer keeps for repairs. As many to each of
16 streams of 2 100 viewers would be 3.4 million a second, more than a machine carries."""
SETTLE_SECONDS = 1.0
"""After the traffic: what is on its way arrives."""
_JOINS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """``viewers`` more than ``base`` are measured, with ``slots`` streams each: one by WHEP, more by signalling."""

    viewers: int = 2000
    base: int = 100
    slots: int = 1
    seconds: float = 10.0


async def run_memory(options: MemoryOptions, progress: Callable[[str], None]) -> MemoryResult:
    """Measure; BenchFailed when the server does not work."""
    allow_open_files(2 * (options.base + options.viewers) + 256)
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        async with Node.start(Path(folder)) as node:
            load = load_generator()
            crowd = _Crowd(node, load, options.slots)
            try:
                publishers = [await publish(node, load, _stream(number)) for number in range(options.slots)]
                crowd.publishers = publishers
                await crowd.grow(options.base)
                await crowd.watch(options.seconds)
                before = resident_bytes(node.pid)
                progress(f"{options.base} viewers: {before / 2**20:.1f} MiB")
                await crowd.grow(options.base + options.viewers)
                await crowd.watch(options.seconds)
                after = resident_bytes(node.pid)
                progress(f"{options.base + options.viewers} viewers: {after / 2**20:.1f} MiB")
                node.check()
            finally:
                await crowd.leave()
                load.close()
    per_slot = _per_slot(options.slots)
    return MemoryResult(
        viewers=options.viewers,
        bytes_per_viewer=round((after - before) / options.viewers, 1),
        base=options.base,
        slots=options.slots,
        rss_before=before,
        rss_after=after,
        packets_per_second=per_slot * options.slots,
        packets_per_second_per_slot=per_slot,
        seconds=options.seconds,
    )


class _Crowd:
    """Viewers, all with the same streams."""

    def __init__(self, node: Node, load: Load, slots: int) -> None:
        self._node = node
        self._load = load
        self._streams = [_stream(number) for number in range(slots)]
        self._members: list[RoomMember] = []
        self._size = 0
        self.publishers: list[int] = []

    async def watch(self, seconds: float) -> None:
        """Let all streams flow to all viewers for so many seconds; afterwards they rest."""
        rate = _per_slot(len(self._streams))
        for publisher in self.publishers:
            self._load.start_pattern(publisher, packets_per_second=rate)
        await asyncio.sleep(seconds)
        for publisher in self.publishers:
            self._load.stop_pattern(publisher)
        await asyncio.sleep(SETTLE_SECONDS)

    async def grow(self, size: int) -> None:
        """Let viewers come until there are ``size``, and wait until all are connected."""
        turns = asyncio.Semaphore(_JOINS_AT_ONCE)

        async def one(number: int) -> None:
            async with turns:
                await self._join(f"viewer-{number}")

        tasks = [asyncio.create_task(one(number)) for number in range(self._size, size)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._size = size
        await until_connected(self._load, size)

    async def leave(self) -> None:
        """Close the members' connections."""
        await asyncio.gather(*(member.leave() for member in self._members), return_exceptions=True)

    async def _join(self, name: str) -> None:
        token = self._node.token(name)
        if len(self._streams) == 1:
            await view(self._node, self._load, self._streams[0], token=token)
            return
        member, _ = await RoomMember.join(
            self._node, self._load, name, self._streams, token=token, slots=len(self._streams)
        )
        self._members.append(member)


def _per_slot(slots: int) -> int:
    """Packets a second of each stream."""
    return max(1, round(PACKETS_PER_SECOND / slots))


def _stream(number: int) -> str:
    return f"bench-{number}"

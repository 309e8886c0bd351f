"""Looks after a room's streams at regular times: figures, breaks, the quality of the network."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.sdk.playing import Player
    from sanderling.sdk.publishing import Publisher
    from sanderling.sdk.room import Room

__all__ = ["BREAK_INTERVAL", "QUALITY_INTERVAL", "Monitor"]

QUALITY_INTERVAL = 3.0
"""Seconds between quality events (product-facts 5.5)."""

BREAK_INTERVAL = 0.25
"""Seconds between two looks for pictures that have stopped: a break is told at most so much late."""

SOUND_INTERVAL = 1.0
"""Seconds between two looks at whether sound still arrives: reading the engine's counters costs a millisecond."""


class Monitor:
    """Works for one room while it lives."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sound_packets: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        quality_at = sound_at = 0.0
        loop = asyncio.get_running_loop()
        quality_at = loop.time() + QUALITY_INTERVAL
        sound_at = loop.time() + SOUND_INTERVAL
        while True:
            await asyncio.sleep(BREAK_INTERVAL)
            now = loop.time()
            stopped: dict[str, bool] = {}
            if now >= sound_at:
                sound_at = now + SOUND_INTERVAL
                stopped = await self._sound_stopped()
            now_ns = time.monotonic_ns()
            for player in list(self._room.players.values()):
                player.look_for_breaks(now_ns, sound_stopped=stopped.get(player.stream_id))
            if now >= quality_at:
                quality_at = now + QUALITY_INTERVAL
                parts: list[Publisher | Player] = [
                    *self._room.publishers.values(),
                    *self._room.players.values(),
                ]
                for part in parts:
                    await part.sample()

    async def _sound_stopped(self) -> dict[str, bool]:
        """By streamID, whether no sound has arrived since the last look."""
        viewer = self._room.session.viewing.transport
        players = [player for player in self._room.players.values() if player.audio_mid]
        if viewer is None or not players:
            self._sound_packets.clear()
            return {}
        counters = await viewer.counters()
        stopped: dict[str, bool] = {}
        packets: dict[str, float] = {}
        for player in players:
            received = counters.get(player.audio_mid, {}).get("packets_received")
            if isinstance(received, float):
                packets[player.stream_id] = received
                before = self._sound_packets.get(player.stream_id)
                if before is not None:
                    stopped[player.stream_id] = received == before
        self._sound_packets = packets
        return stopped

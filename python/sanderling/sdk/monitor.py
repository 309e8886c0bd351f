"""Looks after a room's streams at regular times: figures, breaks, the quality of the network."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sanderling.enums import PlayerState, PublisherState, StreamQualityLevel
from sanderling.sdk.events import NetworkQualityUpdate
from sanderling.sdk.quality import Counters, Upstream, network_level
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.playing import Player
    from sanderling.sdk.publishing import Publisher
    from sanderling.sdk.room import Room

__all__ = ["BREAK_INTERVAL", "QUALITY_INTERVAL", "Monitor"]

QUALITY_INTERVAL = 3.0
"""Seconds between quality events (product-facts 5.5)."""

BREAK_INTERVAL = 0.25
"""Seconds between two looks for pictures that have stopped: a break is told at most so much late."""

SOUND_INTERVAL = 0.5
"""Seconds between two looks at whether sound still arrives; it has stopped when none did in between, so that a break is
told at most so much late. Lower: Opus pauses for 400 ms where nobody speaks, and a look costs a millisecond."""

NETWORK_INTERVAL = 2.0
"""Seconds between reports of the network's quality (product-facts 1.6)."""

LONGEST_RTT_MS = 60_000.0

LOST_REPORTS = 3
"""Reports of another user that stay away until its network counts as dead; one that does is unknown."""


class Monitor:
    """Works for one room while it lives."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sound_packets: dict[str, float] = {}
        self._down: Counters = {}
        self._reports: dict[str, int] = {}
        self._upstream: dict[str, Upstream] = {}

    def remote_quality(self, notice: messages.NetworkQualityNotice) -> None:
        """Another user whose stream is played says how good its network is."""
        self._reports[notice.user_id] = 0
        self._upstream[notice.user_id] = Upstream(notice.rtt_ms, notice.lost_permille / 1000)
        self._room.emit(NetworkQualityUpdate(notice.user_id, _level(notice.up), _level(notice.down)))

    def upstream(self, user_id: str) -> Upstream:
        """What a user whose stream is played said last of its way to the server."""
        return self._upstream.get(user_id, Upstream())

    async def run(self) -> None:
        """Until cancelled."""
        quality_at = sound_at = 0.0
        loop = asyncio.get_running_loop()
        quality_at = loop.time() + QUALITY_INTERVAL
        sound_at = loop.time() + SOUND_INTERVAL
        network_at = loop.time() + NETWORK_INTERVAL
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
            if now >= network_at:
                network_at = now + NETWORK_INTERVAL
                await self._network()
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

    async def _network(self) -> None:
        """Report this end's network, and note whose reports stay away."""
        (up, upstream), down = await self._up_level(), await self._down_level()
        publishing = any(p.state is PublisherState.PUBLISHING for p in self._room.publishers.values())
        playing = any(p.state is PlayerState.PLAYING for p in self._room.players.values())
        if publishing or playing:
            self._room.emit(NetworkQualityUpdate("", up, down))
        if publishing and self._room.session.is_online:
            self._room.session.post(
                lambda seq: messages.ReportQuality(
                    seq, int(up), int(down), int(upstream.rtt_ms), round(upstream.loss * 1000)
                )
            )
        played = {
            stream.user.user_id
            for stream_id in self._room.players
            if (stream := self._room.streams.get(stream_id)) is not None
        }
        for user_id in list(self._reports):
            if user_id not in played:
                del self._reports[user_id]
                del self._upstream[user_id]
                continue
            self._reports[user_id] += 1
            missed = self._reports[user_id] - 1
            if missed in (1, LOST_REPORTS):
                level = StreamQualityLevel.UNKNOWN if missed == 1 else StreamQualityLevel.DIE
                self._room.emit(NetworkQualityUpdate(user_id, level, level))

    async def _up_level(self) -> tuple[StreamQualityLevel, Upstream]:
        """The worst level of what is published, and the worst figures."""
        levels, worst = [], Upstream()
        for publisher in self._room.publishers.values():
            if publisher.state is PublisherState.PUBLISHING:
                video, audio = await publisher.counters()
                both = [counters for counters in (video, audio) if counters]
                loss = max((_number(counters, "fraction_lost") for counters in both), default=0.0)
                rtt = max((_number(counters, "round_trip_time") for counters in both), default=0.0)
                levels.append(network_level(rtt * 1000, loss) if both else StreamQualityLevel.UNKNOWN)
                rtt_ms = min(max(worst.rtt_ms, rtt * 1000), LONGEST_RTT_MS)
                worst = Upstream(rtt_ms, max(worst.loss, min(max(loss, 0.0), 1.0)))
        return max(levels, default=StreamQualityLevel.UNKNOWN), worst

    async def _down_level(self) -> StreamQualityLevel:
        viewer = self._room.session.viewing.transport
        if viewer is None or not self._room.players:
            self._down = {}
            return StreamQualityLevel.UNKNOWN
        by_mid = await viewer.counters()
        now: Counters = {
            name: sum(_number(counters, name) for counters in by_mid.values())
            for name in ("packets_received", "packets_lost")
        }
        before, self._down = self._down, now
        rtt = max((_number(counters, "round_trip_time") for counters in by_mid.values()), default=0.0)
        if not before:
            return StreamQualityLevel.UNKNOWN
        received = _number(now, "packets_received") - _number(before, "packets_received")
        lost = max(0.0, _number(now, "packets_lost") - _number(before, "packets_lost"))
        if not viewer.connected:
            return StreamQualityLevel.DIE
        if received + lost <= 0:
            return StreamQualityLevel.UNKNOWN
        return network_level(rtt * 1000, lost / (received + lost))


def _number(counters: Counters, name: str) -> float:
    value = counters.get(name, 0.0)
    return value if isinstance(value, float | int) else 0.0


def _level(value: int) -> StreamQualityLevel:
    try:
        return StreamQualityLevel(value)
    except ValueError:
        return StreamQualityLevel.UNKNOWN  # a newer peer

"""A publisher with a long and bad way to the server, as its players' figures see it."""

from __future__ import annotations

import asyncio

import pytest

from sanderling import PlayerQualityUpdate
from scenario.lossy_path import lossy_path
from scenario.test_sdk_reconnect import pushing
from scenario.town import town

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

DELAY_S = 0.06
LOSS = 0.1


async def test_delay_and_loss_before_the_server_are_in_the_players_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        lossy_path(monkeypatch, "publisher", delay_s=DELAY_S, up=LOSS) as path,
        town() as it,
        pushing() as source,
    ):
        (host, _), (viewer, _) = await it.join("host"), await it.join("viewer")
        told = viewer.events(PlayerQualityUpdate)
        await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        await player.first_frame(20)
        async with asyncio.timeout(40):
            while True:
                quality = (await anext(told)).quality
                if quality.peer_to_peer_delay_ms >= DELAY_S * 1000 and quality.peer_to_peer_packet_lost_rate:
                    break
        assert path.lost > 0
        # This end's own way is short.
        assert quality.rtt_ms < DELAY_S * 1000

"""What a viewer notices of the path of its play: RTC is shown at once, L3 evens out what the network does."""

from __future__ import annotations

import pytest

from sanderling import Player, PlayerConfig, ResourceMode, ResourceType
from scenario.lossy_path import lossy_path
from scenario.test_sdk_reconnect import pushing
from scenario.town import Town, town

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

PICTURES = 50
L3_LIMIT_MS = 1000


async def limits(on: Town) -> list[int]:
    """How late the server lets the pictures of each play be shown, in milliseconds."""
    snapshot = await on.node.snapshot()
    return [
        binding["delay_limit_ms"]
        for worker in snapshot["workers"]
        for session in worker["viewers"]
        for binding in session["bindings"]
    ]


async def watch(player: Player, pictures: int) -> None:
    shown = player.video()
    for _ in range(pictures):
        await anext(shown)


async def test_the_limit_follows_the_path_and_pictures_go_on() -> None:
    async with town() as on, pushing() as source:
        (host, _), (viewer, recorder) = await on.join("host"), await on.join("viewer")
        await host.start_publishing_stream("film", source)
        player = await viewer.start_playing_stream("film")
        await player.first_frame(20)
        assert player.resource_mode is ResourceMode.ONLY_L3
        assert await limits(on) == [L3_LIMIT_MS]
        await player.switch_resource(ResourceType.RTC)
        await recorder.until_call("resource", "film", ResourceMode.ONLY_RTC)
        assert await limits(on) == [0]
        await watch(player, 5)
        await player.switch_resource(ResourceType.L3)
        await recorder.until_call("resource", "film", ResourceMode.ONLY_L3)
        assert await limits(on) == [L3_LIMIT_MS]
        await watch(player, 5)
        assert len(recorder.of("player")) == 2


async def test_l3_holds_pictures_for_as_long_as_the_network_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lossy_path(monkeypatch, "viewer", delay_s=0.04) as path, town() as on, pushing() as source:
        host, _ = await on.join("host")
        await host.start_publishing_stream("film", source)

        async def held_ms(mode: ResourceMode) -> float:
            viewer, _ = await on.join(mode.name)
            player = await viewer.start_playing_stream("film", PlayerConfig(resource_mode=mode))
            await player.first_frame(20)
            await player.read_stats()
            await watch(player, PICTURES)
            quality = await player.read_stats()
            await viewer.logout()
            return quality.jitter_buffer_ms

        at_once, clean = await held_ms(ResourceMode.ONLY_RTC), await held_ms(ResourceMode.ONLY_L3)
        path.down = 0.1
        lossy = await held_ms(ResourceMode.ONLY_L3)
        assert path.lost > 0
        assert at_once < clean < L3_LIMIT_MS
        assert lossy < L3_LIMIT_MS

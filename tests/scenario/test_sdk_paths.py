"""What a viewer notices of the path of its play: RTC is shown at once, L3 evens out what the network does."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from sanderling import (
    CustomVideoSource,
    PixelFormat,
    Player,
    PlayerConfig,
    ResourceMode,
    ResourceType,
    VideoFrame,
)
from sanderling.demo import clock
from scenario.lossy_path import lossy_path
from scenario.test_sdk_reconnect import pushing
from scenario.town import Town, town

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

PICTURES = 50
L3_LIMIT_MS = 1000
LUMA = 170
"""How bright a marked picture is below its mark."""


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


async def push_marked(source: CustomVideoSource) -> None:
    """Bright pictures with their numbers, at the pace of a camera."""
    for number in itertools.count():
        picture = np.full((180 * 3 // 2, 320), 128, np.uint8)
        picture[:180] = LUMA
        clock.burn(picture[:180], time.time_ns(), number)
        await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
        await asyncio.sleep(0.04)


class Watched:
    """What was shown of marked pictures: number and brightness of each."""

    def __init__(self) -> None:
        self.pictures: list[tuple[int | None, float]] = []
        self._changed = asyncio.Event()

    async def watch(self, player: Player) -> None:
        async for frame in player.video(keep=0):
            reading = clock.read(frame.planes[0])
            luma = float(frame.planes[0][frame.height // 2 :].mean())
            self.pictures.append((reading.frame if reading else None, luma))
            self._changed.set()

    async def more(self) -> None:
        """Wait until another second was shown."""
        wanted = len(self.pictures) + 25
        async with asyncio.timeout(20):
            while len(self.pictures) < wanted:
                self._changed.clear()
                await self._changed.wait()

    def assert_as_shown_to(self, witness: Watched) -> None:
        """None is black or damaged, shown twice or late, and none is left out that the other one was shown."""
        assert min(luma for _, luma in self.pictures) > LUMA - 20
        numbers, others = ([number for number, _ in seen.pictures] for seen in (self, witness))
        assert others[others.index(numbers[0]) : others.index(numbers[-1]) + 1] == numbers
        assert None not in numbers
        assert numbers == sorted({number for number in numbers if number is not None})


@asynccontextmanager
async def watched(player: Player) -> AsyncIterator[Watched]:
    seen = Watched()
    task = asyncio.create_task(seen.watch(player))
    try:
        yield seen
    finally:
        task.cancel()


async def test_no_picture_is_black_or_left_out_when_the_path_changes() -> None:
    """By hand, and as the viewer comes on stage and leaves it; a play that stays where it is tells what was sent."""
    source, own = CustomVideoSource(), CustomVideoSource()
    async with town() as on, pushing(own):
        (host, _), (viewer, recorder), (other, _) = [await on.join(u) for u in ("host", "viewer", "other")]
        marking = asyncio.create_task(push_marked(source))
        try:
            await host.start_publishing_stream("film", source)
            staying = await other.start_playing_stream(
                "film", PlayerConfig(resource_mode=ResourceMode.ONLY_RTC)
            )
            player = await viewer.start_playing_stream("film")
            async with watched(staying) as witness, watched(player) as seen:
                await witness.more()
                seen.pictures.clear()
                await seen.more()
                publisher = await viewer.start_publishing_stream("mine", own)
                await recorder.until_call("resource", "film", ResourceMode.ONLY_RTC)
                assert sorted(await limits(on)) == [0, 0]
                await seen.more()
                await publisher.stop()
                await recorder.until_call("resource", "film", ResourceMode.ONLY_L3)
                assert sorted(await limits(on)) == [0, L3_LIMIT_MS]
                await seen.more()
                for resource, limit in ((ResourceType.RTC, 0), (ResourceType.L3, L3_LIMIT_MS)):
                    await player.switch_resource(resource)
                    assert sorted(await limits(on)) == [0, limit]
                    await seen.more()
                await witness.more()
            seen.assert_as_shown_to(witness)
            moves = [call[1] for call in recorder.of("resource")]
            assert moves == [ResourceMode.ONLY_RTC, ResourceMode.ONLY_L3] * 2
            assert len(recorder.of("player")) == 2
        finally:
            marking.cancel()


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
        assert at_once < clean < lossy < L3_LIMIT_MS

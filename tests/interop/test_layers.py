"""Layers on request: Chromium publishes three, viewers choose, and what they see changes without going backwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from interop.conftest import NewPage
from interop.native import member
from sanderling import PlayerConfig, ResourceMode, VideoFrame, VideoStreamType
from sanderling.demo import clock
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

L3 = ResourceMode.ONLY_L3
SMALL, BIG, DEFAULT = VideoStreamType.SMALL, VideoStreamType.BIG, VideoStreamType.DEFAULT


REPORTED_MS = 4_000
"""Age of a publisher's session by which each of its layers has sent sender reports: a browser sends one a second.
Before them nobody can tell which of two layers' pictures is the older one."""


async def three_layers(page_of: NewPage, host: TestServer) -> None:
    """A page that publishes in three layers, whose times the server knows."""
    alice = await page_of()
    await alice.open("alice", publish="test", stream="film", simulcast=1)
    await alice.wait_published()
    async with asyncio.timeout(30):
        while True:
            (publisher,) = (await host.snapshot())["workers"][0]["publishers"]
            assert max(track["layers"] for track in publisher["tracks"]) == 3
            if publisher["age_ms"] >= REPORTED_MS:
                return
            await asyncio.sleep(0.1)


class Watch:
    """What one viewer sees: sizes, and the frame numbers burned into the pictures, which may never go back."""

    def __init__(self, frames: AsyncIterator[VideoFrame]) -> None:
        self._frames = frames
        self._number: int | None = None
        self.heights: list[int] = []

    async def until(self, height: int, *, frames: int = 1) -> int:
        """Wait for so many pictures of this height in a row; how many others came before them."""
        others = seen = 0
        async with asyncio.timeout(30):
            while seen < frames:
                frame = await anext(self._frames)
                self._in_order(frame)
                self.heights.append(frame.height)
                seen = seen + 1 if frame.height == height else 0
                others += frame.height != height
        return others

    def _in_order(self, frame: VideoFrame) -> None:
        stamp = clock.read(np.ascontiguousarray(frame.planes[0]))
        if stamp is None:
            return  # a cell was blurred
        if self._number is not None:
            # 16 bits, which wrap.
            assert (stamp.frame - self._number) % 2**16 < 2**15, (self._number, stamp.frame)
        self._number = stamp.frame


async def test_a_page_chooses_its_layer(new_page: NewPage, host: TestServer) -> None:
    await three_layers(new_page, host)
    bob = await new_page()
    await bob.open("bob", autoplay=1, mode=2)
    await bob.wait_frames("film")
    for stream_type, height in ((0, 180), (1, 720), (0, 180)):
        assert await bob.page.evaluate(
            "type => globalThis.sanderlingDebug.setStreamType('film', type)", stream_type
        )
        await bob.wait(
            "height => document.querySelector('.tile[data-stream=film] video').videoHeight === height", height
        )


async def test_small_is_small_big_is_big_and_nothing_goes_back(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    await three_layers(new_page, host)
    async with member(host, project, "bob") as bob, member(host, project, "carol") as carol:
        player = await bob.start_playing_stream("film", PlayerConfig(resource_mode=L3))
        other = await carol.start_playing_stream("film", PlayerConfig(resource_mode=L3, video_type=SMALL))
        watch = Watch(player.video(keep=0))
        await bob.set_play_stream_video_type("film", BIG)
        await watch.until(720, frames=5)
        for video_type, height in ((SMALL, 180), (BIG, 720), (SMALL, 180)):
            await bob.set_play_stream_video_type("film", video_type)
            await watch.until(height, frames=10)
        # Another viewer of the same stream has its own choice all the time.
        small = Watch(other.video())
        await small.until(180, frames=5)
        assert set(small.heights) == {180}
        # Left to the network, which carries everything here, it becomes big again.
        await bob.set_play_stream_video_type("film", DEFAULT)
        await watch.until(720, frames=5)

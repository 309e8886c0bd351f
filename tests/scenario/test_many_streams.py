"""As many streams at once as a project allows by default: each play shows its own stream, across workers too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import numpy as np
import pytest

from sanderling import (
    Channel,
    CustomVideoSource,
    Engine,
    EngineProfile,
    PixelFormat,
    Player,
    PlayError,
    RoomConfig,
    User,
    VideoFrame,
)
from sanderling.testing import server

pytestmark = pytest.mark.timeout(120)

HOSTS = 4
CHANNELS = (Channel.MAIN, Channel.AUX, Channel.THIRD, Channel.FOURTH)
PLAYS = 12
LIMIT_S = 30.0
TOLERANCE = 8
"""Half of what two streams' greys are apart at least: coding moves a grey by one or two."""


def grey_of(number: int) -> int:
    return 20 + 17 * (number % 13)


@contextlib.asynccontextmanager
async def shown(sources: Mapping[int, CustomVideoSource]) -> AsyncIterator[None]:
    """Each source shows the grey of its number, at the pace of a camera."""

    async def show() -> None:
        while True:
            for number, source in sources.items():
                picture = np.full((90, 160, 4), grey_of(number), np.uint8)
                source.push_nowait(VideoFrame.from_ndarray(picture, PixelFormat.RGBA))
            await asyncio.sleep(1 / 15)

    task = asyncio.create_task(show())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def grey(player: Player) -> int:
    """The grey of the picture that is played; LIMIT_S is only for a machine busy with something else."""
    async with asyncio.timeout(LIMIT_S):
        frame = await anext(player.video(PixelFormat.RGB24))
    return round(float(frame.to_ndarray(PixelFormat.RGB24).mean()))


@pytest.mark.parametrize("workers", [1, 2])
async def test_twelve_streams_at_once_each_in_its_own_slot(workers: int) -> None:
    async with server(workers=workers) as node, contextlib.AsyncExitStack() as stack:
        project = await node.create_project(l3=True)
        profile = EngineProfile(app_id=project.app_id, server=node.url)

        async def enter(name: str, room_id: str) -> Engine:
            engine = await stack.enter_async_context(Engine(profile))
            await engine.login_room(room_id, User(name, name), RoomConfig(token=node.token(project, name)))
            return engine

        sources: dict[int, CustomVideoSource] = {}
        for host in range(HOSTS):
            engine = await enter(f"host{host}", "stage")
            for channel in CHANNELS:
                number = len(sources)
                sources[number] = CustomVideoSource()
                await engine.start_publishing_stream(f"s{number}", sources[number], channel=channel)
        await stack.enter_async_context(shown(sources))
        viewer = await enter("viewer", "elsewhere")
        playing = [viewer.start_playing_stream(f"s{number}") for number in range(PLAYS)]
        players = await asyncio.gather(*playing)
        greys = await asyncio.gather(*(grey(player) for player in players))
        assert all(abs(seen - grey_of(number)) <= TOLERANCE for number, seen in enumerate(greys)), greys
        with pytest.raises(PlayError) as caught:
            await viewer.start_playing_stream("s12")
        assert caught.value.code == 1004010
        # The place of one that is stopped is the next one's.
        await players[5].stop()
        another = await viewer.start_playing_stream("s12")
        assert abs(await grey(another) - grey_of(12)) <= TOLERANCE
        held = (await node.snapshot())["engine"]
        assert held["bindings"] == PLAYS

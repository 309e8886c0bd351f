"""A native host and viewer for browsers to meet: small pictures with the burned-in clock, and a tone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from sanderling import Engine, EngineProfile, RoomConfig, User
from sanderling.demo import clock
from sanderling.sdk.frames import PixelFormat, VideoFrame
from sanderling.sdk.room import Room
from sanderling.sdk.sources import CustomAudioSource, CustomVideoSource, MediaSources
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

WIDTH, HEIGHT, FPS = 320, 180, 25
RATE = 48_000
TONE_HZ = 750.0


@asynccontextmanager
async def member(host: TestServer, project: Project, user: str) -> AsyncIterator[Room]:
    """A native user in the room that the pages use."""
    async with Engine(EngineProfile(app_id=project.app_id, server=host.url)) as engine:
        config = RoomConfig(token=host.token(project, user))
        yield await engine.login_room("interop", User(user, user), config)


class ClockSource:
    """Pictures of one grey with the clock, and a tone, pushed while the context is open."""

    def __init__(self) -> None:
        self.sources = MediaSources(video=CustomVideoSource(), audio=CustomAudioSource(rate=RATE))

    async def __aenter__(self) -> MediaSources:
        self._tasks = [asyncio.create_task(self._pictures()), asyncio.create_task(self._sound())]
        return self.sources

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _pictures(self) -> None:
        source = self.sources.video
        assert isinstance(source, CustomVideoSource)
        number = 0
        while True:
            picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            picture[:HEIGHT] = 60 + number % 80
            clock.burn(picture[:HEIGHT], time.time_ns(), number)
            await source.push(VideoFrame.from_ndarray(picture, PixelFormat.I420))
            number += 1
            await asyncio.sleep(1 / FPS)

    async def _sound(self) -> None:
        source = self.sources.audio
        assert isinstance(source, CustomAudioSource)
        block = RATE // 50
        position = 0
        due = time.monotonic()
        while True:
            phase = (position + np.arange(block)) * 2 * np.pi * TONE_HZ / RATE
            source.push((np.sin(phase) * 6000).astype(np.int16)[:, None])
            position += block
            due += block / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def loudest_hz(samples: NDArray[np.int16], rate: int) -> float:
    """Frequency of the strongest part of a mono recording."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))

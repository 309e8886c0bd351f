"""A camera on its way to a viewer, and what everybody is told when it is pulled out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sanderling import (
    Camera,
    DeviceError,
    DeviceExceptionType,
    DeviceType,
    ErrorCode,
    LocalDeviceException,
    PlayerState,
    PublisherState,
)
from scenario.town import town
from unit.sdk.test_capture import Feed, jpeg

pytestmark = pytest.mark.timeout(60)


async def test_a_camera_that_is_pulled_out_ends_its_stream(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    feed = Feed(writing, jpeg(200), 0.03)
    try:
        async with town() as it:
            (host, hosting), (viewer, viewing) = await it.join("host"), await it.join("viewer")
            events = host.events(LocalDeviceException)
            await host.start_publishing_stream("film", Camera(str(path), input_format="mjpeg"))
            player = await viewer.start_playing_stream("film")
            frame = await player.first_frame(20)
            assert abs(int(frame.planes[0][frame.height // 2, frame.width // 2]) - 188) <= 6
            await asyncio.to_thread(feed.pull_out)
            await hosting.until_call(
                "publisher", "film", PublisherState.NO_PUBLISH, ErrorCode.DEVICE_UNPLUGGED
            )
            await viewing.until_call("player", "film", PlayerState.NO_PLAY, 0)
            assert await anext(events) == LocalDeviceException(
                DeviceExceptionType.DEVICE_UNPLUGGED, DeviceType.CAMERA, str(path)
            )
            with pytest.raises(DeviceError) as absent:
                await host.start_publishing_stream("film", Camera(str(tmp_path / "video1")))
            assert absent.value.code == ErrorCode.DEVICE_INVALID_ID
    finally:
        os.close(reading)

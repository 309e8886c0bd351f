"""Super resolution: what an enlarged picture looks like, and when it ends by itself."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from sanderling import PixelFormat, PlayError, VideoFrame
from sanderling.sdk.pictures.planes import Planes
from sanderling.sdk.pictures.upscaler import Upscaler, check_size, enlarged
from unit.sdk.picture_files import plain

SECONDS = 20.0


def picture(width: int = 64, height: int = 48, *, at_ns: int = 1) -> VideoFrame:
    """White text-like strokes on black."""
    pixels = plain(width, height, 0, 0, 0)
    pixels[height // 4 : 3 * height // 4, width // 2 : width // 2 + 4] = 255
    samples = Planes.of_rgb(pixels).data.reshape(-1, width)
    return VideoFrame.from_ndarray(samples, PixelFormat.I420, captured_ns=at_ns)


def test_an_enlarged_picture_is_sharper_than_a_stretched_one() -> None:
    frame = picture(at_ns=7)
    large = enlarged(frame)
    assert (large.width, large.height, large.captured_ns) == (128, 96, 7)
    row = large.planes[0][48].astype(int)
    stretched = frame.planes[0][24].repeat(2).astype(int)
    assert np.abs(row - stretched).mean() < 6
    smooth = Planes.of(frame).scaled(128, 96, "BILINEAR").y[48].astype(int)
    assert np.abs(np.diff(row)).max() > np.abs(np.diff(smooth)).max()


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (320, 240), (2, 2)])
def test_sizes_up_to_640_by_360_are_enlarged_either_way(size: tuple[int, int]) -> None:
    check_size(*size)


@pytest.mark.parametrize("size", [(642, 360), (640, 480), (360, 642), (1280, 720)])
def test_larger_pictures_are_1004006(size: tuple[int, int]) -> None:
    with pytest.raises(PlayError) as caught:
        check_size(*size)
    assert caught.value.code == 1004006


async def test_a_machine_too_slow_for_the_play_is_1004007() -> None:
    shown: list[VideoFrame] = []
    failed: asyncio.Future[PlayError] = asyncio.get_running_loop().create_future()
    upscaler = Upscaler(shown.append, failed.set_result)
    # Pictures a microsecond apart: no machine enlarges them as fast.
    async with asyncio.timeout(SECONDS):
        number = 0
        while not failed.done():
            number += 1
            upscaler.take(picture(640, 360, at_ns=number * 1000))
            await asyncio.sleep(0)
    assert failed.result().code == 1004007
    # Those that come now pass as they are.
    last = picture(at_ns=1 << 60)
    upscaler.take(last)
    assert shown[-1] is last


async def test_a_busy_upscaler_keeps_the_newest_picture_and_their_order() -> None:
    shown: list[VideoFrame] = []
    errors: list[PlayError] = []
    upscaler = Upscaler(shown.append, errors.append)
    for number in range(1, 11):
        upscaler.take(picture(at_ns=number * 1_000_000_000))
    async with asyncio.timeout(SECONDS):
        while len(shown) < 2:
            await asyncio.sleep(0)
    assert [frame.captured_ns // 1_000_000_000 for frame in shown] == [1, 10]
    assert {frame.width for frame in shown} == {128}
    assert upscaler.dropped == 8
    assert errors == []


async def test_nothing_is_shown_of_a_closed_upscalers_work() -> None:
    shown: list[VideoFrame] = []
    upscaler = Upscaler(shown.append, lambda error: None)
    upscaler.take(picture())
    upscaler.close()
    late = picture(at_ns=2)
    upscaler.take(late)
    other = Upscaler(shown.append, lambda error: None)
    other.take(picture(at_ns=3))
    async with asyncio.timeout(SECONDS):
        while len(shown) < 2:
            await asyncio.sleep(0)
    assert [frame.captured_ns for frame in shown] == [2, 3]

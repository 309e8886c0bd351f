"""Any picture, any size, any layout: a picture of the wanted size comes out, or a documented code."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling import (
    BackgroundConfig,
    BackgroundProcessType,
    Channel,
    ObjectSegmentationConfig,
    PixelFormat,
    PublishError,
    Rect,
    VideoConfig,
    VideoFrame,
    Watermark,
)
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.pictures.chroma_key import ChromaKey
from sanderling.sdk.pictures.planes import Planes, Unreadable, read_picture
from sanderling.sdk.pictures.stage import PictureStage
from sanderling.sdk.pictures.upscaler import enlarged
from sanderling.sdk.pictures.watermark import Overlay

sides = st.integers(1, 130)
even = st.integers(1, 70).map(lambda half: 2 * half)
rgb_formats = st.sampled_from([PixelFormat.RGB24, PixelFormat.BGR24, PixelFormat.RGBA, PixelFormat.BGRA])
seeds = st.integers(0, 2**32 - 1)
MARK = np.full((7, 5, 4), 200, np.uint8)


def rgb_frame(width: int, height: int, format: PixelFormat, seed: int) -> VideoFrame:
    channels = 4 if format in (PixelFormat.RGBA, PixelFormat.BGRA) else 3
    samples = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return VideoFrame.from_ndarray(samples, format, captured_ns=1 + seed)


def yuv_frame(width: int, height: int, format: PixelFormat, seed: int) -> VideoFrame:
    samples = np.random.default_rng(seed).integers(0, 256, (height * 3 // 2, width), np.uint8)
    return VideoFrame.from_ndarray(samples, format, captured_ns=1 + seed)


frames = st.builds(rgb_frame, sides, sides, rgb_formats, seeds) | st.builds(
    yuv_frame, even, even, st.sampled_from([PixelFormat.I420, PixelFormat.NV12]), seeds
)


class Sink:
    def __init__(self) -> None:
        self.frames: list[VideoFrame] = []

    def write(self, frame: VideoFrame) -> bool:
        self.frames.append(frame)
        return True


@given(frames, st.none() | st.tuples(even, even), st.booleans(), st.sampled_from(BackgroundProcessType))
def test_every_picture_leaves_in_the_wanted_size(
    frame: VideoFrame, size: tuple[int, int] | None, marked: bool, process: BackgroundProcessType
) -> None:
    loop = asyncio.new_event_loop()
    try:
        pictures = ChannelPictures(Channel.MAIN, loop, Dispatcher(loop))
        if size is not None:
            pictures.config = VideoConfig(width=size[0], height=size[1])
        if marked:
            pictures.overlay = Overlay(Watermark("mark.png", Rect(1, 1, 9, 5)), MARK)
        if process in (BackgroundProcessType.COLOR, BackgroundProcessType.BLUR):
            pictures.key = ChromaKey(BackgroundConfig(process_type=process))
        sink = Sink()
        before = [plane.copy() for plane in frame.planes]
        assert PictureStage(pictures, sink).write(frame)
        (out,) = sink.frames
        idle = size is None and not marked and pictures.key is None
        untouched = out is frame and (idle or (not marked and size == (frame.width, frame.height)))
        wanted = size or (max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2))
        assert untouched or (out.width, out.height) == wanted
        assert out.captured_ns == frame.captured_ns
        assert all(np.array_equal(a, b) for a, b in zip(before, frame.planes, strict=True))
    finally:
        loop.close()


@given(frames)
def test_every_picture_is_enlarged_to_twice_its_size(frame: VideoFrame) -> None:
    large = enlarged(frame)
    assert (large.width, large.height) == (
        2 * max(2, frame.width // 2 * 2),
        2 * max(2, frame.height // 2 * 2),
    )


@given(st.builds(Rect, *[st.integers(-10, 9000) | st.integers(-2, 40)] * 4), even, even)
def test_a_layout_is_refused_or_drawn(layout: Rect, width: int, height: int) -> None:
    watermark = Watermark("mark.png", layout)
    planes = Planes(width, height, np.zeros(width * height * 3 // 2, np.uint8))
    try:
        watermark.check()
        watermark.check_fits(width, height)
    except PublishError as error:
        assert error.code == 1003058
        return
    Overlay(watermark, MARK).blend(planes)
    assert planes.y.any()


@given(st.integers(), st.integers(), st.integers(), st.integers(), st.text(max_size=5))
def test_a_background_is_refused_or_good(kind: int, process: int, color: int, level: int, url: str) -> None:
    background = BackgroundConfig(
        process_type=process,  # type: ignore[arg-type]
        color=color,
        blur_level=level,  # type: ignore[arg-type]
        image_url=url,
    )
    try:
        ObjectSegmentationConfig(type=kind, background=background).check()  # type: ignore[arg-type]
    except PublishError as error:
        assert error.code in (1003012, 1003014)


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"GIF89a"]),
)
@settings(max_examples=50)
def test_a_file_is_a_picture_or_unreadable(data: bytes, magic: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mark.png"
        path.write_bytes(magic + data)
        with contextlib.suppress(Unreadable):
            assert read_picture(str(path)).shape[2] == 4

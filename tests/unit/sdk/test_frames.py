"""Pictures as numpy arrays."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling import ErrorCode, PixelFormat, SanderlingError, VideoFrame
from sanderling.sdk.webrtc.tracks import _native_buffer


def ramp(height: int, width: int, channels: int) -> np.ndarray:
    return (
        (np.arange(height * width * channels, dtype=np.uint32) % 251)
        .astype(np.uint8)
        .reshape(height, width, channels)
    )


@pytest.mark.parametrize("format", [PixelFormat.RGB24, PixelFormat.BGR24, PixelFormat.RGBA, PixelFormat.BGRA])
def test_rgb_goes_in_and_out_unchanged(format: PixelFormat) -> None:
    array = ramp(6, 8, 4 if format in (PixelFormat.RGBA, PixelFormat.BGRA) else 3)
    frame = VideoFrame.from_ndarray(array, format)
    assert (frame.width, frame.height) == (8, 6)
    assert (frame.to_ndarray(format) == array).all()


def test_rgb_orders_are_swapped() -> None:
    array = ramp(2, 2, 3)
    frame = VideoFrame.from_ndarray(array, PixelFormat.RGB24)
    assert (frame.to_ndarray(PixelFormat.BGR24) == array[:, :, ::-1]).all()
    rgba = frame.to_ndarray(PixelFormat.RGBA)
    assert (rgba[:, :, :3] == array).all()
    assert (rgba[:, :, 3] == 255).all()


@pytest.mark.parametrize(("format", "planes"), [(PixelFormat.I420, 3), (PixelFormat.NV12, 2)])
def test_yuv_planes_are_read_only_views_and_go_through_the_engine(format: PixelFormat, planes: int) -> None:
    array = ramp(12, 8, 1)[:, :, 0]
    frame = VideoFrame.from_ndarray(array, format)
    assert (frame.width, frame.height) == (8, 8)
    assert len(frame.planes) == planes
    assert not any(plane.flags.writeable for plane in frame.planes)
    assert (frame.to_ndarray(format) == array).all()
    held = np.empty(array.size, np.uint8)
    from sanderling.sdk.webrtc.tracks import NativePicture

    NativePicture(_native_buffer(frame), format).read_planes(held)
    assert (held == array.ravel()).all()


def test_yuv_is_converted_to_colours() -> None:
    array = np.full((24, 16), 128, np.uint8)
    array[:16] = 235
    frame = VideoFrame.from_ndarray(array, PixelFormat.I420)
    assert frame.to_ndarray().shape == (16, 16, 3)
    assert frame.to_ndarray().min() >= 254
    red = np.full((24, 16), 90, np.uint8)
    red[:16] = 81
    red[20:] = 240
    pixel = VideoFrame.from_ndarray(red, PixelFormat.I420).to_ndarray(PixelFormat.BGR24)[0, 0]
    assert pixel[2] > 230
    assert pixel[:2].max() < 30


def test_a_writable_array_is_copied_and_a_frozen_one_is_not() -> None:
    array = np.zeros((12, 8), np.uint8)
    frame = VideoFrame.from_ndarray(array, PixelFormat.I420)
    array[:] = 9
    assert frame.planes[0].max() == 0
    array.flags.writeable = False
    frozen = VideoFrame.from_ndarray(array, PixelFormat.I420)
    assert np.shares_memory(frozen.planes[0], array)


@pytest.mark.parametrize(
    ("array", "format"),
    [
        (np.zeros((4, 4), np.uint8), PixelFormat.RGB24),
        (np.zeros((4, 4, 4), np.uint8), PixelFormat.RGB24),
        (np.zeros((7, 4), np.uint8), PixelFormat.I420),
        (np.zeros((6, 3), np.uint8), PixelFormat.I420),
        (np.zeros((0, 4, 3), np.uint8), PixelFormat.RGB24),
        (np.zeros((4, 4, 3), np.float32), PixelFormat.RGB24),
        (np.zeros((4, 4, 3), np.uint8), "yuv9000"),
    ],
)
def test_what_is_no_picture(array: np.ndarray, format: PixelFormat | str) -> None:
    with pytest.raises(SanderlingError) as caught:
        VideoFrame.from_ndarray(array, format)
    assert caught.value.code == ErrorCode.ILLEGAL_PARAMETER

"""A file as a source: one clock, no seam."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import DeviceError, ErrorCode, File, PixelFormat, SanderlingError, VideoFrame
from sanderling.sdk.file_source import RATE, Picture, Sound, timeline
from unit.sdk.media_files import write_clip

ROUNDS = 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mov")


def rounds(path: Path, seconds: float) -> list[Picture | Sound]:
    items = timeline(path, loop=True, video=True, audio=True)
    return list(itertools.takewhile(lambda item: item.time_ns < seconds * 1e9, items))


def test_pictures_keep_their_spacing_over_the_seam(clip: Path) -> None:
    pictures = [item for item in rounds(clip, 1.2) if isinstance(item, Picture)]
    assert len(pictures) == 30
    spacing = np.diff([picture.time_ns for picture in pictures])
    assert set(spacing.tolist()) == {40_000_000}
    # The eleventh picture is the first one of the second round.
    luma = [picture.data[:100].mean() for picture in pictures]
    assert luma[10] == pytest.approx(luma[0], abs=2)
    assert luma[9] > luma[10] + 50


@pytest.mark.parametrize("sound_ms", [300, 390, 400, 430, 520])
def test_sound_follows_without_a_gap_whatever_its_length(tmp_path: Path, sound_ms: int) -> None:
    path = write_clip(tmp_path / "clip.mov", sound_ms=sound_ms)
    sounds = [item for item in rounds(path, 1.2) if isinstance(item, Sound)]
    position = 0
    for sound in sounds:
        assert abs(sound.time_ns - position * 1_000_000_000 // RATE) <= 2
        position += len(sound.samples)
    assert position == pytest.approx(1.2 * RATE, abs=RATE // 100)


def test_sound_is_not_lost_inside_a_round(clip: Path) -> None:
    samples = np.concatenate([item.samples for item in rounds(clip, 0.4) if isinstance(item, Sound)])
    assert samples.shape[1] == 2
    # A tone of constant level: every 10 ms block has it, apart from the resampler's edges.
    levels = [
        np.abs(block).max() for block in np.split(samples[480:-960], range(480, len(samples) - 1440, 480))
    ]
    assert min(levels) > 7000


def test_items_come_in_the_order_of_time(clip: Path) -> None:
    times = [item.time_ns for item in rounds(clip, 1.0)]
    assert times == sorted(times)


def test_without_a_loop_it_ends(clip: Path) -> None:
    items = list(timeline(clip, loop=False, video=True, audio=True))
    assert sum(isinstance(item, Picture) for item in items) == 10
    assert sum(len(item.samples) for item in items if isinstance(item, Sound)) == RATE * 400 // 1000


def test_pictures_alone_and_sound_alone(clip: Path) -> None:
    assert all(isinstance(item, Picture) for item in timeline(clip, loop=False, video=True, audio=False))
    assert all(isinstance(item, Sound) for item in timeline(clip, loop=False, video=False, audio=True))


class Sink:
    def __init__(self, wanted: int) -> None:
        self.frames: list[VideoFrame] = []
        self.blocks: list[NDArray[np.int16]] = []
        self.full = threading.Event()
        self._wanted = wanted

    def write(self, frame: VideoFrame) -> bool:
        self.frames.append(frame)
        if len(self.frames) >= self._wanted:
            self.full.set()
        return True


class SoundSink:
    def __init__(self) -> None:
        self.samples = 0

    def write(self, samples: NDArray[np.int16], rate: int) -> bool:
        assert rate == RATE
        self.samples += len(samples)
        return True


def fail(error: SanderlingError) -> None:
    raise AssertionError(error)


async def test_the_reader_calls_on_frame_with_writable_luma_and_the_capture_time(clip: Path) -> None:
    seen: list[tuple[tuple[int, ...], int]] = []

    def on_frame(luma: NDArray[np.uint8], captured_ns: int) -> None:
        luma[:] = 7
        seen.append((luma.shape, captured_ns))

    source = File(clip, loop=True, on_frame=on_frame)
    assert await source.prepare() == (True, True)
    pictures, sound = Sink(12), SoundSink()
    run = source.start(pictures, sound, fail)
    try:
        assert await _in_thread(pictures.full)
    finally:
        run.stop()
        await run.wait()
    frames = pictures.frames[:12]
    assert seen[0] == ((48, 64), frames[0].captured_ns)
    assert [frame.captured_ns for frame in frames] == sorted({frame.captured_ns for frame in frames})
    assert all((frame.planes[0] == 7).all() for frame in frames)
    assert frames[0].format is PixelFormat.I420
    assert sound.samples >= 0.4 * RATE
    assert not any(thread.name == "sanderling-file" for thread in threading.enumerate())


async def test_what_is_not_a_media_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as missing:
        await File(tmp_path / "nothing.mp4").prepare()
    assert missing.value.code == ErrorCode.FILE_NOT_FOUND
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no film" * 100)
    with pytest.raises(DeviceError) as wrong:
        await File(junk).prepare()
    assert wrong.value.code == ErrorCode.FILE_FORMAT_ERROR


async def _in_thread(event: threading.Event) -> bool:
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, event.wait, 10.0)

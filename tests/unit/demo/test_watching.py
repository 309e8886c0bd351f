"""What the viewer makes of pictures and sound, from frames to saved files, without a network."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np

from sanderling import AudioFrame, PixelFormat, PlayQuality, VideoFrame
from sanderling.demo import clock, reports, save
from sanderling.demo.participant import Reporter
from sanderling.demo.viewer import Watching

MS = 1_000_000


class RecordedPlay:
    """Stands where a Player stands, with pictures and sound made beforehand."""

    def __init__(self, pictures: list[VideoFrame], blocks: int) -> None:
        self._pictures = pictures
        self._blocks = blocks

    async def video(self, *, keep: int) -> AsyncIterator[VideoFrame]:
        for picture in self._pictures:
            yield picture

    async def audio(self, *, rate: int, channels: int, block_ms: int) -> AsyncIterator[AudioFrame]:
        for number in range(self._blocks):
            yield AudioFrame(np.full((rate * block_ms // 1000, channels), number, np.int16), rate, 0)


def _picture(number: int | None, sent_ns: int = 0) -> VideoFrame:
    i420 = np.full((360 * 3 // 2, 640), 128, np.uint8)
    if number is not None:
        clock.burn(i420[:360], sent_ns, number)
    return VideoFrame.from_ndarray(i420, PixelFormat.I420)


async def test_pictures_and_sound_become_rows_figures_and_files(tmp_path: Path) -> None:
    now_ns = time.time_ns() // clock.UNIT_NS * clock.UNIT_NS
    pictures = [_picture(65_535, now_ns - 80 * MS), _picture(0, now_ns - 40 * MS), _picture(None)]
    out = io.BytesIO()
    watching = Watching(
        RecordedPlay(pictures, blocks=25),  # type: ignore[arg-type]
        Reporter(out, lambda: None),
        time.perf_counter(),
        tmp_path,
    )
    await watching.pictures()
    await watching.sound()
    await watching.finish()
    watching.report_pictures()
    watching.report_statistics(
        PlayQuality(video_codec="VP8", video_kbps=900.0, audio_kbps=60.0, concealed_ratio=0.01)
    )

    first, received, statistics = (reports.decode(line) for line in out.getvalue().splitlines())
    assert isinstance(first, reports.FirstFrame)
    assert (first.width, first.height) == (640, 360)
    assert isinstance(received, reports.Received)
    # Numbers go on over the clock's wrap; an unreadable picture has only an arrival.
    assert [row[:2] for row in received.rows] == [
        (65_535, now_ns - 80 * MS),
        (65_536, now_ns - 40 * MS),
        (None, None),
    ]
    assert all(now_ns <= row[2] for row in received.rows)
    assert statistics == reports.Statistics(640, 360, "VP8", 960.0, 250.0, 0.01)

    await asyncio.to_thread(_assert_saved, tmp_path, now_ns - 80 * MS)


def _assert_saved(folder: Path, sent_ns: int) -> None:
    assert save.sound_duration_ms(folder / save.SOUND) == 250.0
    saved = sorted((folder / save.PICTURES).iterdir())
    assert [path.name for path in saved] == ["frame-065535.png"]
    with av.open(str(saved[0])) as container:
        reading = clock.read(next(container.decode(video=0)).to_ndarray(format="gray"))
    assert reading == clock.Reading(sent_ns, 65_535)


async def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    out = io.BytesIO()
    play = RecordedPlay([_picture(0, time.time_ns())], blocks=1)
    watching = Watching(play, Reporter(out, lambda: None), time.perf_counter(), None)  # type: ignore[arg-type]
    await watching.pictures()
    await watching.sound()
    await watching.finish()
    assert not await asyncio.to_thread(os.listdir, tmp_path)


async def test_after_the_end_nothing_is_taken() -> None:
    out = io.BytesIO()
    play = RecordedPlay([_picture(0, time.time_ns())], blocks=3)
    watching = Watching(play, Reporter(out, lambda: None), time.perf_counter(), None)  # type: ignore[arg-type]
    before_ns = time.time_ns()
    assert before_ns <= watching.end() <= time.time_ns()
    await watching.pictures()
    await watching.sound()
    watching.report_pictures()
    watching.report_statistics(PlayQuality())
    assert [reports.decode(line) for line in out.getvalue().splitlines()] == [reports.Statistics()]

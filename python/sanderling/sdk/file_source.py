"""A media file as a source: pictures and sound from one reader on one clock, looped without a seam."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame as DecodedAudio
from av.container import InputContainer
from av.video.frame import VideoFrame as DecodedVideo
from numpy.typing import NDArray

from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.frames import PixelFormat, VideoFrame, split_planes
from sanderling.sdk.read_ahead import ReadAhead
from sanderling.sdk.sources import AudioSink, Source, SourceRun, VideoSink

__all__ = ["RATE", "File", "OnFrame", "Sound", "Picture", "timeline"]

log = logging.getLogger("sanderling.sdk")

OnFrame = Callable[[NDArray[np.uint8], int], None]
"""Gets the luma of a picture, writable (height, width), and its capture time in monotonic nanoseconds."""

RATE = 48_000
"""Sound leaves the reader at this rate; Opus runs at it."""
BLOCK = RATE // 100
"""Samples per block handed on: 10 ms."""
MAX_AHEAD = 250
"""Decoded items of one kind held while the other kind is searched for (files with poor interleaving)."""
READ_AHEAD = 32
"""Decoded items held ready, about a quarter of a second of pictures with sound. Opening the file again for the next
round takes up to a tenth of a second on a busy machine, which must not hold a picture up; more would cost memory."""
LEAD_NS = 20_000_000
"""From the start of the reader to its first picture."""
RESYNC_NS = 1_000_000_000
"""A reader this late (a stopped process) starts its clock anew instead of sending in a burst."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, ``time_ns`` after the start of the reader; ``data`` is I420, tightly packed, writable."""

    time_ns: int
    width: int
    height: int
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples (samples, channels) that begin ``time_ns`` after the start of the reader."""

    time_ns: int
    samples: NDArray[np.int16]


class File(Source):
    """A file that PyAV reads. Looped, times go on: pictures keep their spacing, samples follow without a gap.

    ``on_frame`` is called in the reader's thread right before each picture goes to the encoder.
    """

    def __init__(self, path: str | Path, *, loop: bool = False, on_frame: OnFrame | None = None) -> None:
        self._path = Path(path)
        self._loop = loop
        self._on_frame = on_frame

    async def prepare(self) -> tuple[bool, bool]:
        """Open the file once; 1008006 when it is not there, 1008005 when nothing in it can be played."""
        return await asyncio.get_running_loop().run_in_executor(None, _probe, self._path)

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Start the reader's thread."""
        return _Reader(self._path, self._loop, self._on_frame, video, audio, fail)


class _Reader:
    """A thread that hands each item over when its time has come; another one decodes ahead of it."""

    def __init__(
        self,
        path: Path,
        loop: bool,
        on_frame: OnFrame | None,
        video: VideoSink | None,
        audio: AudioSink | None,
        fail: Callable[[SanderlingError], None],
    ) -> None:
        self._stop = threading.Event()
        self._on_frame = on_frame
        self._video = video
        self._audio = audio
        self._fail = fail
        items = timeline(path, loop=loop, video=video is not None, audio=audio is not None)
        self._items = ReadAhead(items, limit=READ_AHEAD, name="sanderling-file-reader")
        self._thread = threading.Thread(target=self._run, args=(path,), name="sanderling-file", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._items.close()

    async def wait(self) -> None:
        while self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 1.0)

    def _run(self, path: Path) -> None:
        try:
            self._play(self._items)
        except SanderlingError as error:
            self._fail(error)
        except Exception as error:
            log.exception("reading %s failed", path.name)
            self._fail(DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"reading {path} failed: {error}"))
        finally:
            self._items.close()
            self._items.join()

    def _play(self, items: Iterator[Picture | Sound]) -> None:
        start_ns = time.monotonic_ns() + LEAD_NS
        for item in items:
            wait_ns = start_ns + item.time_ns - time.monotonic_ns()
            if wait_ns < -RESYNC_NS:
                start_ns -= wait_ns
            elif wait_ns > 0 and self._stop.wait(wait_ns / 1e9):
                return
            if self._stop.is_set():
                return
            if isinstance(item, Sound):
                if self._audio is not None:
                    self._audio.write(item.samples, RATE)
            elif self._video is not None:
                self._show(item, self._video)

    def _show(self, picture: Picture, sink: VideoSink) -> None:
        now_ns = time.monotonic_ns()
        if self._on_frame is not None:
            luma = picture.data[: picture.width * picture.height].reshape(picture.height, picture.width)
            self._on_frame(luma, now_ns)
        planes = split_planes(picture.data, PixelFormat.I420, picture.width, picture.height)
        sink.write(
            VideoFrame(picture.width, picture.height, PixelFormat.I420, captured_ns=now_ns, planes=planes)
        )


def timeline(path: Path, *, loop: bool, video: bool, audio: bool) -> Generator[Picture | Sound, None, None]:
    """Items of the file in the order of their times, for ever when looped.

    A round lasts as long as its pictures (or, without any, its sound); sound is cut or filled with silence to that
    length, which differs by less than a picture in a sane file.
    """
    offset_ns = 0
    while True:
        duration_ns = 0
        try:
            with av.open(str(path)) as container:
                round_ = _Round(container, video=video, audio=audio)
                for item in round_.items():
                    yield _shifted(item, offset_ns)
                duration_ns = round_.duration_ns
        except av.FFmpegError as error:
            raise DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"{path} cannot be read: {error}") from None
        if not loop:
            return
        if duration_ns <= 0:
            raise DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"{path} has nothing to loop")
        offset_ns += duration_ns


class _Round:
    """One pass through a file."""

    def __init__(self, container: InputContainer, *, video: bool, audio: bool) -> None:
        self._container = container
        self._video = container.streams.video[0] if video and container.streams.video else None
        self._audio = container.streams.audio[0] if audio and container.streams.audio else None
        self._channels = 1 if self._audio is not None and self._audio.channels == 1 else 2
        self._resampler = av.AudioResampler("s16", "mono" if self._channels == 1 else "stereo", RATE)
        self._pictures: deque[Picture] = deque()
        self._sounds: deque[Sound] = deque()
        self._samples = np.empty((0, self._channels), np.int16)
        self._sent_samples = 0
        self._first_pts: Fraction | None = None
        self._shown = 0
        self._last_ns = 0
        self._spacing_ns = 40_000_000
        if self._video is not None:
            self._video.thread_type = "SLICE"  # frame threads would hold pictures back
            if self._video.average_rate:
                self._spacing_ns = round(1e9 / self._video.average_rate)
        self.duration_ns = 0

    def items(self) -> Iterator[Picture | Sound]:
        """Everything of this pass in the order of time; sets ``duration_ns`` when done."""
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        for packet in self._container.demux(streams):
            for frame in packet.decode():
                if isinstance(frame, DecodedVideo):
                    self._add_picture(frame)
                elif isinstance(frame, DecodedAudio):
                    self._add_sound(frame)
            yield from self._ready(done=False)
        if self._audio is not None:
            self._add_sound(None)
        self._finish()
        yield from self._ready(done=True)

    def _ready(self, *, done: bool) -> Iterator[Picture | Sound]:
        while self._pictures or self._sounds:
            if not done and self._video is not None and self._audio is not None:
                waiting = not self._pictures or not self._sounds
                if waiting and len(self._pictures) + len(self._sounds) < MAX_AHEAD:
                    return
            first_sound = not self._pictures or (
                bool(self._sounds) and self._sounds[0].time_ns <= self._pictures[0].time_ns
            )
            yield self._sounds.popleft() if first_sound else self._pictures.popleft()

    def _add_picture(self, frame: DecodedVideo) -> None:
        if frame.pts is not None and frame.time_base is not None:
            at = frame.pts * frame.time_base
            if self._first_pts is None:
                self._first_pts = at
            time_ns = round((at - self._first_pts) * 1_000_000_000)
        else:
            time_ns = self._last_ns + (self._spacing_ns if self._shown else 0)
        width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
        picture = frame.reformat(width=width, height=height, format="yuv420p")
        self._pictures.append(
            Picture(time_ns, width, height, np.require(picture.to_ndarray().reshape(-1), np.uint8, "W"))
        )
        self._last_ns = time_ns
        self._shown += 1

    def _add_sound(self, frame: DecodedAudio | None) -> None:
        blocks = [block.to_ndarray().reshape(-1, self._channels) for block in self._resampler.resample(frame)]
        if blocks:
            self._samples = np.concatenate([self._samples, *blocks])
        self._cut(BLOCK)

    def _cut(self, size: int) -> None:
        while size and len(self._samples) >= size:
            self._put(self._samples[:size])
            self._samples = self._samples[size:]

    def _put(self, samples: NDArray[np.int16]) -> None:
        self._sounds.append(Sound(self._sent_samples * 1_000_000_000 // RATE, samples))
        self._sent_samples += len(samples)

    def _finish(self) -> None:
        sound_ns = (self._sent_samples + len(self._samples)) * 1_000_000_000 // RATE
        self.duration_ns = self._last_ns + self._spacing_ns if self._shown else sound_ns
        if self._audio is None:
            return
        wanted = round(self.duration_ns * RATE / 1_000_000_000)
        missing = wanted - self._sent_samples - len(self._samples)
        if missing > 0:
            silence = np.zeros((missing, self._channels), np.int16)
            self._samples = np.concatenate([self._samples, silence])
        self._cut(BLOCK)
        if len(self._samples):
            self._put(self._samples)
        surplus = self._sent_samples - wanted
        while surplus > 0 and self._sounds:
            last = self._sounds.pop()
            kept = max(0, len(last.samples) - surplus)
            surplus -= len(last.samples) - kept
            self._sent_samples -= len(last.samples) - kept
            if kept:
                self._sounds.append(Sound(last.time_ns, last.samples[:kept]))


def _shifted(item: Picture | Sound, offset_ns: int) -> Picture | Sound:
    if isinstance(item, Sound):
        return Sound(item.time_ns + offset_ns, item.samples)
    return Picture(item.time_ns + offset_ns, item.width, item.height, item.data)


def _probe(path: Path) -> tuple[bool, bool]:
    if not path.is_file():
        raise DeviceError(ErrorCode.FILE_NOT_FOUND, f"there is no file {path}")
    try:
        with av.open(str(path)) as container:
            found = bool(container.streams.video), bool(container.streams.audio)
    except (av.FFmpegError, ValueError) as error:
        raise DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"{path} is not a media file: {error}") from None
    if not any(found):
        raise DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"{path} has neither video nor audio")
    return found

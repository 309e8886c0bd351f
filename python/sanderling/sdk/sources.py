"""Where published media comes from: pushed frames and samples, still pictures, and pairs of sources."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.frames import PixelFormat, VideoFrame

__all__ = [
    "AudioSink",
    "AudioSource",
    "CustomAudioSource",
    "CustomVideoSource",
    "MediaSources",
    "Source",
    "SourceRun",
    "Still",
    "VideoSink",
    "VideoSource",
]

LATE_NS = 1_000_000_000
"""A pushed picture taken longer ago than this is dropped."""


class VideoSink(Protocol):
    """Takes pictures, from any thread."""

    def write(self, frame: VideoFrame) -> bool:
        """Take one picture; False when it was dropped."""


class AudioSink(Protocol):
    """Takes sound, from any thread."""

    def write(self, samples: NDArray[np.int16], rate: int) -> bool:
        """Take int16 (samples, channels); False when it was dropped."""


class SourceRun(Protocol):
    """A source at work for one publisher."""

    def stop(self) -> None:
        """Stop delivering; returns at once."""

    async def wait(self) -> None:
        """Return once every thread and file of it is released."""


class Source:
    """Base of sources. ``prepare`` says what it has, ``start`` makes it deliver."""

    async def prepare(self) -> tuple[bool, bool]:
        """Whether there is (video, audio); raises :class:`DeviceError` when the source cannot be opened."""
        raise NotImplementedError

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Deliver to the sinks until stopped. ``fail`` is called, from any thread, when it can go on no more."""
        raise NotImplementedError


class VideoSource(Source):
    """A source of pictures."""

    async def prepare(self) -> tuple[bool, bool]:
        """Pictures only."""
        return True, False


class AudioSource(Source):
    """A source of sound."""

    async def prepare(self) -> tuple[bool, bool]:
        """Sound only."""
        return False, True


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSources:
    """What a stream is made of. The same :class:`File` in both places is read once, with one clock."""

    video: Source | None = None
    audio: Source | None = None

    def __post_init__(self) -> None:
        if self.video is None and self.audio is None:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "a stream needs a video or an audio source")


class _Attachment:
    """One sink of a pushed source."""

    def __init__(self, detach: Callable[[], None]) -> None:
        self._detach = detach

    def stop(self) -> None:
        self._detach()

    async def wait(self) -> None:
        return None


class CustomVideoSource(VideoSource):
    """Pictures that the program makes: push them while the stream is published."""

    def __init__(self) -> None:
        self._sinks: list[VideoSink] = []
        self._lock = threading.Lock()
        self._last_ns = 0

    async def push(self, frame: VideoFrame) -> bool:
        """Hand ``frame`` to the encoder, without holding the loop up while samples are copied.

        False = nobody took it: not published, muted, or late (older than the one before or than a second).
        """
        if not self._sinks:
            return False
        return await asyncio.get_running_loop().run_in_executor(None, self.push_nowait, frame)

    def push_nowait(self, frame: VideoFrame) -> bool:
        """The same from any thread, at once."""
        if time.monotonic_ns() - frame.captured_ns > LATE_NS:
            return False
        with self._lock:
            if frame.captured_ns <= self._last_ns:
                return False
            self._last_ns = frame.captured_ns
            sinks = tuple(self._sinks)
        taken = [sink.write(frame) for sink in sinks]
        return any(taken)

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Begin handing what is pushed to ``video``."""
        if video is None:
            return _Attachment(lambda: None)
        sink = video
        with self._lock:
            self._sinks.append(sink)
        return _Attachment(lambda: self._remove(sink))

    def _remove(self, sink: VideoSink) -> None:
        with self._lock:
            self._sinks = [other for other in self._sinks if other is not sink]


class CustomAudioSource(AudioSource):
    """Sound that the program makes: push it at the pace at which it is to be heard.

    ``rate``: samples per second and channel; 8000 to 48000.
    """

    def __init__(self, *, rate: int = 48_000) -> None:
        if rate not in (8000, 16000, 22050, 24000, 32000, 44100, 48000):  # product-facts 1.8
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"a sample rate of {rate} is not supported")
        self._rate = rate
        self._sinks: list[AudioSink] = []
        self._lock = threading.Lock()

    def push(self, samples: NDArray[np.int16]) -> bool:
        """Send int16 (samples, channels), 1 or 2 channels, from any thread; False = nobody took it.

        Blocks of any length; what does not fill 10 ms waits for the next one.
        """
        if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] not in (1, 2):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"sound of type {samples.dtype} and shape {samples.shape}",
                hint="push int16 of shape (samples, channels) with 1 or 2 channels",
            )
        with self._lock:
            sinks = tuple(self._sinks)
        taken = [sink.write(samples, self._rate) for sink in sinks]
        return any(taken)

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Begin handing what is pushed to ``audio``."""
        if audio is None:
            return _Attachment(lambda: None)
        sink = audio
        with self._lock:
            self._sinks.append(sink)
        return _Attachment(lambda: self._remove(sink))

    def _remove(self, sink: AudioSink) -> None:
        with self._lock:
            self._sinks = [other for other in self._sinks if other is not sink]


class Still(VideoSource):
    """A picture file (PNG, JPEG, ...) shown ``fps`` times a second, so that late viewers see it at once."""

    def __init__(self, path: str | Path, *, fps: float = 5.0) -> None:
        if not 0 < fps <= 60:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"fps is {fps}, above 0 to 60 allowed")
        self._path = Path(path)
        self._fps = fps
        self._picture: NDArray[np.uint8] | None = None

    async def prepare(self) -> tuple[bool, bool]:
        """Read the picture; 1008006 when it is not there, 1008005 when it is no picture."""
        if self._picture is None:
            self._picture = await asyncio.get_running_loop().run_in_executor(None, _read_picture, self._path)
        return True, False

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Begin showing the picture."""
        if video is None or self._picture is None:
            return _Attachment(lambda: None)
        return _Repeat(self._picture, 1 / self._fps, video)


class _Repeat:
    """Shows one picture again and again, from a task."""

    def __init__(self, picture: NDArray[np.uint8], interval: float, sink: VideoSink) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(picture, interval, sink))

    async def _run(self, picture: NDArray[np.uint8], interval: float, sink: VideoSink) -> None:
        loop = asyncio.get_running_loop()
        picture.flags.writeable = False
        while True:
            frame = VideoFrame.from_ndarray(picture, PixelFormat.I420)
            await loop.run_in_executor(None, sink.write, frame)
            await asyncio.sleep(interval)

    def stop(self) -> None:
        self._task.cancel()

    async def wait(self) -> None:
        await asyncio.wait([self._task])


def _read_picture(path: Path) -> NDArray[np.uint8]:
    import av

    if not path.is_file():
        raise DeviceError(ErrorCode.FILE_NOT_FOUND, f"there is no file {path}")
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            # I420 has no odd sides.
            width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
            return (
                frame.reformat(width=width, height=height, format="yuv420p")
                .to_ndarray()
                .astype(np.uint8, copy=False)
            )
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise DeviceError(ErrorCode.FILE_FORMAT_ERROR, f"{path} is not a picture: {error}") from None

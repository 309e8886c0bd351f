"""Media in and out of the engine: what is pushed becomes a track, what a track delivers becomes frames."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import webrtc
import wrtc  # type: ignore[import-not-found]  # its stub lies beside the binary, where mypy does not look
from numpy.typing import NDArray

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame, plane_shapes

__all__ = ["AudioFeed", "AudioInput", "VideoFeed", "VideoInput", "buffer_of"]

log = logging.getLogger("sanderling.sdk")

PENDING_FRAMES = 4
"""Pictures the engine holds for a busy loop before it drops the oldest; samples are copied only when asked for."""
PENDING_BLOCKS = 20
"""Blocks of 10 ms of sound held for a busy loop."""

_NATIVE = {
    PixelFormat.I420: "I420",
    PixelFormat.NV12: "NV12",
    PixelFormat.RGBA: "RGBA",
    PixelFormat.BGRA: "BGRA",
}
_BT601 = "smpte170m"


class NativePicture:
    """A picture in the engine's memory (see :class:`sanderling.sdk.frames.PixelBuffer`)."""

    __slots__ = ("_buffer", "format")

    def __init__(self, buffer: wrtc.VideoFrameBuffer, format: PixelFormat) -> None:
        self._buffer = buffer
        self.format = format

    def read_planes(self, destination: NDArray[np.uint8]) -> None:
        """Write the tightly packed planes into ``destination``."""
        width, height = self._buffer.width, self._buffer.height
        if self.format is PixelFormat.RGBA:  # a depth or sampling that has no planes here: converted once
            self.read_packed(destination.reshape(height, width, 4), PixelFormat.RGBA)
            return
        copies = []
        offset = 0
        for shape in plane_shapes(self.format, width, height):
            rows, row_bytes = shape[0], int(np.prod(shape[1:]))
            copies.append((0, 0, row_bytes, rows, offset, row_bytes))
            offset += rows * row_bytes
        self._buffer.copyPlanes(destination, copies)

    def read_packed(self, destination: NDArray[np.uint8], format: PixelFormat) -> None:
        """Write the picture as RGBA or BGRA into ``destination`` (height, width, 4)."""
        width, height = self._buffer.width, self._buffer.height
        self._buffer.convertTo(destination, _NATIVE[format], 0, 0, width, height, 0, width * 4, _BT601, False)


def _native_buffer(frame: VideoFrame) -> wrtc.VideoFrameBuffer:
    """The engine's copy of a picture."""
    held = frame._buffer
    if isinstance(held, NativePicture) and held.format is not PixelFormat.RGBA:
        return held._buffer
    planes, format = frame.planes, frame.format
    if format in (PixelFormat.RGB24, PixelFormat.BGR24):
        format = PixelFormat.RGBA if format is PixelFormat.RGB24 else PixelFormat.BGRA
        planes = (frame.to_ndarray(format),)
    base = planes[0].base if isinstance(planes[0].base, np.ndarray) else None
    data = (
        base if base is not None and base.ndim == 1 else np.concatenate([plane.ravel() for plane in planes])
    )
    layout = []
    offset = 0
    for shape in plane_shapes(format, frame.width, frame.height):
        layout.append((offset, int(np.prod(shape[1:]))))
        offset += int(np.prod(shape))
    if data.size != offset:
        data = np.concatenate([plane.ravel() for plane in planes])
    return wrtc.VideoFrameBuffer.fromData(_NATIVE[format], frame.width, frame.height, data, layout)


def buffer_of(frame: VideoFrame) -> NativePicture:
    """The picture as the engine holds it, for conversions."""
    return NativePicture(_native_buffer(frame), frame.format)


class VideoInput:
    """A video track that carries what is written to it. ``write`` may be called from any thread."""

    def __init__(self) -> None:
        self._generator = wrtc.TrackGenerator("video")
        self._lock = threading.Lock()
        self._last_us = 0
        self._closed = False
        self._size = (0, 0)
        self.muted = False
        self.frames = 0
        self.taps: tuple[Callable[[VideoFrame], object], ...] = ()
        """Called with each picture that is sent; from any thread."""
        self.on_size: Callable[[int, int], None] | None = None
        """Called with width and height of the first picture and of each that has another size; from any thread."""
        self.track: webrtc.MediaStreamTrack = webrtc.MediaStreamTrack._wrap(self._generator.track)
        # Motion keeps the frame rate and lets the resolution follow the link (architecture section 6).
        self.track.content_hint = "motion"

    def write(self, frame: VideoFrame) -> bool:
        """Hand one picture to the encoder; False when closed, muted, or not newer than the one before."""
        if self.muted:
            return False
        buffer = _native_buffer(frame)
        timestamp_us = frame.captured_ns // 1000
        with self._lock:
            if self._closed or timestamp_us <= self._last_us:
                return False
            self._last_us = timestamp_us
            self._generator.writeVideo(buffer, timestamp_us, frame.rotation)
            self.frames += 1
            size, before = (frame.width, frame.height), self._size
            self._size = size
        if size != before and self.on_size is not None:
            self.on_size(*size)
        for tap in self.taps:
            tap(frame)
        return True

    def close(self) -> None:
        """End the track."""
        with self._lock:
            self._closed = True
            self._generator.close()


class AudioInput:
    """An audio track that carries what is written to it. ``write`` may be called from any thread."""

    def __init__(self) -> None:
        self._generator = wrtc.TrackGenerator("audio")
        self._lock = threading.Lock()
        self._closed = False
        self._heard = False
        self.muted = False
        self.taps: tuple[Callable[[NDArray[np.int16], int], object], ...] = ()
        """Called with the sound that is sent and its rate; from any thread."""
        self.on_first: Callable[[], None] | None = None
        """Called with the first sound; from any thread."""
        self.on_sound: Callable[[NDArray[np.int16], int], None] | None = None
        """Called with all sound that comes, muted or not, and its rate; from any thread."""
        self.disabled = False
        """Whether the microphone is off: what comes is not even listened to."""
        self.track: webrtc.MediaStreamTrack = webrtc.MediaStreamTrack._wrap(self._generator.track)

    def write(self, samples: NDArray[np.int16], rate: int) -> bool:
        """Hand over int16 (samples, channels); False when closed. Muted sound is sent as silence."""
        data = np.ascontiguousarray(samples)
        listener = self.on_sound
        if listener is not None and not self.disabled and not self._closed:
            listener(data, rate)
        if self.muted:
            data = np.zeros_like(data)
        with self._lock:
            if self._closed:
                return False
            try:
                self._generator.writeAudio(data.tobytes(), rate, data.shape[1], len(data))
            except ValueError as error:
                raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"sound cannot be sent: {error}") from None
            first, self._heard = not self._heard, True
        if first and self.on_first is not None:
            self.on_first()
        for tap in self.taps:
            tap(data, rate)
        return True

    def close(self) -> None:
        """End the track."""
        with self._lock:
            self._closed = True
            self._generator.close()


class _Feed:
    """Reads one track in one task, from ``start`` to ``stop``."""

    def __init__(self, track: webrtc.MediaStreamTrack, pending: int) -> None:
        self._track = track
        self._pending = pending
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin reading."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read(), name="sanderling-feed")

    def stop(self) -> None:
        """Stop reading; the track costs this process nothing from now on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _read(self) -> None:
        init = webrtc.MediaStreamTrackProcessorInit(self._track, self._pending)
        reader = webrtc.MediaStreamTrackProcessor(init).readable.get_reader()
        try:
            while True:
                result = await reader.read()
                if result.done:
                    return
                self._take(result.value)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("reading a track failed")
        finally:
            with contextlib.suppress(Exception):
                reader.cancel().add_done_callback(_ignore)

    def _take(self, item: object) -> None:
        raise NotImplementedError


class VideoFeed(_Feed):
    """Delivers the pictures of a received track."""

    def __init__(self, track: webrtc.MediaStreamTrack, deliver: Callable[[VideoFrame], None]) -> None:
        super().__init__(track, PENDING_FRAMES)
        self._deliver = deliver

    def _take(self, item: object) -> None:
        if not isinstance(item, webrtc.VideoFrame):
            return
        rotation, rtp_timestamp = item.rotation, item.metadata().rtp_timestamp
        buffer = item._take_resource()
        format = {"I420": PixelFormat.I420, "NV12": PixelFormat.NV12}.get(buffer.format, PixelFormat.RGBA)
        self._deliver(
            VideoFrame(
                buffer.width,
                buffer.height,
                format,
                captured_ns=time.monotonic_ns(),
                rotation=rotation,
                rtp_timestamp=rtp_timestamp,
                buffer=NativePicture(buffer, format),
            )
        )


class AudioFeed(_Feed):
    """Delivers the sound of a received track in blocks of 10 ms."""

    def __init__(self, track: webrtc.MediaStreamTrack, deliver: Callable[[AudioFrame], None]) -> None:
        super().__init__(track, PENDING_BLOCKS)
        self._deliver = deliver

    def _take(self, item: object) -> None:
        if not isinstance(item, webrtc.AudioData):
            return
        channels, frames, rate = item.number_of_channels, item.number_of_frames, int(item.sample_rate)
        out = bytearray(frames * channels * 2)
        item.copy_to(out, webrtc.AudioDataCopyToOptions(plane_index=0, format="s16"))
        item.close()
        samples = np.frombuffer(bytes(out), np.int16).reshape(frames, channels)
        self._deliver(AudioFrame(samples, rate, time.monotonic_ns()))


def _ignore(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()

"""The thread that reads one camera or microphone and hands on what it delivers."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame as DecodedVideo
from av.video.reformatter import ColorRange

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.capture import device_error, fault, open_node
from sanderling.sdk.frames import PixelFormat, VideoFrame, split_planes
from sanderling.sdk.sources import AudioSink, VideoSink

__all__ = ["DeviceReader", "probe"]

log = logging.getLogger("sanderling.sdk")

RATE = 48_000
"""Sound is handed on at this rate; Opus runs at it."""
POLL_MS = 100
"""How long a pipe is waited for before the reader looks whether it is to stop."""
GOODBYE = 2.0
"""Seconds for which the end of the thread is waited for: a driver may hold it in a call that nothing interrupts."""
ALSA_SETTINGS = Path("/usr/share/alsa/alsa.conf")
"""libasound inside PyAV looks for its settings where it was built, unless the environment says where they are."""
LIVE_FORMATS = ("v4l2", "alsa")


def probe(kind: str, device_id: str, node: Path | None, format: str, options: Mapping[str, str]) -> None:
    """See whether a device can be opened. Blocks; codes of a device."""
    if node is not None:
        _look_at(node, kind, device_id)
    if format in LIVE_FORMATS:
        _open(kind, device_id, format, options).close()


def _look_at(node: Path, kind: str, device_id: str) -> None:
    """Raise what keeps the node from being opened."""
    try:
        mode = node.stat().st_mode
    except OSError as error:
        raise device_error(error, kind, device_id) from None
    if stat.S_ISDIR(mode):
        raise device_error(OSError(errno.EISDIR, ""), kind, device_id)
    if stat.S_ISFIFO(mode):
        # Opened and closed again, it would take its writer's reader away.
        if not os.access(node, os.R_OK):
            raise device_error(OSError(errno.EACCES, ""), kind, device_id)
    else:
        os.close(open_node(node, kind, device_id))


def _open(kind: str, device_id: str, format: str, options: Mapping[str, str]) -> InputContainer:
    if format == "alsa" and ALSA_SETTINGS.is_file():
        os.environ.setdefault("ALSA_CONFIG_PATH", str(ALSA_SETTINGS))
    try:
        return av.open(device_id, format=format, options=dict(options))
    except OSError as error:
        if format == "alsa" and error.errno == errno.EIO:
            # Whatever is wrong: the node was looked at before, so it is the name.
            error = OSError(errno.ENOENT, "")
        raise device_error(error, kind, device_id) from None
    except ValueError:
        raise fault(ErrorCode.ILLEGAL_PARAMETER, kind, device_id, f"there is no reader {format}") from None


class _Line:
    """A pipe or terminal line as PyAV reads it: waits without being held, and tells its end as a lost device."""

    def __init__(self, descriptor: int, stopped: threading.Event) -> None:
        self._descriptor = descriptor
        self._stopped = stopped
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        while not self._stopped.is_set():
            events = self._poll.poll(POLL_MS)
            if not events:
                continue
            try:
                data = os.read(self._descriptor, size)
            except BlockingIOError:
                continue
            if not data:  # the writer is gone
                raise OSError(errno.ENODEV, "the line was closed")
            return data
        return b""


class DeviceReader:
    """Reads until stopped. ``fail`` is told once, from a thread, when the device delivers no more."""

    def __init__(
        self,
        kind: str,
        device_id: str,
        format: str,
        options: Mapping[str, str],
        patience: float,
        video: VideoSink | None,
        audio: AudioSink | None,
        fail: Callable[[SanderlingError], None],
    ) -> None:
        self._kind, self._device_id = kind, device_id
        self._format, self._options = format, options
        self._patience = patience
        self._video, self._audio = video, audio
        self._tell = fail
        self._stop = threading.Event()
        self._failing = threading.Lock()
        self._last = time.monotonic()
        self._threads = [
            threading.Thread(target=target, name=f"sanderling-{kind.lower()}", daemon=True)
            for target in (self._run, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; returns at once."""
        self._stop.set()

    async def wait(self) -> None:
        """Return when the device is closed, or after :data:`GOODBYE` seconds."""
        loop = asyncio.get_running_loop()
        for thread in self._threads:
            await loop.run_in_executor(None, thread.join, GOODBYE)
            if thread.is_alive():
                log.warning("%s %s does not let go", self._kind.lower(), self._device_id)

    # ------------------------------------------------------------------------------------------ in threads

    def _fail(self, error: SanderlingError) -> None:
        with self._failing:
            first = not self._stop.is_set()
            self._stop.set()
        if first:
            self._tell(error)

    def _watch(self) -> None:
        while not self._stop.wait(min(self._patience / 4, 0.5)):
            if time.monotonic() - self._last > self._patience:
                what = f"it delivered nothing for {self._patience:g} seconds"
                self._fail(fault(ErrorCode.DEVICE_ZERO_FPS, self._kind, self._device_id, what))

    def _run(self) -> None:
        try:
            if self._format in LIVE_FORMATS:
                with _open(self._kind, self._device_id, self._format, self._options) as container:
                    self._read(container)
                return
            descriptor = open_node(Path(self._device_id), self._kind, self._device_id)
            try:
                line = _Line(descriptor, self._stop)
                with av.open(line, "r", format=self._format, options=dict(self._options)) as container:
                    self._read(container)
            finally:
                os.close(descriptor)
        except SanderlingError as error:
            self._fail(error)
        except av.FFmpegError as error:
            # What a device delivers and no decoder understands has no number of the system's.
            if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ENODEV):
                self._fail(device_error(error, self._kind, self._device_id))
            else:
                self._fail(fault(ErrorCode.DEVICE_ERROR, self._kind, self._device_id, str(error)))
        except OSError as error:
            self._fail(device_error(error, self._kind, self._device_id))
        except Exception:
            log.exception("reading %s %s failed", self._kind.lower(), self._device_id)
            what = "a fault of the software, which was logged"
            self._fail(fault(ErrorCode.DEVICE_INTERNAL_ERROR, self._kind, self._device_id, what))

    def _read(self, container: InputContainer) -> None:
        if self._video is not None:
            self._read_pictures(container, self._video)
        elif self._audio is not None:
            self._read_sound(container, self._audio)
        if not self._stop.is_set():
            raise OSError(errno.ENODEV, "the device ended")

    def _read_pictures(self, container: InputContainer, sink: VideoSink) -> None:
        container.streams.video[0].thread_type = "SLICE"  # frame threads would hold pictures back
        for frame in container.decode(video=0):
            if self._stop.is_set():
                return
            self._last = time.monotonic()
            width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
            picture = frame.reformat(
                width=width,
                height=height,
                format="yuv420p",
                src_color_range=ColorRange.JPEG if _is_full_range(frame) else ColorRange.UNSPECIFIED,
                dst_color_range=ColorRange.MPEG,
            )
            data = np.require(picture.to_ndarray().reshape(-1), np.uint8, "W")
            planes = split_planes(data, PixelFormat.I420, width, height)
            sink.write(
                VideoFrame(width, height, PixelFormat.I420, captured_ns=time.monotonic_ns(), planes=planes)
            )

    def _read_sound(self, container: InputContainer, sink: AudioSink) -> None:
        channels = 1 if container.streams.audio[0].channels == 1 else 2
        resampler = av.AudioResampler("s16", "mono" if channels == 1 else "stereo", RATE)
        for frame in container.decode(audio=0):
            if self._stop.is_set():
                return
            self._last = time.monotonic()
            for block in resampler.resample(frame):
                sink.write(block.to_ndarray().reshape(-1, channels).astype(np.int16, copy=False), RATE)


def _is_full_range(frame: DecodedVideo) -> bool:
    """Whether luma goes from 0 to 255, as that of motion JPEG does; what is sent goes from 16 to 235."""
    return frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG

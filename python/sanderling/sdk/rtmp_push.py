"""A stream pushed to an RTMP server: H.264 and AAC in FLV, encoded on a thread, sent by a process of its own."""

from __future__ import annotations

import asyncio
import logging
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import PixelFormat, VideoFrame
from sanderling.sdk.rtmp_sender import PATIENCE

__all__ = ["RtmpPush"]

log = logging.getLogger("sanderling.sdk")

RATE = 48_000
BLOCK = 1024
"""Samples of one AAC frame."""
MILLISECONDS = Fraction(1, 1000)
"""The clock of FLV."""
MAX_WAITING = 120
"""Pictures and blocks of sound that wait for a slow server; what comes then is dropped."""
GAP_NS = 200_000_000
"""Sound that is this late was interrupted: silence takes its place."""
KEY_FRAME_SECONDS = 2
GOODBYE = 3.0
"""Seconds for which the end of the thread is waited for."""


class RtmpPush:
    """Pushes from the first picture (or sound, without pictures) on.

    ``on_up``: the server has taken the stream. ``on_lost``: it could not be reached or has gone, with what the system
    said; called once, and not after ``stop``. Both from the thread.
    """

    def __init__(
        self,
        url: str,
        config: PublisherConfig,
        *,
        video: bool,
        audio: bool,
        on_up: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._url = url
        self._config = config
        self._has_video, self._has_audio = video, audio
        self._on_up, self._on_lost = on_up, on_lost
        self._waiting: queue.Queue[VideoFrame | tuple[int, NDArray[np.int16], int] | None] = queue.Queue(
            MAX_WAITING
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sanderling-rtmp", daemon=True)
        self._thread.start()

    def write_video(self, frame: VideoFrame) -> bool:
        """Take a picture, from any thread; False when it was dropped."""
        return self._put(frame)

    def write_audio(self, samples: NDArray[np.int16], rate: int) -> bool:
        """Take int16 (samples, channels), from any thread; False when it was dropped."""
        return self._put((time.monotonic_ns(), np.array(samples), rate))

    def stop(self) -> None:
        """End the stream; returns at once."""
        self._stopped.set()
        self._put(None)

    async def wait(self) -> None:
        """Return when the server was told, or after :data:`GOODBYE` seconds."""
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, GOODBYE)

    # ------------------------------------------------------------------------------------------ in the thread

    def _put(self, item: VideoFrame | tuple[int, NDArray[np.int16], int] | None) -> bool:
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        try:
            first = self._first()
            if first is None:
                return
            # A session of its own: Ctrl-C reaches the program alone, which says goodbye.
            with subprocess.Popen(
                [sys.executable, "-m", "sanderling.sdk.rtmp_sender"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            ) as sender:
                listening = threading.Thread(
                    target=self._listen, args=(sender,), name="sanderling-rtmp", daemon=True
                )
                listening.start()
                try:
                    self._feed(sender, first)
                finally:
                    if sender.stdin is not None:
                        sender.stdin.close()
                    listening.join()
        except (av.FFmpegError, OSError) as error:
            self._lost(error.strerror or str(error))
        except Exception as error:
            log.exception("pushing to an RTMP server failed")
            self._lost(str(error))

    def _feed(
        self, sender: subprocess.Popen[bytes], first: VideoFrame | tuple[int, NDArray[np.int16], int]
    ) -> None:
        pipe = _Pipe(sender)
        try:
            pipe.write(self._url.encode() + b"\n")
            options = {"flush_packets": "1", "flvflags": "no_duration_filesize"}
            with av.open(pipe, "w", format="flv", options=options) as container:
                muxer = _Muxer(
                    container,
                    self._config,
                    first if isinstance(first, VideoFrame) else None,
                    audio=self._has_audio,
                )
                item: VideoFrame | tuple[int, NDArray[np.int16], int] | None = first
                while not self._stopped.is_set():
                    if isinstance(item, VideoFrame):
                        muxer.picture(item)
                    elif item is not None:
                        muxer.sound(*item)
                    item = self._waiting.get()
                muxer.flush()
        except BrokenPipeError:
            pass  # the sender has ended, and says why

    def _listen(self, sender: subprocess.Popen[bytes]) -> None:
        """What the sender says."""
        why = ""
        if sender.stdout is not None:
            for line in sender.stdout:
                what, _, rest = line.decode(errors="replace").strip().partition(" ")
                if what == "up":
                    self._on_up()
                elif what == "lost":
                    why = rest
        if sender.wait() == -signal.SIGALRM:
            why = f"it took nothing for {PATIENCE} seconds"
        self._lost(why or "the sender ended")

    def _first(self) -> VideoFrame | tuple[int, NDArray[np.int16], int] | None:
        """The first picture, whose size the stream has; the first sound of a stream without pictures."""
        while not self._stopped.is_set():
            item = self._waiting.get()
            if isinstance(item, VideoFrame) == self._has_video and item is not None:
                return item
        return None

    def _lost(self, why: str) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self._put(None)
            self._on_lost(why)


class _Pipe:
    """The sender's input as PyAV writes to it."""

    def __init__(self, sender: subprocess.Popen[bytes]) -> None:
        assert sender.stdin is not None
        self._stream = sender.stdin

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) :]
        return len(data)


class _Muxer:
    """One connection: sizes and clocks begin with it."""

    def __init__(
        self, container: OutputContainer, config: PublisherConfig, first: VideoFrame | None, *, audio: bool
    ) -> None:
        self._container = container
        self._began_ns = first.captured_ns if first is not None else time.monotonic_ns()
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._last_ms = -1
        self._key_ms = 0
        self._resamplers: dict[tuple[int, int], av.AudioResampler] = {}
        self._samples = np.empty((2, 0), np.float32)
        self._sent = 0
        if first is not None:
            self._video = container.add_stream("libx264", rate=max(1, round(config.fps)))
            self._video.options = {"preset": "veryfast", "tune": "zerolatency"}
            self._video.width, self._video.height = first.width // 2 * 2, first.height // 2 * 2
            self._video.pix_fmt = "yuv420p"
            self._video.bit_rate = config.video_bitrate_kbps * 1000
            self._video.codec_context.time_base = MILLISECONDS
        if audio:
            self._audio = container.add_stream("aac", rate=RATE)
            self._audio.layout = "stereo"
            self._audio.bit_rate = max(64, config.audio_bitrate_kbps) * 1000

    def picture(self, frame: VideoFrame) -> None:
        """Encode and send one picture."""
        stream = self._video
        at_ms = (frame.captured_ns - self._began_ns) // 1_000_000
        if stream is None or at_ms <= self._last_ms:
            return
        array, name = _pixels(frame)
        picture = av.VideoFrame.from_ndarray(array, name).reformat(
            width=stream.width, height=stream.height, format="yuv420p"
        )
        picture.pts, picture.time_base = at_ms, MILLISECONDS
        if self._last_ms < 0 or at_ms - self._key_ms >= KEY_FRAME_SECONDS * 1000:
            self._key_ms = at_ms
            picture.pict_type = av.video.frame.PictureType.I
        self._last_ms = at_ms
        for packet in stream.encode(picture):
            self._container.mux(packet)

    def sound(self, at_ns: int, samples: NDArray[np.int16], rate: int) -> None:
        """Encode and send a block of sound that came at ``at_ns``."""
        if self._audio is None:
            return
        channels = samples.shape[1]
        block = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), "s16", "mono" if channels == 1 else "stereo"
        )
        block.sample_rate = rate
        resampler = self._resamplers.setdefault((rate, channels), av.AudioResampler("fltp", "stereo", RATE))
        missing_ns = at_ns - self._began_ns - (self._sent + self._samples.shape[1]) * 1_000_000_000 // RATE
        if missing_ns > GAP_NS:
            silence = np.zeros((2, missing_ns * RATE // 1_000_000_000), np.float32)
            self._samples = np.concatenate([self._samples, silence], axis=1)
        pieces = [piece.to_ndarray() for piece in resampler.resample(block)]
        self._samples = np.concatenate([self._samples, *pieces], axis=1)
        while self._samples.shape[1] >= BLOCK:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(self._samples[:, :BLOCK]), "fltp", "stereo"
            )
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
            self._samples = self._samples[:, BLOCK:]
            self._sent += BLOCK
            for packet in self._audio.encode(frame):
                self._container.mux(packet)

    def flush(self) -> None:
        """Send what the encoders still hold."""
        for stream in (self._video, self._audio):
            if stream is not None:
                for packet in stream.encode(None):
                    self._container.mux(packet)


_PACKED = {
    PixelFormat.RGBA: "rgba",
    PixelFormat.BGRA: "bgra",
    PixelFormat.RGB24: "rgb24",
    PixelFormat.BGR24: "bgr24",
}


def _pixels(frame: VideoFrame) -> tuple[NDArray[np.uint8], str]:
    """The samples as PyAV takes them, and their format."""
    if frame.format in _PACKED:
        return frame.planes[0], _PACKED[frame.format]
    if frame.width % 2 or frame.height % 2:  # PyAV takes even sides of these formats only
        return frame.to_ndarray(PixelFormat.RGB24), "rgb24"
    name = "yuv420p" if frame.format is PixelFormat.I420 else "nv12"
    return frame.to_ndarray(frame.format), name

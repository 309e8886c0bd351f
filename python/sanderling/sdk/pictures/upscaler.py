"""Super resolution of a play: pictures twice as wide and high, sharpened, made in a thread."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import numpy as np

from sanderling.errors import ErrorCode, PlayError
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.pictures.pace import LIMIT, Strain
from sanderling.sdk.pictures.planes import Planes

__all__ = ["MAX_LONG_SIDE", "MAX_SHORT_SIDE", "Upscaler", "check_machine", "check_size", "enlarged"]

MAX_LONG_SIDE, MAX_SHORT_SIDE = 640, 360
"""The largest pictures that are enlarged (product-facts 5.8)."""
FACTOR = 2
MIN_PROCESSORS = 2
"""One is for receiving and decoding, which enlarging must not hold up."""


def check_machine() -> None:
    """1004004 on a machine that lacks the processors or the scaler."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if processors < MIN_PROCESSORS:
        raise PlayError(
            ErrorCode.SUPER_RESOLUTION_UNSUPPORTED,
            f"super resolution needs {MIN_PROCESSORS} processors, this process has {processors}",
        )
    try:
        import av.video.reformatter
    except ImportError as error:
        raise PlayError(
            ErrorCode.SUPER_RESOLUTION_UNSUPPORTED, f"the scaler cannot be loaded: {error}"
        ) from None
    if not hasattr(av.video.reformatter.Interpolation, "LANCZOS"):
        raise PlayError(ErrorCode.SUPER_RESOLUTION_UNSUPPORTED, "the scaler has no Lanczos filter")


def check_size(width: int, height: int) -> None:
    """1004006 for pictures that are too large."""
    if max(width, height) > MAX_LONG_SIDE or min(width, height) > MAX_SHORT_SIDE:
        raise PlayError(
            ErrorCode.SUPER_RESOLUTION_SIZE,
            f"pictures of {width}x{height} are not enlarged, at most {MAX_LONG_SIDE}x{MAX_SHORT_SIDE} are",
            hint="play the stream's small layer, or publish smaller pictures",
        )


def enlarged(frame: VideoFrame) -> VideoFrame:
    """Twice as wide and high: Lanczos, then the brightness sharpened."""
    planes = Planes.of(frame)
    large = planes.scaled(planes.width * FACTOR, planes.height * FACTOR, "LANCZOS")
    y = large.y.astype(np.int16)
    edges = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    large.y[1:-1, 1:-1] = np.clip(y[1:-1, 1:-1] + (edges >> 2), 0, 255)
    return large.frame(frame)


class Upscaler:
    """Enlarges the pictures of one play, one at a time; of those that come meanwhile the newest waits.

    ``show`` gets the result on the loop. ``fail`` is called once, with 1004006 for a picture that is too large or
    1004007 when the work takes longer than there is between two pictures; pictures then pass as they are.
    """

    def __init__(self, show: Callable[[VideoFrame], None], fail: Callable[[PlayError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._show = show
        self._fail = fail
        self._busy = False
        self._waiting: VideoFrame | None = None
        self._strain = Strain()
        self._came = 0
        self._closed = False
        self.dropped = 0
        """Pictures that were overtaken while they waited."""

    def take(self, frame: VideoFrame) -> None:
        """A received picture."""
        if self._closed:
            self._show(frame)
            return
        try:
            check_size(frame.width, frame.height)
        except PlayError as error:
            self._give_up(error)
            self._show(frame)
            return
        self._came += 1
        if self._busy:
            self.dropped += self._waiting is not None
            self._waiting = frame
        else:
            self._start(frame)

    def close(self) -> None:
        """Let pictures pass as they are; what is being enlarged is dropped."""
        self._closed = True
        self._waiting = None

    def _start(self, frame: VideoFrame) -> None:
        self._busy = True
        future = self._loop.run_in_executor(None, _timed, frame)
        future.add_done_callback(lambda done: self._done(frame, done))

    def _done(self, frame: VideoFrame, done: asyncio.Future[tuple[VideoFrame, int]]) -> None:
        self._busy = False
        if done.cancelled() or self._closed:
            return
        error = done.exception()
        if error is not None:
            self._give_up(PlayError(ErrorCode.SUPER_RESOLUTION_UNSUPPORTED, f"enlarging failed: {error}"))
            self._show(frame)
            return
        result, spent_ns = done.result()
        self._show(result)
        waiting, self._waiting = self._waiting, None
        came, self._came = self._came, 0
        share = self._strain.add(spent_ns, frame.captured_ns, came)
        if share is not None and share > LIMIT:
            self._give_up(
                PlayError(
                    ErrorCode.SUPER_RESOLUTION_SLOW,
                    f"enlarging takes {share:.0%} of the time between two pictures on this machine",
                )
            )
        if waiting is not None:
            self._came -= 1  # counted when it came
            self.take(waiting)

    def _give_up(self, error: PlayError) -> None:
        if not self._closed:
            self.close()
            self._fail(error)


def _timed(frame: VideoFrame) -> tuple[VideoFrame, int]:
    begun_ns = time.perf_counter_ns()
    return enlarged(frame), time.perf_counter_ns() - begun_ns

"""Seeing a source without publishing it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator

from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.frame_queue import FrameQueue
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.pictures.stage import PictureStage
from sanderling.sdk.sources import Source, SourceRun

__all__ = ["Preview"]


class Preview:
    """A running source; iterate over :meth:`video`, then ``stop``."""

    def __init__(self, source: Source, pictures: ChannelPictures | None = None) -> None:
        self._source = source
        self._stage = PictureStage(pictures, self, preview=True) if pictures is not None else None
        self._loop = asyncio.get_running_loop()
        self._run: SourceRun | None = None
        self._queues: weakref.WeakSet[FrameQueue[VideoFrame]] = weakref.WeakSet()

    async def start(self) -> None:
        """Open and run the source; 1006001 when it has no pictures."""
        has_video, _ = await self._source.prepare()
        if not has_video:
            raise DeviceError(ErrorCode.DEVICE_ERROR, "the source has no pictures to preview")
        self._run = self._source.start(self._stage or self, None, self._failed)

    def video(self, *, keep: int = 1) -> AsyncIterator[VideoFrame]:
        """Pictures as the source delivers them; a slow reader gets the newest ``keep`` (0 = all)."""
        queue: FrameQueue[VideoFrame] = FrameQueue(keep)
        if self._run is None:
            queue.close()
        self._queues.add(queue)
        return queue

    def newest(self, *, captured: bool = False) -> VideoFrame | None:
        """The newest picture as it is shown, or as it was ``captured``; None before the first."""
        if self._stage is None or self._run is None:
            return None
        return self._stage.captured if captured else self._stage.passed

    async def stop(self) -> None:
        """Stop the source and end the iterations. Idempotent."""
        run, self._run = self._run, None
        self._close(None)
        if run is not None:
            run.stop()
            await run.wait()

    def write(self, frame: VideoFrame) -> bool:
        """Take a picture from the source, in its thread."""
        if self._run is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._put, frame)
        return True

    def _put(self, frame: VideoFrame) -> None:
        for queue in list(self._queues):
            queue.put(frame)

    def _failed(self, error: SanderlingError) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close, error)

    def _close(self, error: SanderlingError | None) -> None:
        for queue in list(self._queues):
            queue.close(error)

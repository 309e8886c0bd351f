"""A stream that goes to a CDN instead of to the server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sanderling.enums import Channel, PublisherState, StreamEvent
from sanderling.errors import ErrorCode, PublishError, SanderlingError
from sanderling.sdk.backoff import Backoff
from sanderling.sdk.cdn import CDNConfig
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.publishing import Publisher
from sanderling.sdk.rtmp_push import RtmpPush
from sanderling.sdk.sources import MediaSources

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["DirectPublisher"]

log = logging.getLogger("sanderling.sdk")


class _Pictures:
    """Where the source's pictures go."""

    def __init__(self) -> None:
        self.muted = False
        self.write_on: Callable[[VideoFrame], bool] | None = None

    def write(self, frame: VideoFrame) -> bool:
        return not self.muted and self.write_on is not None and self.write_on(frame)


class _Sound:
    """Where the source's sound goes; muted sound is silence."""

    def __init__(self) -> None:
        self.muted = self.disabled = False
        self.write_on: Callable[[NDArray[np.int16], int], bool] | None = None

    def write(self, samples: NDArray[np.int16], rate: int) -> bool:
        if self.write_on is None:
            return False
        return self.write_on(np.zeros_like(samples) if self.muted else samples, rate)


class DirectPublisher(Publisher):
    """A publisher whose stream an RTMP server takes. It is PUBLISHING while that server does."""

    def __init__(
        self,
        room: Room,
        stream_id: str,
        sources: MediaSources,
        config: PublisherConfig,
        channel: Channel,
        target: CDNConfig,
    ) -> None:
        super().__init__(room, stream_id, sources, config, channel)
        self.relays = None
        self._target = target
        self._push: RtmpPush | None = None
        self.video: _Pictures | None = None
        self.audio: _Sound | None = None

    def interrupted(self, *, held: bool = False) -> None:
        """The server has no part in it."""

    def end(self, error: SanderlingError | None) -> int | None:
        """Stop at once; the number of no request."""
        seq = super().end(error)
        if self._push is not None:
            self._push.stop()
        return seq

    async def release(self) -> None:
        """Wait until the threads of the sources and of the push are gone."""
        push, self._push = self._push, None
        if push is not None:
            push.stop()
            await push.wait()
        await super().release()

    async def _publish(self) -> None:
        try:
            has_video, has_audio = await self._prepare()
            await self._room.session.online()
            self.video = _Pictures() if has_video else None
            self.audio = _Sound() if has_audio else None
            self._devices.apply(self)
            await self._push_again_and_again()
        except SanderlingError as error:
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("pushing %s failed", self.stream_id)
            self.end(PublishError(ErrorCode.PUBLISH_FAILED, f"publishing failed: {error}"))

    async def _push_again_and_again(self) -> None:
        backoff: Backoff | None = None
        while True:
            lost = asyncio.get_running_loop().create_future()
            await self._one_push(lost)
            error = PublishError(
                ErrorCode.RTMP_SERVER_DISCONNECTED,
                f"the RTMP server is away: {await lost}",
                hint="check the URL, and that the server takes this stream's name",
            )
            if not self._was_up:
                raise error
            now = time.monotonic()
            if self.state is PublisherState.PUBLISHING:
                backoff = Backoff(self._room.av_retry_time, now=now)
                self._retrying = True
                self._set_state(PublisherState.PUBLISH_REQUESTING, int(error.code))
                self._tell(StreamEvent.RETRY_PUBLISH_START)
            if backoff is None or backoff.over(now):
                raise error
            await asyncio.sleep(backoff.next(now))

    async def _one_push(self, lost: asyncio.Future[str]) -> None:
        call = self._room.session.call_soon

        def gone(why: str) -> None:
            if not lost.done():
                lost.set_result(why)

        if self._push is not None:
            await self._push.wait()
        push = self._push = RtmpPush(
            self._target.target,
            self._config,
            video=self.video is not None,
            audio=self.audio is not None,
            on_up=lambda: call(self._up),
            on_lost=lambda why: call(lambda: gone(why)),
        )
        if self.video is not None:
            self.video.write_on = push.write_video
        if self.audio is not None:
            self.audio.write_on = push.write_audio
        if not self._runs:
            self._begin(self.video, self.audio)

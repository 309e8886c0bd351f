"""A stream on its way from its sources to the server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sanderling.enums import Channel, PublisherState
from sanderling.errors import ErrorCode, PublishError, SanderlingError, error_for
from sanderling.sdk.action import Action
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.events import PublisherQualityUpdate, PublisherStateUpdate
from sanderling.sdk.quality import Counters, PublishQuality, publish_quality
from sanderling.sdk.sources import MediaSources, Source, SourceRun
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.room import Room
    from sanderling.sdk.webrtc.publisher import PublisherTransport

__all__ = ["Publisher", "Publishing"]

log = logging.getLogger("sanderling.sdk")


class Publisher:
    """One published stream. Made by ``start_publishing_stream``; ends with ``stop``, a logout or a failure."""

    def __init__(
        self, room: Room, stream_id: str, sources: MediaSources, config: PublisherConfig, channel: Channel
    ) -> None:
        self._room = room
        self._sources = sources
        self._config = config
        self._transport: PublisherTransport | None = None
        self._runs: list[SourceRun] = []
        self._task: asyncio.Task[None] | None = None
        self._read: tuple[Counters, Counters] = ({}, {})
        self._sampled: tuple[Counters, Counters] = ({}, {})
        self._registered = False
        self._connected = False
        self._answered = False
        self._muted_audio = False
        self._muted_video = False
        self.stream_id = stream_id
        self.channel = channel
        self.state = PublisherState.NO_PUBLISH
        self.stats = PublishQuality()
        self.ready: asyncio.Future[Publisher] = asyncio.get_running_loop().create_future()

    @property
    def frames_pushed(self) -> int:
        """Pictures handed to the encoder so far."""
        video = self._transport.video if self._transport is not None else None
        return video.frames if video is not None else 0

    async def mute(self, *, audio: bool | None = None, video: bool | None = None) -> None:
        """Send silence (``audio``) or no pictures (``video``) until called with False; None changes nothing."""
        if audio is not None:
            self._muted_audio = audio
        if video is not None:
            self._muted_video = video
        self._apply_mute()

    async def stop(self) -> None:
        """Stop publishing; NO_PUBLISH. The server knows when this returns. Idempotent."""
        seq = self.end(None)
        if seq is not None:
            await self._room.session.settle(seq)
        await self.release()

    async def read_stats(self) -> PublishQuality:
        """Figures of the time since the last reading (``stats`` is the newest one)."""
        self.stats, self._read = await self._quality(self._read)
        return self.stats

    # ------------------------------------------------------------------------------------------ for the room

    def begin(self) -> None:
        """Announce the request and start the work."""
        self._set_state(PublisherState.PUBLISH_REQUESTING)
        self._task = self._room.session.spawn(self._publish(), f"sanderling-publish-{self.stream_id}")

    def notice(self, notice: messages.PublisherStateNotice) -> None:
        """The server reports the state of this stream."""
        if notice.state == PublisherState.PUBLISHING:
            if self.state is PublisherState.PUBLISH_REQUESTING:
                self._set_state(PublisherState.PUBLISHING)
                if not self.ready.done():
                    self.ready.set_result(self)
        elif notice.state == PublisherState.NO_PUBLISH:
            self._registered = False
            code = notice.code or ErrorCode.PUBLISH_INTERRUPTED
            self.end(error_for(code, notice.message or "the server ended the publishing"))

    def end(self, error: SanderlingError | None) -> int | None:
        """Stop at once, report NO_PUBLISH once, tell the server; the number of the request, if one was sent."""
        if self.state is PublisherState.NO_PUBLISH:
            return None
        self._room.forget_publisher(self)
        self._set_state(PublisherState.NO_PUBLISH, int(error.code) if error is not None else 0)
        if not self.ready.done():
            self.ready.set_exception(
                error or PublishError(ErrorCode.PUBLISH_INTERRUPTED, f"stream {self.stream_id} was stopped")
            )
        elif error is not None:
            self._room.report(error, "start_publishing_stream")
        for run in self._runs:
            run.stop()
        if self._transport is not None:
            self._transport.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        return self._room.session.stop_publish(self.stream_id) if self._registered else None

    def undo(self) -> None:
        """Stop without waiting for the server."""
        self.end(None)

    async def sample(self) -> None:
        """Every 3 seconds: read and report figures."""
        if self.state is PublisherState.PUBLISHING:
            quality, self._sampled = await self._quality(self._sampled)
            self.stats = quality
            self._room.emit_newest(
                f"publisher-quality/{self.stream_id}", PublisherQualityUpdate(self.stream_id, quality)
            )

    # ------------------------------------------------------------------------------------------ inside

    async def _publish(self) -> None:
        try:
            has_video, has_audio = await self._prepare()
            from sanderling.sdk.webrtc.publisher import PublisherTransport

            known = self._room.session.ice_servers
            self._transport = PublisherTransport(
                self._config,
                video=has_video,
                audio=has_audio,
                on_state=self._transport_state,
                ice_servers=known or (),
            )
            offer = await self._transport.offer(hold=known is None)
            self._registered = True
            reply = await self._room.session.publish(
                self.stream_id, offer, channel=int(self.channel), extra_info=self._config.extra_info
            )
            await self._transport.accept(reply.answer, self._room.session.ice_servers or ())
            self._answered = True
            self._start_sources()
        except SanderlingError as error:
            # What the server refused it does not hold.
            self._registered = (
                self._registered and self._transport is not None and error.code == ErrorCode.INTERNAL_ERROR
            )
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("publishing %s failed", self.stream_id)
            self.end(PublishError(ErrorCode.PUBLISH_FAILED, f"publishing failed: {error}"))

    async def _quality(
        self, before: tuple[Counters, Counters]
    ) -> tuple[PublishQuality, tuple[Counters, Counters]]:
        if self._transport is None or self.state is PublisherState.NO_PUBLISH:
            return self.stats, before
        video, audio = await self._transport.track_counters()
        return publish_quality(video, audio, *before), (video, audio)

    async def _prepare(self) -> tuple[bool, bool]:
        video, audio = self._sources.video, self._sources.audio
        has_video = (await video.prepare())[0] if video is not None else False
        has_audio = (await audio.prepare())[1] if audio is not None else False
        if not has_video and not has_audio:
            raise PublishError(ErrorCode.PUBLISH_FAILED, "the source has neither video nor audio")
        return has_video, has_audio

    def _start_sources(self) -> None:
        """Begin once pictures can leave: the first ones would be encoded for a link of unknown speed."""
        if self._transport is None or self.state is PublisherState.NO_PUBLISH or self._runs:
            return
        if not (self._connected and self._answered):
            return
        self._apply_mute()
        now: Counters = {"time_ms": time.time() * 1000}
        self._read = self._sampled = (now, now)
        video, audio = self._transport.video, self._transport.audio
        if self._sources.video is not None and self._sources.video is self._sources.audio:
            self._runs.append(self._sources.video.start(video, audio, self._source_failed))
            return
        if self._sources.video is not None and video is not None:
            self._runs.append(self._sources.video.start(video, None, self._source_failed))
        if self._sources.audio is not None and audio is not None:
            self._runs.append(self._sources.audio.start(None, audio, self._source_failed))

    def _apply_mute(self) -> None:
        if self._transport is not None:
            if self._transport.audio is not None:
                self._transport.audio.muted = self._muted_audio
            if self._transport.video is not None:
                self._transport.video.muted = self._muted_video

    def _source_failed(self, error: SanderlingError) -> None:
        self._room.session.call_soon(lambda: self.end(error))

    def _transport_state(self, state: str, error: SanderlingError | None) -> None:
        if state == "connected":
            self._connected = True
            self._start_sources()
        elif state == "failed":
            self.end(
                error
                or PublishError(ErrorCode.PUBLISH_INTERRUPTED, "the media connection to the server was lost")
            )

    def _set_state(self, state: PublisherState, code: int = 0) -> None:
        self.state = state
        self._room.emit(PublisherStateUpdate(self.stream_id, state, code))

    async def release(self) -> None:
        """Wait until the threads of the sources are gone."""
        runs, self._runs = self._runs, []
        for run in runs:
            run.stop()
            await run.wait()
        self._room.released(self)


class Publishing(Action[Publisher]):
    """A publish that has begun; awaited, it gives the :class:`Publisher` once the stream is PUBLISHING."""

    def __init__(
        self, publisher: Publisher | None, future: asyncio.Future[Publisher], undo: Callable[[], None]
    ) -> None:
        super().__init__(future, undo)
        self.publisher = publisher


def as_sources(source: Source | MediaSources) -> MediaSources:
    """A single source gives whatever it has."""
    return source if isinstance(source, MediaSources) else MediaSources(video=source, audio=source)

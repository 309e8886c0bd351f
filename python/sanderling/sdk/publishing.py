"""A stream on its way from its sources to the server: announced, up, interrupted, made anew, ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sanderling.enums import Channel, PublisherState, StreamEvent
from sanderling.errors import ErrorCode, PublishError, RateLimited, SanderlingError, error_for
from sanderling.sdk.action import Action
from sanderling.sdk.backoff import Backoff, is_passing
from sanderling.sdk.cdn import Relays
from sanderling.sdk.config import PublisherConfig, check_extra_info
from sanderling.sdk.devices import Devices
from sanderling.sdk.events import (
    PublisherFirstFrame,
    PublisherQualityUpdate,
    PublisherStateUpdate,
    PublisherStreamEvent,
    PublisherVideoSizeChanged,
)
from sanderling.sdk.local_devices import tell_device_exception
from sanderling.sdk.pictures.outgoing import OutgoingPictures, PublisherPictures
from sanderling.sdk.quality import Counters, PublishQuality, publish_quality
from sanderling.sdk.side_info import SideInfo
from sanderling.sdk.sources import AudioSink, MediaSources, Source, SourceRun, VideoSink
from sanderling.signaling import messages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sanderling.sdk.room import Room
    from sanderling.sdk.webrtc.publisher import PublisherTransport
    from sanderling.sdk.webrtc.tracks import AudioInput, VideoInput

__all__ = ["Publisher", "Publishing"]

log = logging.getLogger("sanderling.sdk")

SoundListener = Callable[["NDArray[np.int16]", int], None]
"""Takes int16 (samples, channels) and their rate."""

ID_PATIENCE = 5.0
"""Seconds for which a streamID may still be held by this user's own lost session."""

SENT_INTERVAL = 0.1
"""Seconds between the first looks at whether the first picture and sound were sent."""
LONGEST_SENT_INTERVAL = 2.0
"""The same for a source that delivers nothing for long."""


class Publisher(PublisherPictures):
    """One published stream. Made by ``start_publishing_stream``; ends with ``stop``, a logout or a failure."""

    def __init__(
        self, room: Room, stream_id: str, sources: MediaSources, config: PublisherConfig, channel: Channel
    ) -> None:
        self._room = room
        self._sources = sources
        self._devices = Devices(room, stream_id)
        super().__init__(OutgoingPictures(room, room.pictures[channel], self._devices), config)
        self._extra_info = config.extra_info
        self._transport: PublisherTransport | None = None
        self._runs: list[SourceRun] = []
        self._task: asyncio.Task[None] | None = None
        self._read: tuple[Counters, Counters] = ({}, {})
        self._sampled: tuple[Counters, Counters] = ({}, {})
        self._registered = False
        self._connected = False
        self._answered = False
        self._was_up = False
        self._retrying = False
        self._renewing = False
        self._seen = False
        self._again = asyncio.Event()
        self._listener: SoundListener | None = None
        self._side_info = SideInfo(prepared=config.side_info)
        self._side_info.encrypt(None, room.encryption.publish_key(channel))
        self.relays: Relays | None = Relays(room, stream_id, config)
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
        """Send silence (``audio``) or no pictures (``video``) until called with False; None changes nothing.

        The others see the device state MUTE.
        """
        self._devices.mute(audio=audio, video=video)

    async def enable(self, *, microphone: bool | None = None, camera: bool | None = None) -> None:
        """Switch a source off or on again; None changes nothing. The others see the device state DISABLE."""
        self._devices.enable(microphone=microphone, camera=camera)

    def encrypt(self, key: bytes | None) -> None:
        """Seal pictures and sound under ``key`` (16, 24 or 32 bytes) from now on; None: no longer."""
        self._side_info.encrypt(self._live_transport(), key)

    async def set_extra_info(self, text: str) -> None:
        """Change the stream's extra info, which everybody in the room sees.

        1003051 when it has 1024 bytes or more, 1003053 when the server could not change it.
        """
        check_extra_info(text)
        self._extra_info = text
        if self._registered:
            await self._room.session.request(
                lambda seq: messages.SetStreamExtraInfo(seq, self.stream_id, text), messages.Ok
            )

    async def send_sei(self, data: bytes, *, captured_ns: int | None = None) -> None:
        """Send ``data`` inside the next picture, or inside the one captured at ``captured_ns`` (of ``VideoFrame``).

        Players that ask for it (``PlayerConfig.side_info``) get it with that picture; it is lost with a picture that
        is lost. 1003043 empty, 1003044 above 4096 bytes, 1002073 more than 30 a second, 1003080 for VP9, whose
        pictures have no place for it, 1003001 when no picture is being published.
        """
        self._side_info.send_with_picture(self._live_transport(), data, captured_ns or 0)

    async def send_audio_side_info(self, data: bytes) -> None:
        """Send ``data`` inside the next packet of sound, in the same way. 1003045 empty, 1003046 above 1023 bytes,
        1002073 more than 30 a second, 1003001 when no sound is being published.
        """
        self._side_info.send_with_sound(self._live_transport(), data)

    async def stop(self) -> None:
        """Stop publishing; NO_PUBLISH. The server knows when this returns. Idempotent."""
        seq = self.end(None)
        if seq is not None:
            await self._room.session.settle(seq)
        await self.release()

    def listen(self, listener: SoundListener | None) -> bool:
        """Hand all captured sound to ``listener``, from any thread, or no longer. Whether there is sound at all."""
        self._listener = listener
        audio = self._transport.audio if self._transport is not None else None
        if audio is not None:
            audio.on_sound = listener
        return audio is not None

    async def read_stats(self) -> PublishQuality:
        """Figures of the time since the last reading (``stats`` is the newest one)."""
        self.stats, self._read = await self._quality(self._read)
        return self.stats

    # ------------------------------------------------------------------------------------------ for the room

    def begin(self) -> None:
        """Announce the request and start the work."""
        self._tell(StreamEvent.PUBLISH_START)
        self._set_state(PublisherState.PUBLISH_REQUESTING)
        self._task = self._room.session.spawn(self._publish(), f"sanderling-publish-{self.stream_id}")

    def notice(self, notice: messages.PublisherStateNotice) -> None:
        """The server reports the state of this stream."""
        if notice.state == PublisherState.PUBLISHING:
            if self.state is PublisherState.PUBLISH_REQUESTING and self._registered:
                self._up()
        elif notice.state == PublisherState.NO_PUBLISH:
            code = notice.code or ErrorCode.PUBLISH_INTERRUPTED
            error = error_for(code, notice.message or "the server ended the publishing")
            self._registered = False
            if self._retrying and not self._answered:
                return  # of the transport that is being replaced
            if self._was_up and error.code in (ErrorCode.PUBLISH_INTERRUPTED, ErrorCode.PUBLISH_FAILED):
                self.interrupted()
            else:
                self.end(error)

    def interrupted(self, *, held: bool = False) -> None:
        """The stream is not on its way any more: PUBLISH_REQUESTING with 1003020 until it is again. ``held``: the
        server may still have the stream and lacks its media.
        """
        self._registered = held
        self._devices.forget()
        self._connected = self._answered = False
        if self.state is PublisherState.PUBLISHING:
            self._retrying = True
            self._set_state(PublisherState.PUBLISH_REQUESTING, int(ErrorCode.PUBLISH_INTERRUPTED))
            self._tell(StreamEvent.RETRY_PUBLISH_START)
        self._again.set()

    def check_transport(self) -> None:
        """The connection is back, perhaps from another address: do not wait until the transport notices."""
        if self._was_up and self._connected and self._transport is not None and not self._transport.connected:
            self.interrupted(held=True)

    def end(self, error: SanderlingError | None) -> int | None:
        """Stop at once, report NO_PUBLISH once, tell the server; the number of the request, if one was sent."""
        if self.state is PublisherState.NO_PUBLISH:
            return None
        self._room.forget_publisher(self)
        self._pictures.close()
        self._devices.forget()
        if error is not None:
            tell_device_exception(self._room.emit, error)
            failed = StreamEvent.RETRY_PUBLISH_FAIL if self._retrying else StreamEvent.PUBLISH_FAIL
            self._tell(failed, error.message)
        self._set_state(PublisherState.NO_PUBLISH, int(error.code) if error is not None else 0)
        self._tell(StreamEvent.PUBLISH_END)
        if not self.ready.done():
            self.ready.set_exception(
                error or PublishError(ErrorCode.PUBLISH_INTERRUPTED, f"stream {self.stream_id} was stopped")
            )
        elif error is not None:
            self._room.report(error, "start_publishing_stream")
        for run in self._runs:
            run.stop()
        if self.relays is not None:
            self.relays.stop()
        if self._transport is not None:
            self._transport.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if not self._registered:
            return None
        return self._room.session.post(lambda seq: messages.StopPublish(seq, self.stream_id))

    def undo(self) -> None:
        """Stop without waiting for the server."""
        self.end(None)

    async def counters(self) -> tuple[Counters, Counters]:
        """Counters of the video and the audio track; empty where there is none."""
        if self._transport is None:
            return {}, {}
        video, audio = await self._transport.track_counters()
        self._pictures.follow_network(video)
        return video, audio

    async def sample(self) -> None:
        """Every 3 seconds: read and report figures."""
        if self.state is PublisherState.PUBLISHING:
            quality, self._sampled = await self._quality(self._sampled)
            self.stats = quality
            self._pictures.look(self.frames_pushed, self._sampled[0], self._transport)
            self._room.emit_newest(
                f"publisher-quality/{self.stream_id}", PublisherQualityUpdate(self.stream_id, quality)
            )

    async def release(self) -> None:
        """Wait until the threads of the sources are gone."""
        runs, self._runs = self._runs, []
        for run in runs:
            run.stop()
            await run.wait()
        self._room.released(self)

    # ------------------------------------------------------------------------------------------ inside

    async def _publish(self) -> None:
        try:
            has = await self._prepare()
            while True:
                await self._announce_when_possible(*has)
                await self._again.wait()
        except SanderlingError as error:
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("publishing %s failed", self.stream_id)
            self.end(PublishError(ErrorCode.PUBLISH_FAILED, f"publishing failed: {error}"))

    async def _announce_when_possible(self, has_video: bool, has_audio: bool) -> None:
        """Offer the stream until the server has it, or the time for it is up."""
        since = time.monotonic()
        backoff = Backoff(self._room.av_retry_time, now=since)
        wait = 0.0
        while True:
            await asyncio.sleep(backoff.next(time.monotonic(), at_least=wait))
            await self._room.session.online()
            self._again.clear()  # what was interrupted before this attempt is what it makes good
            try:
                await self._announce(has_video, has_audio)
                return
            except SanderlingError as error:
                # What the server refused it does not hold; an answer that cannot be used it does.
                self._registered = self._registered and error.code == ErrorCode.INTERNAL_ERROR
                if not self._may_pass(error, time.monotonic() - since):
                    raise
                if backoff.over(time.monotonic()):
                    raise PublishError(ErrorCode.PUBLISH_RETRY_TIME_EXCEEDED, error.message) from error
                wait = error.retry_after if isinstance(error, RateLimited) else 0.0

    def _may_pass(self, error: SanderlingError, seconds: float) -> bool:
        if not self._was_up:
            return error.code != ErrorCode.INTERNAL_ERROR and is_passing(error)
        if error.code is ErrorCode.STREAM_ID_EXISTS:
            return seconds < ID_PATIENCE
        passing = (ErrorCode.PUBLISH_FAILED, ErrorCode.PUBLISH_INTERRUPTED)
        return error.code in passing or is_passing(error)

    async def _announce(self, has_video: bool, has_audio: bool) -> None:
        former = self._transport
        video, audio = former.hand_over() if former is not None else (None, None)
        try:
            await self._negotiate(video or has_video, audio or has_audio)
        finally:
            # Not before: the server would take its goodbye for the end of the stream.
            if former is not None:
                former.close()

    async def _negotiate(self, video: VideoInput | bool, audio: AudioInput | bool) -> None:
        from sanderling.sdk.webrtc.publisher import PublisherTransport

        session = self._room.session
        self._config = self._pictures.choose_codec(self._config) if video else self._config
        known = session.ice_servers
        self._connected = self._answered = False
        transport = self._transport = PublisherTransport(
            self._config,
            video=video,
            audio=audio,
            on_state=lambda state, error: self._transport_state(transport, state, error),
            ice_servers=known or (),
        )
        self._listen(transport)
        self._side_info.attach(transport)
        if self.relays is not None:
            self.relays.attach(transport.video, transport.audio)
        offer = await transport.offer(hold=known is None)
        renew = self._renewing = self._registered
        self._registered = True
        camera, microphone = self._devices.told()
        reply = await session.request(
            lambda seq: messages.Publish(
                seq,
                self.stream_id,
                offer,
                channel=int(self.channel),
                extra_info=self._extra_info,
                camera=int(camera),
                microphone=int(microphone),
                renew=renew,
            ),
            messages.PublishOk,
        )
        self._registered = True  # whatever was said meanwhile of a former transport
        await transport.accept(reply.answer, session.ice_servers or ())
        self._answered = True
        self._media_flows()

    def _live_transport(self) -> PublisherTransport | None:
        return self._transport if self.state is not PublisherState.NO_PUBLISH else None

    def _listen(self, transport: PublisherTransport) -> None:
        """Report what the sources deliver."""
        session, channel = self._room.session, self.channel

        def size(width: int, height: int) -> None:
            session.call_soon(lambda: self._captured(width, height))

        if transport.video is not None:
            transport.video.on_size = size
        if transport.audio is not None:
            first = PublisherFirstFrame(channel, "audio", sent=False)
            transport.audio.on_sound = self._listener
            transport.audio.on_first = lambda: session.call_soon(lambda: self._room.emit(first))

    def _captured(self, width: int, height: int) -> None:
        if self.frames_pushed and not self._seen:
            self._seen = True
            self._room.emit(PublisherFirstFrame(self.channel, "video", sent=False))
        self._room.emit(PublisherVideoSizeChanged(width, height, self.channel))

    async def _watch_first_sent(self) -> None:
        """Report when the first picture and the first sound have left."""
        waiting = {"video", "audio"}
        interval = SENT_INTERVAL
        while waiting and self._transport is not None and self.state is not PublisherState.NO_PUBLISH:
            transport = self._transport
            if transport.video is None:
                waiting.discard("video")
            if transport.audio is None:
                waiting.discard("audio")
            video, audio = await transport.track_counters()
            for kind, counters in (("video", video), ("audio", audio)):
                packets = counters.get("packets_sent", 0.0)
                if kind in waiting and isinstance(packets, float) and packets > 0:
                    waiting.discard(kind)
                    self._room.emit(PublisherFirstFrame(self.channel, kind, sent=True))
            await asyncio.sleep(interval)
            interval = min(2 * interval, LONGEST_SENT_INTERVAL)

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

    def _media_flows(self) -> None:
        """Begin once pictures can leave: the first ones would be encoded for a link of unknown speed."""
        if self.state is PublisherState.NO_PUBLISH or not (self._connected and self._answered):
            return
        if self._transport is not None:
            self._devices.apply(self._transport)
        if not self._runs:
            self._start_sources()
        if self._renewing:
            self._up()  # the server says nothing of a stream that it never took away

    def _start_sources(self) -> None:
        if self._transport is None:
            return
        now: Counters = {"time_ms": time.time() * 1000}
        self._read = self._sampled = (now, now)
        self._begin(self._pictures.stage(self._transport.video), self._transport.audio)
        self._room.session.spawn(self._watch_first_sent(), "sanderling-first-sent")

    def _begin(self, video: VideoSink | None, audio: AudioSink | None) -> None:
        """Have the sources deliver."""
        if self._sources.video is not None and self._sources.video is self._sources.audio:
            self._runs.append(self._sources.video.start(video, audio, self._source_failed))
        else:
            if self._sources.video is not None and video is not None:
                self._runs.append(self._sources.video.start(video, None, self._source_failed))
            if self._sources.audio is not None and audio is not None:
                self._runs.append(self._sources.audio.start(None, audio, self._source_failed))

    def _source_failed(self, error: SanderlingError) -> None:
        self._room.session.call_soon(lambda: self.end(error))

    def _transport_state(
        self, transport: PublisherTransport, state: str, error: SanderlingError | None
    ) -> None:
        if transport is not self._transport:
            return
        if state == "connected":
            self._connected = True
            self._media_flows()
        elif state == "in doubt":
            self._room.session.doubt()
        elif state == "failed" and error is None and self._was_up:
            self.interrupted(held=True)
        elif state == "failed":
            lost = PublishError(
                ErrorCode.PUBLISH_INTERRUPTED,
                "the media connection to the server did not come up",
                hint="check that UDP and TCP to the server's media port pass the firewall",
            )
            self.end(error or lost)

    def _up(self) -> None:
        if self.state is PublisherState.PUBLISH_REQUESTING:
            self._was_up = True
            self._set_state(PublisherState.PUBLISHING)
            retried, self._retrying = self._retrying, False
            self._tell(StreamEvent.RETRY_PUBLISH_SUCCESS if retried else StreamEvent.PUBLISH_SUCCESS)
            if not self.ready.done():
                self.ready.set_result(self)

    def _tell(self, event: StreamEvent, extra_info: str = "") -> None:
        self._room.emit(PublisherStreamEvent(event, self.stream_id, extra_info))

    def _set_state(self, state: PublisherState, code: int = 0) -> None:
        self.state = state
        self._room.emit(PublisherStateUpdate(self.stream_id, state, code))


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

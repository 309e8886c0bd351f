"""A stream on its way from the server to the program: asked for, bound, interrupted, asked for again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sanderling.enums import (
    PlayerMediaEvent,
    PlayerState,
    RemoteDeviceState,
    ResourceMode,
    ResourceType,
    StreamEvent,
    VideoStreamType,
)
from sanderling.errors import ErrorCode, PlayError, RateLimited, SanderlingError, error_for
from sanderling.sdk.action import Action
from sanderling.sdk.backoff import is_passing
from sanderling.sdk.config import PlayerConfig
from sanderling.sdk.encryption import decryption_failed
from sanderling.sdk.events import (
    PlayerAudioSideInfo,
    PlayerFirstAudio,
    PlayerFirstFrame,
    PlayerMediaBreak,
    PlayerQualityUpdate,
    PlayerResourceUpdate,
    PlayerSei,
    PlayerStateUpdate,
    PlayerStreamEvent,
    PlayerVideoSizeChanged,
    RemoteVideoFrame,
)
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame
from sanderling.sdk.pictures.incoming import IncomingPictures
from sanderling.sdk.quality import FREEZE_NS, Counters, PlayQuality, play_quality
from sanderling.sdk.reception import Reception
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["Player", "Playing"]

log = logging.getLogger("sanderling.sdk")

RETRY_INTERVAL = 1.0
"""Seconds between two requests for a stream that is not there. This room's notice comes sooner; for a stream in
another room of the project it is the longest wait. Lower loads the server with plays nobody can have yet."""

LOST_INTERVAL = 0.1
"""Seconds before a request is made again that went down with its connection; the next one waits for a new one."""

SILENT_DEVICE = frozenset({RemoteDeviceState.DISABLE, RemoteDeviceState.MUTE})


class Player(IncomingPictures):
    """One played stream. Made by ``start_playing_stream``; ends with ``stop``, a logout, or with the stream."""

    def __init__(self, room: Room, stream_id: str, config: PlayerConfig) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        self._room = room
        self._config = config
        self._video_type = config.video_type
        self._task: asyncio.Task[None] | None = None
        self._registered = False
        self._came = asyncio.Event()
        self._again = asyncio.Event()
        opening = room.encryption.opening(stream_id, self._cannot_decrypt)
        self._media = (
            Reception(self._picture, self._sei, self._side_info, opening=opening)
            if config.side_info
            else Reception(self._picture, opening=opening)
        )
        self._undecryptable = False
        self._bound = False
        self._retrying = False
        self._size = (0, 0)
        self._heard = False
        self._broken: set[str] = set()
        self._first_frame: asyncio.Future[VideoFrame] = loop.create_future()
        self._first_frame.add_done_callback(_retrieve)
        self._read: tuple[Counters, Counters] = ({}, {})
        self._sampled: tuple[Counters, Counters] = ({}, {})
        self.stream_id = stream_id
        self.state = PlayerState.NO_PLAY
        self.stats = PlayQuality()
        self.resource_mode: ResourceMode | None = None
        """The path the server chose (ONLY_L3 or ONLY_RTC); None until it is bound."""
        self.ready: asyncio.Future[Player] = loop.create_future()

    async def first_frame(self, timeout: float | None = None) -> VideoFrame:  # noqa: ASYNC109
        """The first picture of this play. ``timeout`` in seconds (TimeoutError); PlayError when it ended before."""
        async with asyncio.timeout(timeout):
            return await asyncio.shield(self._first_frame)

    def video(self, format: PixelFormat | None = None, *, keep: int = 1) -> AsyncIterator[VideoFrame]:
        """Pictures as they come, converted to ``format`` in a thread when given.

        A slow reader gets the newest ``keep`` ones. ``keep=0`` keeps all of them: the delay then grows without end
        when the reader is too slow. Leaving the loop does not stop the play. An interruption that is overcome is a
        pause, no end.
        """
        return self._media.video(format, keep)

    def audio(
        self, *, rate: int = 48_000, channels: int = 1, block_ms: int = 10
    ) -> AsyncIterator[AudioFrame]:
        """Sound as int16 (samples, channels) in blocks of ``block_ms`` milliseconds."""
        return self._media.audio(rate, channels, block_ms)

    def listen(self, listener: Callable[[AudioFrame], None] | None) -> None:
        """Hand all sound to ``listener``, on the loop, or no longer."""
        self._media.listen(listener)

    async def switch_resource(self, resource: ResourceType) -> None:
        """Move this play to another path without interrupting it; it stays there.

        1000010 for CDN, which is not installed; 1004072 when the project has L3 off; 1004011 when nothing is played.
        """
        if self.state is PlayerState.NO_PLAY:
            raise PlayError(ErrorCode.STREAM_NOT_PLAYED, f"stream {self.stream_id} is not played any more")
        await self._room.session.request(
            lambda seq: messages.SwitchResource(seq, self.stream_id, int(resource)), messages.Ok
        )

    async def set_video_type(self, video_type: VideoStreamType) -> None:
        """Choose the layer of a stream published in several; it shows at that layer's next key frame.

        Counts for this play until it ends, over interruptions too. 1004011 when nothing is played.
        """
        if self.state is PlayerState.NO_PLAY:
            raise PlayError(ErrorCode.STREAM_NOT_PLAYED, f"stream {self.stream_id} is not played any more")
        self._video_type = video_type
        if not self._registered:
            return  # the request to play carries it
        try:
            await self._room.session.request(
                lambda seq: messages.SetVideoType(seq, self.stream_id, int(video_type)), messages.Ok
            )
        except SanderlingError as error:
            # The server does not hold this play now: it will be asked for again, with the new choice.
            if self._over or not (error.code is ErrorCode.STREAM_NOT_PLAYED or is_passing(error)):
                raise

    def decrypt(self) -> None:
        """The stream has been given a key."""
        opening = self._room.encryption.opening(self.stream_id, self._cannot_decrypt)
        if opening is not None and not self._media.decrypts:
            self._media.decrypt(opening)

    async def stop(self) -> None:
        """Stop playing; NO_PLAY. Iterators end normally. Idempotent."""
        seq = self.end(None)
        if seq is not None:
            await self._room.session.settle(seq)

    async def read_stats(self) -> PlayQuality:
        """Figures of the time since the last reading (``stats`` is the newest one)."""
        self.stats, self._read = await self._quality(self._read)
        return self.stats

    # ------------------------------------------------------------------------------------------ for the room

    def begin(self) -> None:
        """Announce the request and start the work."""
        self._tell(StreamEvent.PLAY_START)
        self._set_state(PlayerState.PLAY_REQUESTING)
        self._task = self._room.session.spawn(self._play(), f"sanderling-play-{self.stream_id}")

    def stream_added(self) -> None:
        """The stream has come into the room: play it at once if that was waited for."""
        self._came.set()

    def stream_deleted(self) -> None:
        """The stream is gone: the play ends, which is no failure.

        One that has not been bound yet waits for the next stream of this name: it was begun when the server had
        already ended the one before it and only the room had not heard of that.
        """
        if not (self._bound or self._retrying or self.state is PlayerState.PLAYING):
            return
        self._registered = False
        self.end(None)

    def interrupted(self) -> None:
        """The server does not hold this play any more: PLAY_REQUESTING with 1004020 until it does again."""
        self._registered = False
        self._bound = False
        self._media.detach()
        if self.state is PlayerState.PLAYING:
            self._retrying = True
            self._set_state(PlayerState.PLAY_REQUESTING, int(ErrorCode.PLAY_INTERRUPTED))
            self._tell(StreamEvent.RETRY_PLAY_START)
        self._again.set()

    def notice(self, notice: messages.PlayerStateNotice) -> None:
        """The server reports the state of this play."""
        if notice.state == PlayerState.PLAYING:
            self._playing()
        elif notice.state == PlayerState.NO_PLAY and notice.code == ErrorCode.PLAY_INTERRUPTED:
            if self._registered:
                self.interrupted()
        elif notice.state == PlayerState.NO_PLAY:
            self._registered = False
            self.end(error_for(notice.code, notice.message) if notice.code else None)

    def slot_bound(self, notice: messages.SlotBound) -> None:
        """The first media of this stream left the server; what is older in the slot belongs to another."""
        self._media.slot_bound(notice.kind, notice.rtp_timestamp)
        if notice.kind == "audio" and not self._heard:
            self._heard = True
            self._room.emit(PlayerFirstAudio(self.stream_id))

    def moved(self, notice: messages.PlayMoved) -> None:
        """The stream comes by another slot now, because its publisher has a new transport."""
        viewer = self._room.session.viewing.transport
        if self._bound and viewer is not None:
            self._media.detach()
            self._media.attach(viewer, notice.video_mid, notice.audio_mid)

    def resource_changed(self, mode: int) -> None:
        """The play comes by another path now."""
        self.resource_mode = _resource_mode(mode)
        if self.resource_mode is not None:
            self._room.emit(PlayerResourceUpdate(self.stream_id, self.resource_mode))

    def end(self, error: SanderlingError | None) -> int | None:
        """Stop at once, report NO_PLAY once, tell the server; the number of the request, if one was sent."""
        if self.state is PlayerState.NO_PLAY:
            return None
        self._room.forget_player(self)
        if error is not None:
            self._tell(
                StreamEvent.RETRY_PLAY_FAIL if self._retrying else StreamEvent.PLAY_FAIL, error.message
            )
        self._set_state(PlayerState.NO_PLAY, int(error.code) if error is not None else 0)
        self._tell(StreamEvent.PLAY_END)
        self._media.close(error)
        ended = error or PlayError(
            ErrorCode.STREAM_NOT_PLAYED, f"stream {self.stream_id} is not played any more"
        )
        if not self.ready.done():
            self.ready.set_exception(ended)
        elif error is not None:
            self._room.report(error, "start_playing_stream")
        if not self._first_frame.done():
            self._first_frame.set_exception(ended)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if not self._registered:
            return None
        return self._room.session.post(lambda seq: messages.StopPlay(seq, self.stream_id))

    def undo(self) -> None:
        """Stop without waiting for the server."""
        self.end(None)

    async def sample(self) -> None:
        """Every 3 seconds: read and report figures."""
        if self.state is PlayerState.PLAYING:
            quality, self._sampled = await self._quality(self._sampled)
            self.stats = quality
            self.look_at_decoder(self._sampled[0])
            self._room.emit_newest(
                f"player-quality/{self.stream_id}", PlayerQualityUpdate(self.stream_id, quality)
            )

    def look_for_breaks(self, now_ns: int, *, sound_stopped: bool | None) -> None:
        """Report picture or sound that has stopped. ``sound_stopped``: None = not measured this time."""
        if self.state is not PlayerState.PLAYING:
            return
        last = self._media.last_picture_ns
        stream = self._room.streams.get(self.stream_id)
        watched = stream is None or stream.camera not in SILENT_DEVICE
        if last is not None and now_ns - last > FREEZE_NS and watched:
            self._break("video", PlayerMediaEvent.VIDEO_BREAK_OCCUR)
        if sound_stopped is not None and self._heard:
            if sound_stopped:
                self._break("audio", PlayerMediaEvent.AUDIO_BREAK_OCCUR)
            else:
                self._resume("audio", PlayerMediaEvent.AUDIO_BREAK_RESUME)

    @property
    def _over(self) -> bool:
        return self.state is PlayerState.NO_PLAY

    @property
    def audio_mid(self) -> str:
        """The media section that carries the sound; "" for none."""
        return self._media.audio_mid

    @property
    def video_mid(self) -> str:
        """The media section that carries the picture; "" for none."""
        return self._media.video_mid

    # ------------------------------------------------------------------------------------------ inside

    async def _play(self) -> None:
        try:
            while True:
                await self._bind_when_there()
                await self._again.wait()
        except SanderlingError as error:
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("playing %s failed", self.stream_id)
            self.end(PlayError(ErrorCode.PLAY_FAILED, f"playing failed: {error}"))

    async def _bind_when_there(self) -> None:
        """Ask until the server has bound the stream, or the time for it is up."""
        give_up = time.monotonic() + self._room.av_retry_time
        while True:
            last = time.monotonic() >= give_up
            wait = RETRY_INTERVAL
            await self._room.session.online()
            self._again.clear()  # what was interrupted before this attempt is what it makes good
            self._came.clear()  # what comes from here on may come after the server has said that it is not there
            try:
                await self._bind()
                return
            except SanderlingError as error:
                self._registered = False
                waits = error.code is ErrorCode.STREAM_NOT_FOUND or is_passing(error)
                if self._retrying and error.code is ErrorCode.PLAY_FAILED:
                    # The server has lost the viewer transport and this end has not noticed yet.
                    self._room.session.viewing.lose()
                    waits = True
                if not waits or (last and error.code is ErrorCode.STREAM_NOT_FOUND):
                    raise
                if last:
                    raise PlayError(ErrorCode.PLAY_INTERRUPTED, error.message) from error
                if isinstance(error, RateLimited):
                    wait = error.retry_after
                elif error.code is not ErrorCode.STREAM_NOT_FOUND:
                    wait = LOST_INTERVAL
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._came.wait()

    async def _bind(self) -> None:
        session = self._room.session
        await session.viewing.make_slot(len(self._room.players))
        viewer = session.viewing.transport
        self._registered = True
        config, custom = self._config, self._config.custom
        reply = await session.request(
            lambda seq: messages.Play(
                seq,
                self.stream_id,
                resource_mode=int(config.resource_mode),
                audio=config.audio,
                video=config.video,
                custom=messages.PathChoice(
                    int(custom.before_publish), int(custom.publishing), int(custom.after_publish)
                ),
                switch_mode=int(config.switch_mode),
                when_stop_publish=int(config.when_stop_publish),
                video_type=int(self._video_type),
            ),
            messages.PlayOk,
        )
        await session.viewing.ready()  # the mids are known once the answer is set
        if viewer is None or viewer is not session.viewing.transport or self._again.is_set():
            return
        now: Counters = {"time_ms": time.time() * 1000}
        self._read = self._sampled = (now, now)
        self.resource_mode = _resource_mode(reply.resource_mode)
        self._bound = True
        self._media.attach(viewer, reply.video_mid, reply.audio_mid)

    async def _quality(
        self, before: tuple[Counters, Counters]
    ) -> tuple[PlayQuality, tuple[Counters, Counters]]:
        viewer = self._room.session.viewing.transport
        if not self._bound or viewer is None or self.state is PlayerState.NO_PLAY:
            return self.stats, before
        video, audio = await viewer.track_counters(self._media.video_mid, self._media.audio_mid)
        gaps = self._media.gaps
        video["frames_delivered"] = float(gaps.frames)
        video["frozen_ms"] = gaps.frozen_ns / 1e6
        video["running_ms"] = gaps.running_ns / 1e6
        video.setdefault("time_ms", time.time() * 1000)
        quality = play_quality(video, audio, *before, gaps)
        stream = self._room.streams.get(self.stream_id)
        if stream is not None:
            quality = replace(
                self._room.monitor.upstream(stream.user.user_id).added_to(quality),
                mute_video=stream.camera in SILENT_DEVICE,
                mute_audio=stream.microphone in SILENT_DEVICE,
            )
        return quality, (video, audio)

    def _picture(self, frame: VideoFrame) -> None:
        is_first = not self._first_frame.done()
        self._resume("video", PlayerMediaEvent.VIDEO_BREAK_RESUME)
        self._playing()
        if is_first:
            self._first_frame.set_result(frame)
            self._room.emit(PlayerFirstFrame(self.stream_id))
        if self._size != (frame.width, frame.height):
            self._size = (frame.width, frame.height)
            self._room.emit(PlayerVideoSizeChanged(self.stream_id, frame.width, frame.height))
        if self._room.renders:
            self._room.render(RemoteVideoFrame(self.stream_id, frame))
            if is_first:
                self._room.emit(PlayerFirstFrame(self.stream_id, rendered=True))

    def _sei(self, data: bytes, rtp_timestamp: int) -> None:
        self._room.emit(PlayerSei(self.stream_id, data, rtp_timestamp))

    def _side_info(self, data: bytes) -> None:
        self._room.emit(PlayerAudioSideInfo(self.stream_id, data))

    def _break(self, kind: str, event: PlayerMediaEvent) -> None:
        if kind not in self._broken:
            self._broken.add(kind)
            self._room.emit(PlayerMediaBreak(self.stream_id, event))

    def _resume(self, kind: str, event: PlayerMediaEvent) -> None:
        if kind in self._broken:
            self._broken.discard(kind)
            self._room.emit(PlayerMediaBreak(self.stream_id, event))

    def _playing(self) -> None:
        if self.state is PlayerState.PLAY_REQUESTING:
            self._set_state(PlayerState.PLAYING)
            retried, self._retrying = self._retrying, False
            self._tell(StreamEvent.RETRY_PLAY_SUCCESS if retried else StreamEvent.PLAY_SUCCESS)
            if not self.ready.done():
                self.ready.set_result(self)
            self._tell_decryption()

    def _cannot_decrypt(self) -> None:
        self._undecryptable = True
        self._tell_decryption()

    def _tell_decryption(self) -> None:
        """Report that frames come which do not fit the key, once the play runs."""
        if self._undecryptable and self.state is PlayerState.PLAYING:
            self._undecryptable = False
            error = decryption_failed(self.stream_id)
            self._set_state(PlayerState.PLAYING, int(error.code))
            self._room.report(error, "set_play_stream_decryption_key")

    def _tell(self, event: StreamEvent, extra_info: str = "") -> None:
        self._room.emit(PlayerStreamEvent(event, self.stream_id, extra_info))

    def _set_state(self, state: PlayerState, code: int = 0) -> None:
        self.state = state
        self._room.emit(PlayerStateUpdate(self.stream_id, state, code))


class Playing(Action[Player]):
    """A play that has begun; awaited, it gives the :class:`Player` once the stream is PLAYING.

    ``player`` is there at once (None when the call was refused), for a stream that may come later.
    """

    def __init__(
        self, player: Player | None, future: asyncio.Future[Player], undo: Callable[[], None]
    ) -> None:
        super().__init__(future, undo)
        self.player = player


def _resource_mode(value: int) -> ResourceMode | None:
    try:
        return ResourceMode(value)
    except ValueError:
        return None  # a newer server


def _retrieve(future: asyncio.Future[VideoFrame]) -> None:
    if not future.cancelled():
        future.exception()

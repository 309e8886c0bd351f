"""A stream on its way from the server to the program."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from sanderling.enums import PlayerState, ResourceMode
from sanderling.errors import ErrorCode, PlayError, SanderlingError, error_for
from sanderling.sdk.action import Action
from sanderling.sdk.audio import AudioShaper
from sanderling.sdk.config import PlayerConfig
from sanderling.sdk.events import PlayerFirstFrame, PlayerQualityUpdate, PlayerStateUpdate, RemoteVideoFrame
from sanderling.sdk.frame_queue import FrameQueue
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame
from sanderling.sdk.quality import Counters, GapMeter, PlayQuality, play_quality
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.room import Room
    from sanderling.sdk.webrtc.tracks import AudioFeed, VideoFeed

__all__ = ["Player", "Playing"]

log = logging.getLogger("sanderling.sdk")

HELD_FRAMES = 8
"""Pictures held until the bind notice tells which of them belong to this stream."""

RETRY_INTERVAL = 1.0
"""Seconds between two requests for a stream that is not there. This room's notice comes sooner; for a stream in
another room of the project it is the longest wait. Lower loads the server with plays nobody can have yet."""

RETRY_TIME = 20 * 60.0
"""Seconds for which a stream that is not there is asked for (product-facts 1.4 and 5.5, av_retry_time)."""

AUDIO_KEEP_BLOCKS = 50
"""Blocks of sound a slow reader may lag behind before the oldest is dropped."""


class Player:
    """One played stream. Made by ``start_playing_stream``; ends with ``stop``, a logout, or with the stream."""

    def __init__(self, room: Room, stream_id: str, config: PlayerConfig) -> None:
        loop = asyncio.get_running_loop()
        self._room = room
        self._config = config
        self._task: asyncio.Task[None] | None = None
        self._registered = False
        self._came = asyncio.Event()
        self._bound: messages.PlayOk | None = None
        self._video_feed: VideoFeed | None = None
        self._audio_feed: AudioFeed | None = None
        self._first_rtp: int | None = None
        self._sound_bound = False
        self._held: deque[VideoFrame] = deque(maxlen=HELD_FRAMES)
        self._video_queues: weakref.WeakSet[FrameQueue[VideoFrame]] = weakref.WeakSet()
        self._audio_queues: weakref.WeakKeyDictionary[FrameQueue[AudioFrame], AudioShaper] = (
            weakref.WeakKeyDictionary()
        )
        self._first_frame: asyncio.Future[VideoFrame] = loop.create_future()
        self._first_frame.add_done_callback(_retrieve)
        self._error: SanderlingError | None = None
        self._gaps = GapMeter()
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
        when the reader is too slow. Leaving the loop does not stop the play.
        """
        queue: FrameQueue[VideoFrame] = FrameQueue(keep, None if format is None else _converter(format))
        if self.state is PlayerState.NO_PLAY:
            queue.close(self._error)
        self._video_queues.add(queue)
        return queue

    def audio(
        self, *, rate: int = 48_000, channels: int = 1, block_ms: int = 10
    ) -> AsyncIterator[AudioFrame]:
        """Sound as int16 (samples, channels) in blocks of ``block_ms`` milliseconds."""
        shaper = AudioShaper(rate=rate, channels=channels, block_ms=block_ms)
        queue: FrameQueue[AudioFrame] = FrameQueue(AUDIO_KEEP_BLOCKS)
        if self.state is PlayerState.NO_PLAY:
            queue.close(self._error)
        self._audio_queues[queue] = shaper
        self._feed_audio()
        return queue

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
        self._set_state(PlayerState.PLAY_REQUESTING)
        self._task = self._room.session.spawn(self._play(), f"sanderling-play-{self.stream_id}")

    def stream_added(self) -> None:
        """The stream has come into the room: play it at once if that was waited for."""
        self._came.set()

    def stream_deleted(self) -> None:
        """The stream is gone: the play ends, which is no failure."""
        self._registered = False
        self.end(None)

    def notice(self, notice: messages.PlayerStateNotice) -> None:
        """The server reports the state of this play."""
        if notice.state == PlayerState.PLAYING:
            self._playing()
        elif notice.state == PlayerState.NO_PLAY:
            self._registered = False
            self.end(error_for(notice.code, notice.message) if notice.code else None)

    def slot_bound(self, notice: messages.SlotBound) -> None:
        """The first media of this stream left the server; what is older in the slot belongs to another."""
        if notice.kind == "audio":
            self._sound_bound = True
        elif notice.kind == "video":
            self._first_rtp = notice.rtp_timestamp
            held = list(self._held)
            self._held.clear()
            for frame in held:
                self._picture(frame)

    def end(self, error: SanderlingError | None) -> int | None:
        """Stop at once, report NO_PLAY once, tell the server; the number of the request, if one was sent."""
        if self.state is PlayerState.NO_PLAY:
            return None
        self._room.forget_player(self)
        self._error = error
        self._set_state(PlayerState.NO_PLAY, int(error.code) if error is not None else 0)
        for feed in (self._video_feed, self._audio_feed):
            if feed is not None:
                feed.stop()
        self._held.clear()
        readers = list(self._video_queues) + list(self._audio_queues)
        for queue in readers:
            queue.close(error)
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
        return self._room.session.stop_play(self.stream_id) if self._registered else None

    def undo(self) -> None:
        """Stop without waiting for the server."""
        self.end(None)

    async def sample(self) -> None:
        """Every 3 seconds: read and report figures."""
        if self.state is PlayerState.PLAYING:
            quality, self._sampled = await self._quality(self._sampled)
            self.stats = quality
            self._room.emit_newest(
                f"player-quality/{self.stream_id}", PlayerQualityUpdate(self.stream_id, quality)
            )

    # ------------------------------------------------------------------------------------------ inside

    async def _play(self) -> None:
        try:
            give_up = time.monotonic() + RETRY_TIME
            while not await self._try_to_bind(last=time.monotonic() >= give_up):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_INTERVAL):
                        await self._came.wait()
        except SanderlingError as error:
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("playing %s failed", self.stream_id)
            self.end(PlayError(ErrorCode.PLAY_FAILED, f"playing failed: {error}"))

    async def _try_to_bind(self, *, last: bool) -> bool:
        """Ask once; False when the stream is not there. The ``last`` time that is an error as any other."""
        self._came.clear()  # what comes from here on may come after the server has answered that it is not there
        await self._room.session.make_slot(len(self._room.players))
        self._registered = True
        try:
            self._bind(await self._room.session.play(self.stream_id, self._config))
        except SanderlingError as error:
            self._registered = False
            if last or error.code is not ErrorCode.STREAM_NOT_FOUND:
                raise
            return False
        return True

    def _bind(self, reply: messages.PlayOk) -> None:
        viewer = self._room.session.viewer
        if viewer is None or self.state is PlayerState.NO_PLAY:
            return
        from sanderling.sdk.webrtc.tracks import VideoFeed

        self._bound = reply
        now: Counters = {"time_ms": time.time() * 1000}
        self._read = self._sampled = (now, now)
        self.resource_mode = _resource_mode(reply.resource_mode)
        track = viewer.track(reply.video_mid) if reply.video_mid else None
        if track is not None:
            self._video_feed = VideoFeed(track, self._picture)
            self._video_feed.start()
        self._feed_audio()

    async def _quality(
        self, before: tuple[Counters, Counters]
    ) -> tuple[PlayQuality, tuple[Counters, Counters]]:
        bound, viewer = self._bound, self._room.session.viewer
        if bound is None or viewer is None or self.state is PlayerState.NO_PLAY:
            return self.stats, before
        video, audio = await viewer.track_counters(bound.video_mid, bound.audio_mid)
        video["frames_delivered"] = float(self._gaps.frames)
        video.setdefault("time_ms", time.time() * 1000)
        return play_quality(video, audio, *before, self._gaps), (video, audio)

    def _feed_audio(self) -> None:
        """Read the sound while somebody wants it: an idle track costs 100 wake-ups a second."""
        bound, viewer = self._bound, self._room.session.viewer
        if bound is None or viewer is None or not bound.audio_mid or self._audio_feed is not None:
            return
        track = viewer.track(bound.audio_mid)
        if track is not None and self._audio_queues and self.state is not PlayerState.NO_PLAY:
            from sanderling.sdk.webrtc.tracks import AudioFeed

            self._audio_feed = AudioFeed(track, self._sound)
            self._audio_feed.start()

    def _sound(self, frame: AudioFrame) -> None:
        if not self._audio_queues and self._audio_feed is not None:
            self._audio_feed.stop()
            self._audio_feed = None
            return
        if not self._sound_bound:
            return  # of the stream that had this slot before
        for queue, shaper in list(self._audio_queues.items()):
            for block in shaper.push(frame):
                queue.put(block)

    def _picture(self, frame: VideoFrame) -> None:
        if self._first_rtp is None:
            self._held.append(frame)
            return
        if frame.rtp_timestamp is not None and (frame.rtp_timestamp - self._first_rtp) & 0x80000000:
            return  # of the stream that had this slot before
        self._gaps.frame(time.monotonic_ns())
        is_first = not self._first_frame.done()
        if is_first:
            self._playing()
            self._first_frame.set_result(frame)
            self._room.emit(PlayerFirstFrame(self.stream_id))
        for queue in list(self._video_queues):
            queue.put(frame)
        if self._room.renders:
            self._room.render(RemoteVideoFrame(self.stream_id, frame))
            if is_first:
                self._room.emit(PlayerFirstFrame(self.stream_id, rendered=True))

    def _playing(self) -> None:
        if self.state is PlayerState.PLAY_REQUESTING:
            self._set_state(PlayerState.PLAYING)
            if not self.ready.done():
                self.ready.set_result(self)

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


def _converter(format: PixelFormat) -> Callable[[VideoFrame], asyncio.Future[VideoFrame]]:
    def convert(frame: VideoFrame) -> asyncio.Future[VideoFrame]:
        return asyncio.get_running_loop().run_in_executor(None, _converted, frame, format)

    return convert


def _converted(frame: VideoFrame, format: PixelFormat) -> VideoFrame:
    if frame.format is format:
        return frame
    pixels = frame.to_ndarray(format)
    pixels.flags.writeable = False
    return VideoFrame(
        frame.width,
        frame.height,
        format,
        captured_ns=frame.captured_ns,
        rotation=frame.rotation,
        rtp_timestamp=frame.rtp_timestamp,
        planes=(pixels,),
    )


def _resource_mode(value: int) -> ResourceMode | None:
    try:
        return ResourceMode(value)
    except ValueError:
        return None  # a newer server


def _retrieve(future: asyncio.Future[VideoFrame]) -> None:
    if not future.cancelled():
        future.exception()

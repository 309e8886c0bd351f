"""What a play delivers: pictures and sound of the slot it is bound to, to any number of readers."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sanderling.errors import PlayError, SanderlingError
from sanderling.sdk.audio import AudioShaper
from sanderling.sdk.frame_queue import FrameQueue
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame
from sanderling.sdk.pictures.upscaler import Upscaler
from sanderling.sdk.quality import GapMeter

if TYPE_CHECKING:
    from sanderling.sdk.encryption import Opening
    from sanderling.sdk.webrtc.side_data import SideDataReader
    from sanderling.sdk.webrtc.tracks import AudioFeed, VideoFeed
    from sanderling.sdk.webrtc.viewer import ViewerTransport

__all__ = ["Reception"]

HELD_FRAMES = 8
"""Pictures held until the bind notice tells which of them belong to this stream."""

HELD_SEI = 64
"""Pieces of data that wait for their picture to be decoded: two seconds of the most that may be sent."""

AUDIO_KEEP_BLOCKS = 50
"""Blocks of sound a slow reader may lag behind before the oldest is dropped."""


class Reception:
    """``on_sei`` is called with data that came inside a picture and its RTP timestamp, right before the picture itself,
    ``on_side_info`` with data that came with sound. None spares the media the way through Python.

    Readers stay from the first slot to the last: a play that is bound anew goes on in the same iterators.
    """

    def __init__(
        self,
        on_picture: Callable[[VideoFrame], None],
        on_sei: Callable[[bytes, int], None] | None = None,
        on_side_info: Callable[[bytes], None] | None = None,
        *,
        opening: Opening | None = None,
    ) -> None:
        self._on_picture = on_picture
        self._on_sei = on_sei
        self._on_side_info = on_side_info
        self._opening = opening
        self._side_data: list[SideDataReader | None] = []
        self._sei: deque[tuple[int, bytes]] = deque(maxlen=HELD_SEI)
        self._viewer: ViewerTransport | None = None
        self._video_feed: VideoFeed | None = None
        self._audio_feed: AudioFeed | None = None
        self._first_rtp: int | None = None
        self._sound_bound = False
        self._held: deque[VideoFrame] = deque(maxlen=HELD_FRAMES)
        self._video_queues: weakref.WeakSet[FrameQueue[VideoFrame]] = weakref.WeakSet()
        self._audio_queues: weakref.WeakKeyDictionary[FrameQueue[AudioFrame], AudioShaper] = (
            weakref.WeakKeyDictionary()
        )
        self._listener: Callable[[AudioFrame], None] | None = None
        self._closed = False
        self._error: SanderlingError | None = None
        self.video_mid = ""
        self.audio_mid = ""
        self.gaps = GapMeter()
        self.last_picture_ns: int | None = None
        """When the newest picture came (monotonic); None while the slot has brought none."""
        self.newest: VideoFrame | None = None
        """The newest picture that was handed on."""
        self.upscaler: Upscaler | None = None

    def upscale(self, fail: Callable[[PlayError], None] | None) -> None:
        """Enlarge pictures from now on, with ``fail`` called when that ends by itself; None: no more."""
        if self.upscaler is not None:
            self.upscaler.close()
        self.upscaler = None
        if fail is not None:
            failed = fail

            def ended(error: PlayError) -> None:
                self.upscaler = None
                failed(error)

            self.upscaler = Upscaler(self._show, ended)

    def video(self, format: PixelFormat | None, keep: int) -> FrameQueue[VideoFrame]:
        """A reader of pictures, converted to ``format`` when given."""
        queue: FrameQueue[VideoFrame] = FrameQueue(keep, None if format is None else _converter(format))
        if self._closed:
            queue.close(self._error)
        self._video_queues.add(queue)
        return queue

    def audio(self, rate: int, channels: int, block_ms: int) -> FrameQueue[AudioFrame]:
        """A reader of sound."""
        shaper = AudioShaper(rate=rate, channels=channels, block_ms=block_ms)
        queue: FrameQueue[AudioFrame] = FrameQueue(AUDIO_KEEP_BLOCKS)
        if self._closed:
            queue.close(self._error)
        self._audio_queues[queue] = shaper
        self._feed_audio()
        return queue

    def listen(self, listener: Callable[[AudioFrame], None] | None) -> None:
        """Hand every block of sound to ``listener`` too, or no longer."""
        self._listener = listener
        self._feed_audio()

    def attach(self, viewer: ViewerTransport, video_mid: str, audio_mid: str) -> None:
        """Read these media sections from now on; nothing is shown before ``slot_bound``, which may be here already."""
        from sanderling.sdk.webrtc.tracks import VideoFeed

        self._stop_feeds()
        self._viewer = viewer
        self.video_mid, self.audio_mid = video_mid, audio_mid
        track = viewer.track(video_mid) if video_mid else None
        self._read_side_data()
        if track is not None:
            self._video_feed = VideoFeed(track, self._picture)
            self._video_feed.start()
        self._feed_audio()

    @property
    def decrypts(self) -> bool:
        """Whether frames are opened."""
        return self._opening is not None

    def decrypt(self, opening: Opening) -> None:
        """Open frames with ``opening`` from now on."""
        self._opening = opening
        self._read_side_data()

    def detach(self) -> None:
        """Read nothing; readers wait."""
        self._stop_feeds()
        self._viewer = None
        self._first_rtp = None
        self._sound_bound = False
        self._held.clear()
        self.last_picture_ns = None
        self.video_mid = self.audio_mid = ""

    def slot_bound(self, kind: str, rtp_timestamp: int) -> None:
        """The first media of this stream left the server; what is older in the slot belongs to another."""
        if kind == "audio":
            self._sound_bound = True
        elif kind == "video":
            self._first_rtp = rtp_timestamp
            held = list(self._held)
            self._held.clear()
            for frame in held:
                self._picture(frame)

    def close(self, error: SanderlingError | None) -> None:
        """The play ended: readers end, with ``error`` when there is one."""
        self.detach()
        self._closed = True
        self._error = error
        self.newest = None
        self.upscale(None)
        readers = list(self._video_queues) + list(self._audio_queues)
        for queue in readers:
            queue.close(error)

    # ------------------------------------------------------------------------------------------ inside

    def _stop_feeds(self) -> None:
        for feed in (self._video_feed, self._audio_feed):
            if feed is not None:
                feed.stop()
        self._video_feed = self._audio_feed = None
        self._stop_side_data()
        self._sei.clear()

    def _stop_side_data(self) -> None:
        readers, self._side_data = self._side_data, []
        for reader in readers:
            if reader is not None:
                reader.close()

    def _read_side_data(self) -> None:
        """Have the media pass through this process, if there is a reason."""
        self._stop_side_data()
        viewer, opening = self._viewer, self._opening
        if viewer is None:
            return
        open_video = opening.opener(self._is_picture_of_this_stream) if opening is not None else None
        open_audio = opening.opener(lambda _: self._sound_bound) if opening is not None else None
        if self.video_mid and (self._on_sei is not None or open_video is not None):
            take_sei = self._sei_came if self._on_sei is not None else None
            self._side_data.append(viewer.read_side_data(self.video_mid, take_sei, open_video))
        if self.audio_mid and (self._on_side_info is not None or open_audio is not None):
            take_info = self._side_info_came if self._on_side_info is not None else None
            self._side_data.append(viewer.read_side_data(self.audio_mid, take_info, open_audio))

    def _is_picture_of_this_stream(self, rtp_timestamp: int) -> bool:
        return self._first_rtp is not None and not (rtp_timestamp - self._first_rtp) & 0x80000000

    def _feed_audio(self) -> None:
        """Read the sound while somebody wants it: an idle track costs 100 wake-ups a second."""
        if self._viewer is None or not self.audio_mid or self._audio_feed is not None:
            return
        track = self._viewer.track(self.audio_mid)
        wanted = bool(self._audio_queues) or self._listener is not None
        if track is not None and wanted and not self._closed:
            from sanderling.sdk.webrtc.tracks import AudioFeed

            self._audio_feed = AudioFeed(track, self._sound)
            self._audio_feed.start()

    def _sound(self, frame: AudioFrame) -> None:
        if not self._audio_queues and self._listener is None and self._audio_feed is not None:
            self._audio_feed.stop()
            self._audio_feed = None
            return
        if not self._sound_bound:
            return  # of the stream that had this slot before
        if self._listener is not None:
            self._listener(frame)
        for queue, shaper in list(self._audio_queues.items()):
            for block in shaper.push(frame):
                queue.put(block)

    def _picture(self, frame: VideoFrame) -> None:
        if self._first_rtp is None:
            self._held.append(frame)
            return
        if frame.rtp_timestamp is not None and (frame.rtp_timestamp - self._first_rtp) & 0x80000000:
            return  # of the stream that had this slot before
        now = time.monotonic_ns()
        self.gaps.frame(now)
        self.last_picture_ns = now
        if self.upscaler is not None:
            self.upscaler.take(frame)
        else:
            self._show(frame)

    def _show(self, frame: VideoFrame) -> None:
        if self._closed or self._viewer is None:
            return  # enlarged meanwhile
        self.newest = frame
        self._tell_sei(frame)
        self._on_picture(frame)
        for queue in list(self._video_queues):
            queue.put(frame)

    def _side_info_came(self, _rtp_timestamp: int, data: bytes) -> None:
        if self._sound_bound and self._on_side_info is not None:
            self._on_side_info(data)

    def _sei_came(self, rtp_timestamp: int, data: bytes) -> None:
        if self._first_rtp is None or not (rtp_timestamp - self._first_rtp) & 0x80000000:
            self._sei.append((rtp_timestamp, data))

    def _tell_sei(self, frame: VideoFrame) -> None:
        """What belongs to this picture, or to one before it that was not shown."""
        while self._sei and self._on_sei is not None:
            rtp_timestamp, data = self._sei[0]
            if frame.rtp_timestamp is not None and (frame.rtp_timestamp - rtp_timestamp) & 0x80000000:
                return
            self._sei.popleft()
            self._on_sei(data, rtp_timestamp)


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

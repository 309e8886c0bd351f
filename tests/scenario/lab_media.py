"""Media in the lab: transports of the SDK, the stand-in engine of the server, and pictures that get across."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling import VideoFrame
from sanderling.sdk.config import PublisherConfig, VideoCodec
from sanderling.sdk.quality import Counters
from sanderling.testing.fake_engine import Engine, make_offer

__all__ = ["LabMedia"]

CONNECT_S = 0.06
"""ICE and DTLS."""
DELAY_S = 0.02
PULSE_S = 1.0
"""How often the engine says who was heard."""

StateHandler = Callable[[str, Any], None]


class LabTransport:
    """What the publisher's and the viewer's transport have in common."""

    media: LabMedia

    def __init__(self, on_state: StateHandler) -> None:
        self._on_state = on_state
        self.engine: Engine | None = None
        self.session = 0
        self.connected = False
        self.closed = False

    def answered(self, answer: str) -> None:
        if self.engine is None:
            self.engine = self.media.engine
            self.session = int(answer.split("s=answer ")[1].split()[0])
            self.media.transports[id(self.engine), self.session] = self
            asyncio.get_running_loop().call_later(CONNECT_S, self._up)

    def _up(self) -> None:
        if not self.closed and self.engine is not None and self.session in self.engine.sessions:
            self.connected = True
            self.engine.connect(self.session)
            self._on_state("connected", None)

    def close(self) -> None:
        if not self.closed:
            self.closed, self.connected = True, False
            if self.engine is not None:
                asyncio.get_running_loop().call_later(DELAY_S, self.engine.lose, self.session, "peer_closed")


class LabInput:
    """Takes pictures from a source."""

    def __init__(self, media: LabMedia) -> None:
        self._media = media
        self.transport: LabPublisher | None = None
        self.muted = False
        self.frames = 0
        self.on_size: Callable[[int, int], None] | None = None

    def write(self, frame: VideoFrame) -> bool:
        if self.transport is None or self.muted:
            return False
        self.frames += 1
        self._media.carry(self.transport, frame)
        return True

    def close(self) -> None:
        self.transport = None


class LabPublisher(LabTransport):
    """In place of ``PublisherTransport``; pictures only."""

    video_codec = "video/VP8"
    audio = None

    def __init__(
        self,
        config: PublisherConfig,
        *,
        video: LabInput | bool,
        audio: object,
        on_state: StateHandler,
        ice_servers: object = (),
    ) -> None:
        super().__init__(on_state)
        self.video: LabInput | None = video if isinstance(video, LabInput) else LabInput(self.media)
        self.video.transport = self

    async def offer(self, *, hold: bool = False) -> str:
        return make_offer("sendonly", audio=0)

    async def accept(self, answer: str, ice_servers: object = ()) -> None:
        self.answered(answer)

    async def track_counters(self) -> tuple[Counters, Counters]:
        return {"packets_sent": float(self.video.frames if self.video else 0)}, {}

    def carry(self, video: object, audio: object) -> None:
        """Side data: not in the lab."""

    def close(self) -> None:
        if self.video is not None:
            self.video.close()
        super().close()

    def hand_over(self) -> tuple[LabInput | None, None]:
        video, self.video = self.video, None
        return video, None


class LabViewer(LabTransport):
    """In place of ``ViewerTransport``."""

    def __init__(self, codecs: tuple[VideoCodec, ...], on_state: StateHandler, *, slots: int = 2) -> None:
        super().__init__(on_state)
        self.slots = max(2, slots)
        self.feeds: dict[str, LabFeed] = {}

    async def offer(self) -> str:
        return make_offer("recvonly", audio=self.slots, video=self.slots)

    async def accept(self, answer: str, ice_servers: object = ()) -> None:
        self.answered(answer)

    async def grow(self, needed: int, negotiate: Callable[[str], Awaitable[str]]) -> None:
        if needed > self.slots:
            self.slots *= 2
            await negotiate(await self.offer())

    def track(self, mid: str) -> LabTrack:
        return LabTrack(self, mid)

    async def counters(self) -> dict[str, Counters]:
        return {}

    async def track_counters(self, video_mid: str, audio_mid: str) -> tuple[Counters, Counters]:
        return {}, {}


@dataclass
class LabTrack:
    viewer: LabViewer
    mid: str


class LabFeed:
    """In place of ``VideoFeed``."""

    def __init__(self, track: LabTrack, deliver: Callable[[VideoFrame], None]) -> None:
        self._track = track
        self.deliver = deliver

    def start(self) -> None:
        self._track.viewer.feeds[self._track.mid] = self

    def stop(self) -> None:
        if self._track.viewer.feeds.get(self._track.mid) is self:
            del self._track.viewer.feeds[self._track.mid]


class LabMedia:
    """Carries pictures the way the engine's bindings say. ``engine``: that of the running server."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.transports: dict[tuple[int, int], LabTransport] = {}
        self._flowing: set[tuple[int, int, int]] = set()
        LabTransport.media = self

    def carry(self, publisher: LabPublisher, frame: VideoFrame) -> None:
        """One picture from a publisher to all who play it."""
        engine = publisher.engine
        if engine is None or engine is not self.engine or not publisher.connected:
            return
        for number, session in engine.sessions.items():
            viewer = self.transports.get((id(engine), number))
            if not isinstance(viewer, LabViewer) or not viewer.connected:
                continue
            for slot, stream in session.slots.items():
                if stream == publisher.session:
                    self._deliver(engine, viewer, number, stream, str(2 * slot + 1), frame)

    def _deliver(
        self, engine: Engine, viewer: LabViewer, number: int, stream: int, mid: str, frame: VideoFrame
    ) -> None:
        if (id(engine), number, stream) not in self._flowing:
            self._flowing.add((id(engine), number, stream))
            engine.flow(number, stream, mid, "video")

        def arrive() -> None:
            feed = viewer.feeds.get(mid)
            if feed is not None and not viewer.closed:
                feed.deliver(frame)

        asyncio.get_running_loop().call_later(DELAY_S, arrive)

    async def pulse(self) -> None:
        """Say every second who is heard."""
        while True:
            await asyncio.sleep(PULSE_S)
            for (engine, number), transport in self.transports.items():
                if self.engine is not None and id(self.engine) == engine and transport.connected:
                    self.engine.hear(number)


def places(media: LabMedia) -> Sequence[tuple[str, object]]:
    """What stands in the place of what, for ``monkeypatch.setattr``."""
    return (
        ("sanderling.sdk.webrtc.publisher.PublisherTransport", LabPublisher),
        ("sanderling.sdk.webrtc.viewer.ViewerTransport", LabViewer),
        ("sanderling.sdk.webrtc.tracks.VideoFeed", LabFeed),
        ("sanderling.sdk.webrtc.runtime.load", lambda *_: None),
    )

"""Media through the extension with the real WebRTC engine on both sides, over UDP and over ICE-TCP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from sanderling.bridge import MediaEngine, SessionHandle
from sanderling.bridge.events import Connected, Flowing, MediaEvent, TrackStarted
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.tracks import AudioFeed, VideoFeed
from sanderling.sdk.webrtc.viewer import ViewerTransport

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up."""


def only(answer: str, protocol: str) -> str:
    """``answer`` with the candidates of one protocol, so that there is one way to connect."""
    lines = answer.splitlines()
    kept = [
        line for line in lines if not line.startswith("a=candidate:") or line.split()[2].lower() == protocol
    ]
    assert len(kept) < len(lines), "the answer has candidates of one protocol only"
    assert any(line.startswith("a=candidate:") for line in kept)
    return "\r\n".join(kept) + "\r\n"


class Stage:
    """One engine, its events, and sources that keep sending until the end."""

    def __init__(self, media: MediaEngine) -> None:
        self.media = media
        self.events: list[MediaEvent] = []
        self.changed = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.transports: list[PublisherTransport | ViewerTransport] = []
        media.listen(self._heard)

    def _heard(self, event: MediaEvent) -> None:
        self.events.append(event)
        self.changed.set()

    async def wait(self, kind: type[Any], **values: object) -> Any:
        """The first event of ``kind`` with these values, past or to come."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and all(getattr(event, k) == v for k, v in values.items()):
                        return event
                self.changed.clear()
                await self.changed.wait()

    async def publish(self, protocol: str) -> SessionHandle:
        """Publish moving pictures and a tone."""
        publisher = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=lambda *_: None)
        self.transports.append(publisher)
        answer = await self.media.open_publisher(await publisher.offer())
        await publisher.accept(only(answer.sdp, protocol))
        self.tasks.append(asyncio.create_task(self._send(publisher)))
        await self.wait(Connected, session=answer.handle.session)
        return answer.handle

    async def _send(self, publisher: PublisherTransport) -> None:
        assert publisher.video is not None
        assert publisher.audio is not None
        tone = (np.sin(np.arange(480) * 2 * np.pi * 1000 / 48_000) * 8000).astype(np.int16).reshape(-1, 1)
        number = 0
        while True:
            if number % 4 == 0:
                picture = np.full((180, 320, 4), number % 256, np.uint8)
                publisher.video.write(
                    VideoFrame.from_ndarray(picture, PixelFormat.RGBA, captured_ns=time.monotonic_ns())
                )
            publisher.audio.write(tone, 48_000)
            number += 1
            await asyncio.sleep(0.01)  # the pace of the source, as of a camera

    async def watch(self, protocol: str) -> tuple[ViewerTransport, SessionHandle]:
        """Connect a viewer with its two slots."""
        viewer = ViewerTransport((), lambda *_: None)
        self.transports.append(viewer)
        answer = await self.media.open_viewer(await viewer.offer())
        await viewer.accept(only(answer.sdp, protocol))
        await self.wait(Connected, session=answer.handle.session)
        return viewer, answer.handle


@contextlib.asynccontextmanager
async def stage(**arguments: Any) -> AsyncIterator[Stage]:
    """An engine on loopback; everything is closed at the end."""
    async with MediaEngine(listen=["127.0.0.1"], **arguments) as media:
        on = Stage(media)
        try:
            yield on
        finally:
            for task in on.tasks:
                task.cancel()
            await asyncio.gather(*on.tasks, return_exceptions=True)
            for transport in on.transports:
                transport.close()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("workers", [1, 2], ids=["one worker", "two workers"])
async def test_pictures_and_sound_reach_the_viewer(protocol: str, workers: int) -> None:
    async with stage(workers=workers) as on:
        published = await on.publish(protocol)
        await on.wait(TrackStarted, stream=published.session, kind="video")
        await on.wait(TrackStarted, stream=published.session, kind="audio")
        viewer, watching = await on.watch(protocol)
        # Sessions are spread: with two workers the packets cross from one to the other.
        assert (published.worker != watching.worker) == (workers == 2)

        binding = await on.media.bind(watching, published)
        pictures: asyncio.Queue[VideoFrame] = asyncio.Queue()
        sound: asyncio.Queue[AudioFrame] = asyncio.Queue()
        video_track, audio_track = viewer.track(binding.video_mid), viewer.track(binding.audio_mid)
        assert video_track is not None
        assert audio_track is not None
        feeds = [VideoFeed(video_track, pictures.put_nowait), AudioFeed(audio_track, sound.put_nowait)]
        for feed in feeds:
            feed.start()
        async with asyncio.timeout(LIMIT_S):
            shown = [await pictures.get() for _ in range(10)]
            loud = await sound.get()
            while np.abs(loud.samples).max() < 1000:
                loud = await sound.get()
        for feed in feeds:
            feed.stop()
        assert all(picture.width * 9 == picture.height * 16 for picture in shown)

        flowing = await on.wait(Flowing, session=watching.session, kind="video")
        assert (flowing.stream, flowing.mid) == (published.session, binding.video_mid)
        totals = on.media.counters()
        assert (totals["sessions"], totals["bindings"]) == (2, 1)

        await on.media.unbind(watching, published)
        on.media.close_session(watching)
        on.media.close_session(published)
        async with asyncio.timeout(LIMIT_S):
            while on.media.counters()["sessions"]:
                await on.media.snapshot()
        assert on.media.counters()["bindings"] == 0


async def test_the_portable_sockets_carry_media_too() -> None:
    from sanderling import _engine

    class Portable:
        API = _engine.API
        PROFILE = _engine.PROFILE
        EngineBusy = _engine.EngineBusy
        EngineClosed = _engine.EngineClosed

        @staticmethod
        def Engine(**arguments: Any) -> _engine.Engine:  # noqa: N802 (the extension's name)
            return _engine.Engine(**arguments, portable=True)

    async with stage(native=Portable()) as on:
        published = await on.publish("udp")
        await on.wait(TrackStarted, stream=published.session, kind="video")
        _, watching = await on.watch("tcp")
        await on.media.bind(watching, published)
        await on.wait(Flowing, session=watching.session, kind="video")

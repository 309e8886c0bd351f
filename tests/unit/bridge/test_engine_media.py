"""Media through the extension with the real WebRTC engine on both sides, over UDP and over ICE-TCP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from sanderling import _engine
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import AudioFrame, PixelFormat, VideoFrame
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.tracks import AudioFeed, VideoFeed
from sanderling.sdk.webrtc.viewer import ViewerTransport

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up."""

HOST, GUEST = 1, 2
"""Numbers of the publisher's and the viewer's session."""


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
    """One engine, its events, and a source that keeps sending until the end."""

    def __init__(self, engine: _engine.Engine) -> None:
        self.engine = engine
        self.events: list[tuple[Any, ...]] = []
        self.changed = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.transports: list[PublisherTransport | ViewerTransport] = []
        self.tickets = 0

    def read(self) -> None:
        """Take the events that wait."""
        self.events += self.engine.take_events(512)
        self.changed.set()

    async def wait(self, *beginning: object) -> tuple[Any, ...]:
        """The first event, past or to come, that begins like this."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events:
                    if event[: len(beginning)] == beginning:
                        return event
                self.changed.clear()
                await self.changed.wait()

    async def command(self, expected: str, method: Any, *arguments: Any) -> tuple[Any, ...]:
        """Send a command and return the event that answers it."""
        self.tickets += 1
        method(self.tickets, *arguments)
        return await self.wait(expected, self.tickets)

    async def publish(self, worker: int, protocol: str) -> None:
        """Publish moving pictures and a tone."""
        publisher = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=lambda *_: None)
        self.transports.append(publisher)
        offer = await publisher.offer()
        answered = await self.command("answered", self.engine.open_publisher, worker, HOST, offer)
        assert [track[0] for track in answered[4]] == ["audio", "video"]
        await publisher.accept(only(answered[3], protocol))
        self.tasks.append(asyncio.create_task(self._send(publisher)))
        await self.wait("connected", HOST)
        await self.wait("track_started", HOST, "video", "VP8")
        await self.wait("track_started", HOST, "audio")

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

    async def watch(self, worker: int, protocol: str) -> ViewerTransport:
        """Connect a viewer with its two slots."""
        viewer = ViewerTransport((), lambda *_: None)
        self.transports.append(viewer)
        answered = await self.command(
            "answered", self.engine.open_viewer, worker, GUEST, await viewer.offer()
        )
        await viewer.accept(only(answered[3], protocol))
        await self.wait("connected", GUEST)
        return viewer


@contextlib.asynccontextmanager
async def stage(**arguments: Any) -> AsyncIterator[Stage]:
    """An engine on loopback; everything is closed at the end."""
    engine = _engine.Engine(listen=["127.0.0.1"], **arguments)
    on = Stage(engine)
    loop, fd = asyncio.get_running_loop(), engine.wake_fd()
    loop.add_reader(fd, on.read)
    try:
        yield on
    finally:
        for task in on.tasks:
            task.cancel()
        await asyncio.gather(*on.tasks, return_exceptions=True)
        for transport in on.transports:
            transport.close()
        loop.remove_reader(fd)
        engine.close()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("workers", "portable"),
    [(1, False), (2, False), (1, True)],
    ids=["one worker", "two workers", "portable"],
)
async def test_pictures_and_sound_reach_the_viewer(protocol: str, workers: int, portable: bool) -> None:
    async with stage(workers=workers, portable=portable) as on:
        # With two workers the packets cross from one to the other.
        home, away = 0, workers - 1
        await on.publish(home, protocol)
        viewer = await on.watch(away, protocol)
        bound = await on.command("bound", on.engine.bind, away, GUEST, HOST, home, True, True)
        audio_mid, video_mid = bound[5:7]

        pictures: asyncio.Queue[VideoFrame] = asyncio.Queue()
        sound: asyncio.Queue[AudioFrame] = asyncio.Queue()
        video_track, audio_track = viewer.track(video_mid), viewer.track(audio_mid)
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
        await on.wait("flowing", GUEST, HOST, video_mid, "video")
        await on.wait("flowing", GUEST, HOST, audio_mid, "audio")
        totals = on.engine.counters()
        assert (totals["sessions"], totals["bindings"]) == (2, 1)
        assert min(totals["packets_in"], totals["packets_out"], totals["bytes_in"], totals["bytes_out"]) > 0

        await on.command("done", on.engine.unbind, away, GUEST, HOST)
        await on.command("done", on.engine.close_session, away, GUEST)
        await on.command("done", on.engine.close_session, home, HOST)
        totals = on.engine.counters()
        assert (totals["sessions"], totals["bindings"]) == (0, 0)
        assert not [event for event in on.events if event[0] in ("failed", "worker_failed", "log")]

"""A peer of aiortc: ICE, DTLS, SRTP, RTP and encoders that share no code with libwebrtc or with the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""

WIDTH, HEIGHT, FPS = 320, 180, 25
RATE = 48_000
BLOCK = RATE // 50
TONE_HZ = 750.0
GREYS = (40, 200)
"""Brightness of the left and the right half of every picture sent."""


def picture(number: int) -> av.VideoFrame:
    """A picture in two greys; a bar wanders through it, so that no two are alike."""
    plane = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    plane[:HEIGHT, : WIDTH // 2], plane[:HEIGHT, WIDTH // 2 :] = GREYS
    plane[number % HEIGHT] = 120
    frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
    frame.pts, frame.time_base = number * 90_000 // FPS, Fraction(1, 90_000)
    return frame


def tone(number: int) -> av.AudioFrame:
    """Block ``number`` of a tone of 20 ms blocks."""
    phase = (number * BLOCK + np.arange(BLOCK)) * 2 * np.pi * TONE_HZ / RATE
    samples = (np.sin(phase) * 8000).astype(np.int16).repeat(2)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, number * BLOCK, Fraction(1, RATE)
    return frame


class Source(MediaStreamTrack):
    """What a camera or a microphone would give, at its pace."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__()
        self._number = 0
        self._begun = 0.0

    async def recv(self) -> av.VideoFrame | av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._number == 0:
            self._begun = loop.time()
        pace = 1 / FPS if self.kind == "video" else BLOCK / RATE
        await asyncio.sleep(max(0.0, self._begun + self._number * pace - loop.time()))
        made = picture(self._number) if self.kind == "video" else tone(self._number)
        self._number += 1
        return made


class AiortcPeer:
    """One connection that sends or receives at most one audio and one video track."""

    def __init__(self, direction: str, *, audio: bool = True, video: bool = True, codec: str = "") -> None:
        # Not MAX_BUNDLE: with it aiortc 1.16 reads the candidates of the last section, and an answer to a bundle has
        # them in the first (RFC 9143 section 7.1.2). The sections share one transport either way.
        self.connection = RTCPeerConnection()
        self.pictures: list[av.VideoFrame] = []
        self.sound: list[av.AudioFrame] = []
        self._came = asyncio.Condition()
        self._readers: list[asyncio.Task[None]] = []
        for kind in ("audio",) * audio + ("video",) * video:
            sent = Source(kind) if direction == "sendonly" else kind
            transceiver = self.connection.addTransceiver(sent, direction=direction)
            if kind == "video" and codec:
                known = RTCRtpSender.getCapabilities("video").codecs
                wanted = [c for c in known if c.mimeType in (f"video/{codec}", "video/rtx")]
                transceiver.setCodecPreferences(wanted)
        self.connection.on("track", self._track)

    def _track(self, track: MediaStreamTrack) -> None:
        kept = self.pictures if track.kind == "video" else self.sound
        self._readers.append(asyncio.create_task(self._read(track, kept.append)))

    async def _read(self, track: MediaStreamTrack, keep: Callable[[object], None]) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                async with self._came:
                    keep(frame)
                    self._came.notify_all()

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def answer(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def accept(self, sdp: str) -> str:
        """Take a server's offer; returns the answer."""
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def connected(self) -> None:
        """Wait until ICE and DTLS are up."""
        up = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState == "connected":
                up.set()

        self.connection.on("connectionstatechange", changed)
        changed()
        async with asyncio.timeout(LIMIT_S):
            await up.wait()

    async def received(self, *, pictures: int = 0, blocks: int = 0) -> None:
        """Wait until so much was decoded."""
        async with asyncio.timeout(LIMIT_S), self._came:
            await self._came.wait_for(lambda: len(self.pictures) >= pictures and len(self.sound) >= blocks)

    def greys(self) -> tuple[float, float]:
        """Brightness of the halves of the newest picture."""
        newest = self.pictures[-1]
        plane = newest.to_ndarray(format="yuv420p")[: newest.height]
        half = newest.width // 2
        return float(np.median(plane[:, : half - 8])), float(np.median(plane[:, half + 8 :]))

    def hears_hz(self) -> float:
        """Frequency of the strongest part of the last half second."""
        samples = np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in self.sound[-25:]])
        spectrum = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(len(samples))))
        return float(np.argmax(spectrum) * RATE / len(samples))

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._readers, return_exceptions=True)


@contextlib.asynccontextmanager
async def aiortc_peer(direction: str, **options: object) -> AsyncIterator[AiortcPeer]:
    made = AiortcPeer(direction, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()

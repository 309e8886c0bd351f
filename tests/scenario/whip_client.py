"""WHIP and WHEP from the client's side: HTTP requests, and peers with real media. Knows nothing of our server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
import numpy as np
import webrtc
import wrtc

from sanderling.sdk.webrtc import runtime

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint's URL and the token to send there."""

    url: str
    token: str = ""

    def headers(self, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"authorization": f"Bearer {self.token}", **named} if self.token else named


class Peer:
    """One peer connection with at most one audio and one video section."""

    def __init__(self, direction: str, *, audio: bool = True, video: bool = True) -> None:
        runtime.load()
        self.connection = webrtc.RTCPeerConnection(webrtc.RTCConfiguration(bundle_policy="max-bundle"))
        self._generator = wrtc.TrackGenerator("video")
        self._task: asyncio.Task[None] | None = None
        for kind in (webrtc.MediaType.audio,) * audio + (webrtc.MediaType.video,) * video:
            track = None
            if direction != "recvonly" and kind is webrtc.MediaType.video:
                track = webrtc.MediaStreamTrack._wrap(self._generator.track)
            self.connection.add_transceiver(track or kind, webrtc.RTCRtpTransceiverInit(direction=direction))

    async def offer(self) -> str:
        offer = await self.connection.create_offer()
        await self.connection.set_local_description(webrtc.RTCSessionDescriptionInit("offer", offer.sdp))
        return str(offer.sdp)

    async def answer(self, sdp: str) -> None:
        await self.connection.set_remote_description(webrtc.RTCSessionDescriptionInit("answer", sdp))

    async def connected(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.connection.connection_state.value != "connected":
                await asyncio.sleep(0.01)  # another thread works on it

    async def over(self) -> None:
        """Wait until the other side has ended it."""
        async with asyncio.timeout(LIMIT_S):
            while self.connection.connection_state.value not in ("closed", "failed", "disconnected"):
                await asyncio.sleep(0.01)

    def send(self) -> None:
        """Begin to send moving pictures."""
        self._task = asyncio.create_task(self._pictures())

    async def _pictures(self) -> None:
        for number in itertools.count():
            picture = np.full(320 * 180 * 3 // 2, number * 7 % 256, np.uint8)
            layout = [(0, 320), (320 * 180, 160), (320 * 180 * 5 // 4, 160)]
            buffer = wrtc.VideoFrameBuffer.fromData("I420", 320, 180, picture, layout)
            self._generator.writeVideo(buffer, time.monotonic_ns() // 1000, 0)
            await asyncio.sleep(0.04)  # the pace of the source, as of a camera

    async def decoded(self) -> int:
        """Frames of video decoded so far."""
        report = await self.connection.get_stats()
        return sum(
            stats.frames_decoded or 0
            for stats in report.values()
            if isinstance(stats, webrtc.RTCInboundRtpStreamStats) and stats.kind == "video"
        )

    async def heard(self) -> int:
        """Samples of sound received so far, those the jitter buffer made up left out."""
        report = await self.connection.get_stats()
        return sum(
            (stats.total_samples_received or 0) - (stats.concealed_samples or 0)
            for stats in report.values()
            if isinstance(stats, webrtc.RTCInboundRtpStreamStats) and stats.kind == "audio"
        )

    async def decodes(self, further: int = 5) -> None:
        """Wait until so many further frames were decoded."""
        start = await self.decoded()
        async with asyncio.timeout(LIMIT_S):
            while await self.decoded() < start + further:
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._generator.close()
        self.connection.off()
        self.connection.close()


@contextlib.asynccontextmanager
async def peer(direction: str, **kinds: bool) -> AsyncIterator[Peer]:
    made = Peer(direction, **kinds)
    try:
        yield made
    finally:
        await made.close()


class Session:
    """What a 201 named: its URL, its ICE session, and the endpoint's token."""

    def __init__(self, http: httpx.AsyncClient, endpoint: Endpoint, response: httpx.Response) -> None:
        self.http = http
        self.endpoint = endpoint
        self.url = urljoin(str(response.url), response.headers["location"])
        self.etag = response.headers.get("etag", "")

    async def patch(self, body: str, **headers: str) -> httpx.Response:
        headers = {"content_type": FRAGMENT, **headers}
        return await self.http.patch(self.url, content=body, headers=self.endpoint.headers(**headers))

    async def delete(self) -> httpx.Response:
        return await self.http.delete(self.url, headers=self.endpoint.headers())


async def post(http: httpx.AsyncClient, endpoint: Endpoint, offer: str, **headers: str) -> httpx.Response:
    """POST an offer, following redirects as a client has to."""
    sent = endpoint.headers(**{"content_type": SDP, **headers})
    return await http.post(endpoint.url, content=offer, headers=sent, follow_redirects=True)


@contextlib.asynccontextmanager
async def session(http: httpx.AsyncClient, endpoint: Endpoint, peer: Peer) -> AsyncIterator[Session]:
    """Begin a session for a peer and wait until its transport is up; it is deleted at the end."""
    response = await post(http, endpoint, await peer.offer())
    assert response.status_code == 201, response.text
    begun = Session(http, endpoint, response)
    try:
        await peer.answer(response.text)
        await peer.connected()
        yield begun
    finally:
        await begun.delete()


@contextlib.asynccontextmanager
async def published(http: httpx.AsyncClient, endpoint: Endpoint) -> AsyncIterator[tuple[Session, Peer]]:
    """A stream with moving pictures."""
    async with peer("sendonly") as sender, session(http, endpoint, sender) as begun:
        sender.send()
        yield begun, sender


def value_of(sdp: str, name: str) -> str:
    """Value of the first line of this attribute."""
    found = re.search(rf"^a={name}:(.*?)\r?$", sdp, re.MULTILINE)
    assert found, f"no a={name} in {sdp}"
    return found[1]


def first_section(sdp: str) -> str:
    """The m= line, mid and ICE credentials of the bundle's first section, as a fragment names them."""
    line = next(line for line in sdp.splitlines() if line.startswith("m="))
    ice = [f"a={name}:{value_of(sdp, name)}" for name in ("mid", "ice-ufrag", "ice-pwd")]
    return "\r\n".join([line, *ice]) + "\r\n"


def with_credentials(answer: str, fragment: str) -> str:
    """The first answer with the credentials of a restart's reply."""
    for name in ("ice-ufrag", "ice-pwd"):
        answer = re.sub(
            rf"^a={name}:.*?(\r?)$", rf"a={name}:{value_of(fragment, name)}\1", answer, flags=re.M
        )
    return answer

"""A publisher whose pictures cannot be decoded, by aiortc, which sends what it is given."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import av
import httpx
import numpy as np
import pytest
from aiortc import MediaStreamTrack

from interop.aiortc_peer import FPS, HEIGHT, WIDTH, aiortc_peer
from sanderling import Engine, EngineProfile, RoomConfig, User
from scenario.signalling import stage
from scenario.whip_client import Endpoint, session
from unit.sdk.recorder import Recorder

pytestmark = pytest.mark.processes


def key_frame() -> bytes:
    """A VP8 key frame."""
    encoder = av.VideoCodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    plane = np.random.default_rng(1).integers(0, 255, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    packets = [*encoder.encode(av.VideoFrame.from_ndarray(plane, "yuv420p")), *encoder.encode(None)]
    return bytes(packets[0])


def broken(frame: bytes) -> bytes:
    """The same with a first partition that claims to be longer than the frame (RFC 6386 section 9.1: 19 bits)."""
    tag = int.from_bytes(frame[:3], "little")
    return ((tag & 0x1F) | 0x7FFFF << 5).to_bytes(3, "little") + frame[3:]


class Frames(MediaStreamTrack):
    """Sends encoded frames as they are, broken ones until told otherwise."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._good = key_frame()
        self._number = 0
        self.breaks = True

    async def recv(self) -> av.Packet:
        await asyncio.sleep(1 / FPS)
        packet = av.Packet(broken(self._good) if self.breaks else self._good)
        packet.pts, packet.time_base = self._number * 90_000 // FPS, Fraction(1, 90_000)
        self._number += 1
        return packet


async def test_pictures_that_cannot_be_decoded_are_1004081(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.sdk.monitor.QUALITY_INTERVAL", 0.5)
    recorder, frames = Recorder(), Frames()
    async with (
        stage() as on,
        httpx.AsyncClient(timeout=20) as http,
        aiortc_peer("sendonly", audio=False, video=False) as sender,
        Engine(EngineProfile(app_id=on.project.app_id, server=on.server.url), recorder) as engine,
    ):
        sender.connection.addTransceiver(frames, direction="sendonly")
        whip = Endpoint(
            f"{on.server.url}/whip/{on.project.app_id}/room/cam", on.server.token(on.project, "host")
        )
        token = on.server.token(on.project, "viewer")
        await engine.login_room("room", User("viewer", "viewer"), RoomConfig(token=token))
        async with session(http, whip, sender):
            player = await engine.start_playing_stream("cam")
            await recorder.until_call("error", 1004081, "start_playing_stream", seconds=30)
            assert recorder.of("first frame") == []
            frames.breaks = False
            assert (await player.first_frame(30)).width == WIDTH
            assert recorder.of("error") == [(1004081, "start_playing_stream")]

"""Chromium plays by WHEP without our SDK, with the code of docs/howto/whip-whep.md."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from interop.browser import EXECUTABLE, chromium
from scenario.signalling import stage
from scenario.whip_client import Endpoint, published

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not EXECUTABLE, reason="needs chromium"),
]

HOWTO = Path(__file__).resolve().parents[2] / "docs/howto/whip-whep.md"
SCRIPTS = re.findall(r"```js\n(.*?)```", HOWTO.read_text(), re.DOTALL)
ONLY_VP9 = """
const { codecs } = RTCRtpReceiver.getCapabilities("video");
peer.getTransceivers()[1].setCodecPreferences(codecs.filter((codec) => codec.mimeType === "video/VP9"));
"""
"""A player that takes no VP8: its offer does not suit the stream."""


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


@pytest.mark.parametrize("suits", [True, False])
async def test_the_documented_player(suits: bool, http: httpx.AsyncClient) -> None:
    play, counter_offer = SCRIPTS
    if not suits:
        play = play.replace("peer.ontrack", ONLY_VP9 + "peer.ontrack", 1)
        # The answer to the POST is not an answer: what follows takes it.
        play = play.replace(
            "await peer.setRemoteDescription", "if (response.ok) await peer.setRemoteDescription"
        )
    async with stage() as on:
        path = f"{on.project.app_id}/room/cam"
        whip = Endpoint(f"{on.server.url}/whip/{path}", on.server.token(on.project, "host"))
        async with published(http, whip), chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{on.server.url}/healthz")
            status = await page.evaluate(
                "async ([url, token]) => {"
                " const video = document.createElement('video');"
                " video.muted = video.autoplay = true; document.body.append(video);"
                f" {play} {counter_offer} return response.status; }}",
                [f"{on.server.url}/whep/{path}", on.server.token(on.project, "viewer")],
            )
            assert status == (201 if suits else 406)
            await page.wait_for_function(
                "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 5"
            )
        await on.empty()

"""Which SRTP profile each kind of client gets: AEAD wherever the client has it, and the debug snapshot says so."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import webrtc
from aiortc import rtcdtlstransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
)

from interop.aiortc_peer import aiortc_peer
from interop.conftest import NewPage
from interop.native import ClockSource, member
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer
from scenario.whip_client import Endpoint, published, session

pytestmark = pytest.mark.asyncio(loop_scope="session")

CM, GCM_128 = "SRTP_AES128_CM_HMAC_SHA1_80", "SRTP_AEAD_AES_128_GCM"
GCM_256 = "SRTP_AEAD_AES_256_GCM"


async def profiles(host: TestServer, viewers: int) -> list[str]:
    """Profiles of that many connected viewers, in the order in which they came."""
    async with asyncio.timeout(20):
        while True:
            (worker,) = (await host.snapshot())["workers"]
            found = [viewer["protection"] for viewer in worker["viewers"] if viewer["connected"]]
            if len(found) == viewers:
                return found
            await asyncio.sleep(0.05)  # other threads work on it


async def test_everybody_who_has_an_aead_gets_one(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    whep = Endpoint(f"{host.url}/whep/{project.app_id}/interop/film", host.token(project, "aiortc"))
    page = await new_page()
    async with (
        member(host, project, "alice") as alice,
        member(host, project, "bob") as bob,
        ClockSource() as sources,
        httpx.AsyncClient(timeout=20) as http,
        aiortc_peer("recvonly") as viewer,
    ):
        await alice.start_publishing_stream("film", sources)
        await (await bob.start_playing_stream("film")).first_frame(20)
        async with session(http, whep, viewer):
            await viewer.received(pictures=5)
            await page.open("carol", autoplay=1)
            await page.wait_frames("film")
            # Both native members, aiortc and Chromium.
            assert await profiles(host, 4) == [GCM_256] * 4


@pytest.mark.parametrize(
    ("known", "profile"),
    [(SRTP_AES128_CM_SHA1_80, CM), (SRTP_AEAD_AES_128_GCM, GCM_128)],
    ids=["cm", "gcm128"],
)
async def test_a_client_that_knows_one_profile_plays_with_that(
    known: SRTPProtectionProfile,
    profile: str,
    host: TestServer,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtcdtlstransport, "SRTP_PROFILES", [known])
    path = f"{project.app_id}/interop/film"
    whip = Endpoint(f"{host.url}/whip/{path}", host.token(project, "host"))
    whep = Endpoint(f"{host.url}/whep/{path}", host.token(project, "viewer"))
    async with (
        httpx.AsyncClient(timeout=20) as http,
        aiortc_peer("sendonly") as sender,
        session(http, whip, sender),
        aiortc_peer("recvonly") as viewer,
        session(http, whep, viewer),
    ):
        await viewer.received(pictures=10, blocks=10)
        assert await profiles(host, 1) == [profile]


async def test_a_publisher_saves_a_round_trip_instead(host: TestServer, project: Project) -> None:
    """Its packets are deciphered once: DTLS 1.3, under which the client's first profile is taken, comes first."""
    whip = Endpoint(f"{host.url}/whip/{project.app_id}/interop/film", host.token(project, "host"))
    async with httpx.AsyncClient(timeout=20) as http, published(http, whip) as (_, sender):
        report = await sender.connection.get_stats()
        (transport,) = (s for s in report.values() if isinstance(s, webrtc.RTCTransportStats))
        assert (transport.tls_version, transport.srtp_cipher) == ("FEFC", CM)

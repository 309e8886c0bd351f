"""aiortc publishes and plays: a second complete WebRTC implementation, by WHIP, WHEP and signalling."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from interop.aiortc_peer import GREYS, TONE_HZ, AiortcPeer, aiortc_peer
from scenario.signalling import Stage, stage
from scenario.whip_client import SDP, Endpoint, Session, peer, post, published, session

pytestmark = pytest.mark.processes


@pytest_asyncio.fixture
async def on() -> AsyncIterator[Stage]:
    async with stage() as running:
        yield running
        await running.empty()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


def endpoints(on: Stage) -> tuple[Endpoint, Endpoint]:
    path = f"{on.project.app_id}/room/cam"
    return (
        Endpoint(f"{on.server.url}/whip/{path}", on.server.token(on.project, "host")),
        Endpoint(f"{on.server.url}/whep/{path}", on.server.token(on.project, "viewer")),
    )


async def sees_and_hears(viewer: AiortcPeer) -> None:
    """What the source sends comes out of the decoders."""
    await viewer.received(pictures=10, blocks=50)
    left, right = viewer.greys()
    assert abs(left - GREYS[0]) < 12 and abs(right - GREYS[1]) < 12
    assert abs(viewer.hears_hz() - TONE_HZ) < 15


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_it_publishes_by_whip_and_plays_by_whep(codec: str, on: Stage, http: httpx.AsyncClient) -> None:
    whip, whep = endpoints(on)
    async with (
        aiortc_peer("sendonly", codec=codec) as sender,
        session(http, whip, sender),
        aiortc_peer("recvonly") as viewer,
        session(http, whep, viewer),
    ):
        await sees_and_hears(viewer)
        (publisher,) = (await on.server.snapshot())["workers"][0]["publishers"]
        assert [track["codec"].split()[0] for track in publisher["tracks"]] == ["opus", codec]


async def test_libwebrtc_sees_and_hears_it(on: Stage, http: httpx.AsyncClient) -> None:
    whip, whep = endpoints(on)
    async with (
        aiortc_peer("sendonly") as sender,
        session(http, whip, sender),
        peer("recvonly") as viewer,
        session(http, whep, viewer),
    ):
        await viewer.decodes(20)
        assert await viewer.heard() > 0


async def test_it_sees_libwebrtc(on: Stage, http: httpx.AsyncClient) -> None:
    whip, whep = endpoints(on)
    async with (
        published(http, whip),
        aiortc_peer("recvonly") as viewer,
        session(http, whep, viewer),
    ):
        await viewer.received(pictures=20)


@pytest.mark.parametrize(
    ("codec", "other", "workers"), [("VP8", "H264", 1), ("H264", "VP8", 1), ("H264", "VP8", 2)]
)
async def test_it_answers_a_counter_offer(
    codec: str, other: str, workers: int, http: httpx.AsyncClient
) -> None:
    """Its first offer lacks the stream's codec. Its ICE checks begin before its answer arrives."""
    async with stage(workers=workers) as on, contextlib.AsyncExitStack() as stack:
        whip, whep = endpoints(on)
        sender = await stack.enter_async_context(aiortc_peer("sendonly", codec=codec))
        await stack.enter_async_context(session(http, whip, sender))
        viewers: list[tuple[AiortcPeer, Session]] = []
        for number in range(workers):
            whep = Endpoint(whep.url, on.server.token(on.project, f"viewer-{number}"))
            async with aiortc_peer("recvonly", codec=other) as first:
                response = await post(http, whep, await first.offer())
            assert response.status_code == 406, response.text
            viewer = await stack.enter_async_context(aiortc_peer("recvonly", audio=False, video=False))
            playing = Session(http, whep, response)
            accepted = await playing.patch(await viewer.accept(response.text), content_type=SDP)
            assert accepted.status_code == 204, accepted.text
            viewers.append((viewer, playing))
        for viewer, _ in viewers:
            await viewer.connected()
            await sees_and_hears(viewer)
        there = [len(worker["viewers"]) for worker in (await on.server.snapshot())["workers"]]
        # An offer of the server's own is made where the stream is published.
        assert there == [workers] + [0] * (workers - 1)
        for _, playing in viewers:
            await playing.delete()
        await stack.aclose()
        await on.empty()


async def test_over_signalling(on: Stage) -> None:
    async with aiortc_peer("sendonly") as sender, aiortc_peer("recvonly") as viewer:
        alice = await on.logged_in("alice")
        reply = await alice.ok("publish", stream_id="cam", offer=await sender.offer())
        await sender.answer(reply["answer"])
        await alice.notice("publisher_state", stream_id="cam", state=2)
        bob = await on.client()
        welcome = await bob.ok("login", **on.login_fields("bob", viewer_offer=await viewer.offer()))
        await viewer.answer(welcome["viewer_answer"])
        await bob.ok("play", stream_id="cam", resource_mode=2)
        await sees_and_hears(viewer)
        await bob.ok("stop_play", stream_id="cam")
        await alice.ok("stop_publish", stream_id="cam")
        await bob.ok("logout")
        await alice.ok("logout")

"""WHEP's counter-offers (draft-ietf-wish-whep-03 section 4.3.2): a 406 with the server's own offer, answered by PATCH.

The first tests are conformance and may be pointed at another server, as those of test_whip_whep.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import httpx
import pytest
import pytest_asyncio
import webrtc

from sanderling.server.http import media_sessions
from sanderling.testing.fake_engine import FakeModule, make_offer
from scenario.signalling import Stage, stage
from scenario.test_whip_whep import Endpoints, endpoints, http
from scenario.test_whip_whep_rooms import code, endpoint
from scenario.whip_client import LIMIT_S, SDP, Endpoint, Peer, Session, peer, post, published, value_of

pytestmark = pytest.mark.processes

__all__ = ["endpoints", "http"]


async def unsuitable(viewer: Peer) -> str:
    """An offer in good order, in codecs that nobody sends."""
    return re.sub(r"(a=rtpmap:\d+) [^/]+", r"\1 x-nobody", await viewer.offer())


async def answer_of(viewer: Peer, offer: str) -> str:
    """The answer of a peer to a server's offer."""
    await viewer.connection.set_remote_description(webrtc.RTCSessionDescriptionInit("offer", offer))
    answer = await viewer.connection.create_answer()
    await viewer.connection.set_local_description(webrtc.RTCSessionDescriptionInit("answer", answer.sdp))
    return str(answer.sdp)


async def countered(http: httpx.AsyncClient, whep: Endpoint, viewer: Peer) -> httpx.Response:
    """The response to an offer that shares no codec with the stream."""
    async with peer("recvonly") as first:
        response = await post(http, whep, await unsuitable(first))
    if response.status_code != 406 or response.headers["content-type"].split(";")[0] != SDP:
        pytest.skip("the server makes no counter-offers, which the draft leaves to it")
    return response


async def test_a_counter_offer_is_answered_and_plays(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with published(http, endpoints["whip"]), peer("recvonly", audio=False, video=False) as viewer:
        response = await countered(http, endpoints["whep"], viewer)
        offer = response.text
        assert "a=sendonly" in offer and "a=recvonly" not in offer and "a=inactive" not in offer
        assert value_of(offer, "setup") == "actpass"
        assert "a=candidate:" in offer and value_of(offer, "group").startswith("BUNDLE")
        until = re.search(r'valid-until="([^"]+)"', response.headers["content-type"])
        assert until is not None and parsedate_to_datetime(until[1]).timestamp() > time.time()
        playing = Session(http, endpoints["whep"], response)
        accepted = await playing.patch(await answer_of(viewer, offer), content_type=SDP)
        assert accepted.status_code == 204, accepted.text
        await viewer.connected()
        await viewer.decodes()
        assert (await playing.delete()).status_code == 200
        assert (await playing.delete()).status_code == 404


async def test_a_counter_offer_that_is_not_taken_up(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with published(http, endpoints["whip"]), peer("recvonly") as viewer:
        playing = Session(http, endpoints["whep"], await countered(http, endpoints["whep"], viewer))
        assert (await playing.delete()).status_code == 200
        assert (await playing.delete()).status_code == 404


@pytest_asyncio.fixture
async def av1() -> AsyncIterator[tuple[Stage, FakeModule]]:
    """A server without media where "far" is published in AV1."""
    module = FakeModule()
    async with stage(native=module) as on:
        carol = await on.logged_in("carol", "elsewhere")
        await carol.ok("publish", stream_id="far", offer=make_offer(video_codecs=("AV1",)))
        yield on, module
        await carol.ok("logout")
        await on.empty()


async def begin(http: httpx.AsyncClient, on: Stage, offer: str = "") -> Session:
    whep = endpoint(on, "whep", "bob", "far")
    response = await post(http, whep, offer or make_offer("recvonly"))
    assert response.status_code == 406 and "AV1/90000" in response.text, response.text
    assert response.headers["accept-patch"] == SDP
    return Session(http, whep, response)


async def test_the_problem_is_for_those_who_take_no_sdp(
    av1: tuple[Stage, FakeModule], http: httpx.AsyncClient
) -> None:
    on, _ = av1
    refused = await post(
        http, endpoint(on, "whep", "bob", "far"), make_offer("recvonly"), accept="application/problem+json"
    )
    assert "AV1" in code(refused, 406, 1004080)["detail"]
    assert "location" not in refused.headers


async def test_answers_that_cannot_be_used(av1: tuple[Stage, FakeModule], http: httpx.AsyncClient) -> None:
    on, _ = av1
    good = make_offer("recvonly", video_codecs=("AV1",))
    playing = await begin(http, on)
    # Neither of these is an answer: the counter-offer waits on.
    code(await playing.patch("a=ice-ufrag:abcd\r\n"), 415, 1000017)
    code(await playing.patch("hello", content_type=SDP), 400, 1000017)
    assert (await playing.patch(good, content_type=SDP)).status_code == 204
    # From here on it is a session like any other, whose PATCH takes fragments.
    code(await playing.patch(good, content_type=SDP), 415, 1000017)
    await playing.delete()
    for answer, status, number in (
        (make_offer("recvonly", audio=0, video_codecs=("AV1",)), 422, 1004001),
        (make_offer("recvonly", video_codecs=("H263",), audio_codec="PCMU"), 406, 1004080),
        (make_offer("recvonly", video_codecs=("VP8",)), 406, 1004080),
    ):
        playing = await begin(http, on)
        code(await playing.patch(answer, content_type=SDP), status, number)
        code(await playing.patch(good, content_type=SDP), 404, 1002057)


async def test_a_kind_that_the_stream_does_not_have(http: httpx.AsyncClient) -> None:
    async with stage(native=FakeModule()) as on:
        carol = await on.logged_in("carol", "elsewhere")
        await carol.ok("publish", stream_id="far", offer=make_offer(audio=0))
        whep = endpoint(on, "whep", "bob", "far")
        response = await post(http, whep, make_offer("recvonly", video=0))
        assert response.status_code == 406 and "VP8/90000" in response.text
        playing = Session(http, whep, response)
        assert (await playing.patch(make_offer("recvonly", audio=0), content_type=SDP)).status_code == 204
        await playing.delete()
        await carol.ok("logout")
        await on.empty()


async def test_a_counter_offer_expires(
    av1: tuple[Stage, FakeModule], http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    on, module = av1
    monkeypatch.setattr(media_sessions, "COUNTER_OFFER_S", 0.05)
    playing = await begin(http, on)
    answer = make_offer("recvonly", video_codecs=("AV1",))
    async with asyncio.timeout(LIMIT_S):
        while len(module.made[0].sessions) > 1:
            await asyncio.sleep(0.02)  # the server's thread works on it
    code(await playing.patch(answer, content_type=SDP), 404, 1002057)


async def test_a_counter_offer_is_nobody_elses(
    av1: tuple[Stage, FakeModule], http: httpx.AsyncClient
) -> None:
    on, _ = av1
    playing = await begin(http, on)
    other = Session.__new__(Session)
    other.http, other.url, other.endpoint = http, playing.url, endpoint(on, "whep", "mallory", "far")
    answer = make_offer("recvonly", video_codecs=("AV1",))
    assert (await other.patch(answer, content_type=SDP)).status_code == 403
    assert (await playing.patch(answer, content_type=SDP)).status_code == 204
    await playing.delete()

"""Conformance of WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): what a client may rely on at any server.

By default against a server of our own. To point it at another one, which has to let one stream be published and
played: WHIP_ENDPOINT and WHEP_ENDPOINT, with WHIP_TOKEN and WHEP_TOKEN where tokens are needed:

    WHIP_ENDPOINT=https://host/whip/name WHEP_ENDPOINT=https://host/whep/name pytest tests/scenario/test_whip_whep.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
import webrtc

from scenario.signalling import stage
from scenario.whip_client import (
    FRAGMENT,
    SDP,
    Endpoint,
    Session,
    first_section,
    peer,
    post,
    published,
    session,
    value_of,
    with_credentials,
)

pytestmark = pytest.mark.processes

# Read before the tests clean the environment.
WHIP = Endpoint(os.environ.get("WHIP_ENDPOINT", ""), os.environ.get("WHIP_TOKEN", ""))
WHEP = Endpoint(os.environ.get("WHEP_ENDPOINT", ""), os.environ.get("WHEP_TOKEN", ""))
KINDS = ("whip", "whep")
DIRECTION = {"whip": "sendonly", "whep": "recvonly"}
CANDIDATE = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n"

Endpoints = dict[str, Endpoint]


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


@pytest_asyncio.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    if WHIP.url and WHEP.url:
        yield {"whip": WHIP, "whep": WHEP}
        return
    async with stage() as on:
        path = f"{on.project.app_id}/room/cam"
        yield {
            "whip": Endpoint(f"{on.server.url}/whip/{path}", on.server.token(on.project, "host")),
            "whep": Endpoint(f"{on.server.url}/whep/{path}", on.server.token(on.project, "viewer")),
        }
        await on.empty()


async def test_a_stream_from_post_to_delete(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with published(http, endpoints["whip"]), peer("recvonly") as viewer:
        offer = await viewer.offer()
        response = await post(http, endpoints["whep"], offer)
        assert response.status_code == 201
        assert response.headers["content-type"].split(";")[0] == SDP
        playing = Session(http, endpoints["whep"], response)
        assert playing.url != endpoints["whep"].url
        assert response.text.count("\nm=") == offer.count("\nm=")
        assert "a=sendonly" in response.text and "a=recvonly" not in response.text
        await viewer.answer(response.text)
        await viewer.connected()
        await viewer.decodes()
        assert (await playing.delete()).status_code == 200
        assert (await playing.delete()).status_code == 404


async def test_the_answer_to_a_publisher(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with peer("sendonly") as sender:
        offer = await sender.offer()
        response = await post(http, endpoints["whip"], offer)
        assert response.status_code == 201, response.text
        assert "a=recvonly" in response.text and "a=sendonly" not in response.text
        # Every candidate is in the answer: a server cannot trickle (RFC 9725 section 4.3.2).
        assert "a=candidate:" in response.text
        assert value_of(response.text, "setup") in ("passive", "active")
        assert value_of(response.text, "group").startswith("BUNDLE")
        assert "m=video 0 " not in response.text and "m=audio 0 " not in response.text
        assert (await Session(http, endpoints["whip"], response).delete()).status_code == 200


async def test_send_and_receive_is_taken_as_one_way(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with peer("sendrecv") as sender:
        response = await post(http, endpoints["whip"], await sender.offer())
        assert response.status_code == 201, response.text
        assert "a=recvonly" in response.text
        assert (await Session(http, endpoints["whip"], response).delete()).status_code == 200


async def test_sections_in_the_bundle_only_have_port_0(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with peer("sendonly") as sender:
        first, *rest = (await sender.offer()).split("m=video 9 ")
        bundled = first + "m=video 0 " + rest[0].replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n")
        assert "a=bundle-only" in bundled
        response = await post(http, endpoints["whip"], bundled)
        assert response.status_code == 201, response.text
        assert "m=video 0 " not in response.text
        assert (await Session(http, endpoints["whip"], response).delete()).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_is_no_offer(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    endpoint = endpoints[kind]
    async with published(http, endpoints["whip"]), peer(DIRECTION[kind]) as client:
        offer = await client.offer()
        assert (await post(http, endpoint, offer, content_type="text/plain")).status_code == 415
        for junk in ("", "hello", "v=0\r\n", offer.replace("v=0", "v=1", 1), offer[: len(offer) // 3]):
            assert 400 <= (await post(http, endpoint, junk)).status_code < 500, junk


@pytest.mark.parametrize("kind", KINDS)
async def test_the_wrong_direction(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    other = {"whip": "recvonly", "whep": "sendonly"}[kind]
    async with published(http, endpoints["whip"]), peer(other) as client:
        assert 400 <= (await post(http, endpoints[kind], await client.offer())).status_code < 500


@pytest.mark.parametrize("kind", KINDS)
async def test_no_codec_in_common(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    async with published(http, endpoints["whip"]), peer(DIRECTION[kind]) as client:
        unknown = re.sub(r"(a=rtpmap:\d+) [^/]+", r"\1 x-nobody", await client.offer())
        response = await post(http, endpoints[kind], unknown)
        # RFC 9725 section 4.2: the SDP is well-formed, so it is not the syntax that is refused.
        assert response.status_code in (406, 415, 422), response.text
        # A session has begun only where WHEP makes a counter-offer; test_whep_counter_offer.py goes on from there.
        offers = response.headers["content-type"].split(";")[0] == SDP
        assert not (offers and kind == "whip")
        assert ("location" in response.headers) == offers
        if offers:
            assert (await Session(http, endpoints[kind], response).delete()).status_code == 200


async def test_a_stream_that_is_not_live(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with peer("recvonly") as viewer:
        response = await post(http, endpoints["whep"], await viewer.offer())
        # A server that wants a live stream says when to ask again; another one begins the session, without media.
        assert response.status_code in (201, 409), response.text
        if response.status_code == 409:
            assert int(response.headers["retry-after"]) > 0
        else:
            assert (await Session(http, endpoints["whep"], response).delete()).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_tokens(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    endpoint = endpoints[kind]
    if not endpoint.token:
        pytest.skip("this server was given without a token")
    async with published(http, endpoints["whip"]), peer(DIRECTION[kind]) as client:
        offer = await client.offer()
        for token in ("", "nonsense"):
            response = await post(http, Endpoint(endpoint.url, token), offer)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("kind", KINDS)
async def test_methods(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    endpoint = endpoints[kind]
    for method in ("GET", "HEAD"):
        response = await http.request(method, endpoint.url, headers=endpoint.headers())
        assert response.is_success and not response.content, method
    for method in ("PUT", "PATCH", "DELETE"):
        response = await http.request(method, endpoint.url, headers=endpoint.headers())
        assert response.status_code == 405
        assert "POST" in response.headers["allow"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_of_another_origin(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    asked = {
        "origin": "https://page.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    response = await http.options(endpoints[kind].url, headers=asked)
    assert response.is_success
    assert response.headers["access-control-allow-origin"] in ("*", "https://page.example")
    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "content-type" in allowed
    assert SDP in response.headers["accept-post"]

    async with contextlib.AsyncExitStack() as stack:
        if kind == "whep":
            await stack.enter_async_context(published(http, endpoints["whip"]))
        client = await stack.enter_async_context(peer(DIRECTION[kind]))
        response = await post(http, endpoints[kind], await client.offer(), origin="https://page.example")
        assert response.status_code == 201, response.text
        assert response.headers["access-control-allow-origin"] in ("*", "https://page.example")
        exposed = response.headers["access-control-expose-headers"].lower()
        assert {"location", "etag", "link"} <= {name.strip() for name in exposed.split(",")}
        assert (await Session(http, endpoints[kind], response).delete()).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_trickle(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    async with (
        published(http, endpoints["whip"]) as (publishing, sender),
        peer("recvonly") as viewer,
        session(http, endpoints["whep"], viewer) as playing,
    ):
        begun, client = (publishing, sender) if kind == "whip" else (playing, viewer)
        body = first_section(client.connection.local_description.sdp) + CANDIDATE + "a=end-of-candidates\r\n"
        assert begun.etag.startswith('"'), "a strong entity tag"
        response = await begun.patch(body, if_match=begun.etag)
        assert (response.status_code, response.content) == (204, b"")
        assert "etag" not in response.headers
        # A transport that the server does not have is passed over.
        response = await begun.patch(body.replace(" udp ", " sctp "), if_match=begun.etag)
        assert response.status_code == 204
        assert (await begun.patch(body)).status_code == 428
        assert (await begun.patch(body, if_match='"another"')).status_code == 412
        assert (await begun.patch(body, if_match=f"W/{begun.etag}")).status_code == 412
        assert (await begun.patch(body, if_match=begun.etag, content_type=SDP)).status_code == 415
        for junk in ("", "hello", body.replace("typ host", ""), body.replace("61764", "99999999")):
            response = await begun.patch(junk, if_match=begun.etag)
            assert response.status_code == 400, junk
        await viewer.decodes()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_ice_restart_keeps_the_media_flowing(
    endpoints: Endpoints, http: httpx.AsyncClient, kind: str
) -> None:
    async with (
        published(http, endpoints["whip"]) as (publishing, sender),
        peer("recvonly") as viewer,
        session(http, endpoints["whep"], viewer) as playing,
    ):
        await viewer.decodes()
        begun, client = (publishing, sender) if kind == "whip" else (playing, viewer)
        answer = client.connection.remote_description.sdp
        before = client.connection.local_description.sdp
        client.connection.restart_ice()
        offer = await client.offer()
        assert value_of(offer, "ice-ufrag") != value_of(before, "ice-ufrag")
        body = first_section(offer)
        assert (await begun.patch(body)).status_code == 428
        assert (await begun.patch(body, if_match='"another"')).status_code == 412
        response = await begun.patch(body, if_match="*")
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].split(";")[0] == FRAGMENT
        assert response.headers["etag"] not in ("", begun.etag)
        for name in ("ice-ufrag", "ice-pwd"):
            assert value_of(response.text, name) != value_of(answer, name)
        await client.answer(with_credentials(answer, response.text))
        # What was begun under the old credentials is refused from now on.
        late = await begun.patch(first_section(before) + CANDIDATE, if_match=begun.etag)
        assert late.status_code == 412
        again = await begun.patch(body + CANDIDATE, if_match=response.headers["etag"])
        assert again.status_code == 204
        await _restarted(client.connection, value_of(offer, "ice-ufrag"))
        await viewer.decodes(25)


async def _restarted(connection: webrtc.RTCPeerConnection, fragment: str) -> None:
    """Wait until the pair in use belongs to the new ICE session."""
    async with asyncio.timeout(20):
        while True:
            report = await connection.get_stats()
            pairs = [
                s for s in report.values() if isinstance(s, webrtc.RTCIceCandidatePairStats) and s.nominated
            ]
            locals_ = [report.get(pair.local_candidate_id) for pair in pairs]
            if any(getattr(local, "username_fragment", "") == fragment for local in locals_):
                return
            await asyncio.sleep(0.02)


async def test_a_bad_restart_changes_nothing(endpoints: Endpoints, http: httpx.AsyncClient) -> None:
    async with (
        published(http, endpoints["whip"]) as (publishing, _),
        peer("recvonly") as viewer,
        session(http, endpoints["whep"], viewer),
    ):
        for body in ("a=ice-ufrag:abcd\r\n", "a=ice-ufrag:a\r\na=ice-pwd:short\r\n"):
            assert (await publishing.patch(body, if_match="*")).status_code == 400
        await viewer.decodes()


@pytest.mark.parametrize("kind", KINDS)
async def test_sessions(endpoints: Endpoints, http: httpx.AsyncClient, kind: str) -> None:
    async with (
        published(http, endpoints["whip"]) as (publishing, _),
        peer("recvonly") as viewer,
        session(http, endpoints["whep"], viewer) as playing,
    ):
        begun = publishing if kind == "whip" else playing
        headers = begun.endpoint.headers()
        assert (await http.get(begun.url, headers=headers)).is_success
        for method in ("POST", "PUT"):
            response = await http.request(method, begun.url, headers=headers)
            assert response.status_code == 405
            assert {"PATCH", "DELETE"} <= {m.strip() for m in response.headers["allow"].split(",")}
        # Nobody guesses it: at least 120 bits stand in its last part.
        name = urlsplit(begun.url).path.rpartition("/")[2]
        assert len(name) >= 20
        assert (await http.delete(begun.url[:-4] + "abcd", headers=headers)).status_code == 404
        if begun.endpoint.token:
            assert (await http.delete(begun.url)).status_code == 401
            assert (await http.get(begun.url, headers=headers)).is_success

"""WHIP and WHEP sessions are members of rooms: what the others hear, and the product's code for every refusal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sanderling.testing.fake_engine import FakeModule, make_offer
from scenario.signalling import LIMIT_S, Stage, publishing, stage, watching
from scenario.whip_client import Endpoint, Session, peer, post, published, session

pytestmark = pytest.mark.processes

AUDIO_OF_OLD = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n"
)


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


def endpoint(
    on: Stage, kind: str, user: str, stream: str = "cam", room: str = "room", **token: Any
) -> Endpoint:
    path = f"{on.project.app_id}/{room}/{stream}"
    return Endpoint(f"{on.server.url}/{kind}/{path}", on.server.token(on.project, user, **token))


def code(response: httpx.Response, status: int, number: int) -> dict[str, Any]:
    """Check status, code and form of a problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["access-control-allow-origin"] == "*"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, number), body
    assert body["detail"] and body["name"] and body["docs"].endswith(str(number))
    return body


async def test_the_room_hears_of_a_stream_and_plays_it(http: httpx.AsyncClient) -> None:
    async with stage() as on, watching(on, "bob") as bob:
        async with published(http, endpoint(on, "whip", "obs")):
            joined = await bob.notice("user_notice", update=0)
            assert [user["user_id"] for user in joined["users"]] == ["obs"]
            (stream,) = (await bob.notice("stream_notice", update=0))["streams"]
            assert (stream["stream_id"], stream["user"]["user_id"]) == ("cam", "obs")
            assert [track["kind"] for track in stream["tracks"]] == ["audio", "video"]
            reply = await bob.ok("play", stream_id="cam", resource_mode=2)
            assert reply["resource_mode"] == 2
            await bob.notice("player_state", stream_id="cam", state=2)
        assert (await bob.notice("player_state", stream_id="cam")).get("state", 0) == 0
        gone = await bob.notice("stream_notice", update=1)
        assert [(s["stream_id"], s["delete_reason"]) for s in gone["streams"]] == [("cam", 1)]
        assert (await bob.notice("user_notice", update=1))["users"][0]["user_id"] == "obs"


async def test_a_publisher_that_vanishes_is_a_lost_one(http: httpx.AsyncClient) -> None:
    """DTLS says goodbye: the stream ends, and the session with it."""
    async with stage() as on:
        bob = await on.logged_in("bob")
        async with peer("sendonly") as sender:
            response = await post(http, endpoint(on, "whip", "obs"), await sender.offer())
            begun = Session(http, endpoint(on, "whip", "obs"), response)
            await sender.answer(response.text)
            await bob.notice("stream_notice", update=0)
        await bob.notice("stream_notice", update=1)
        await bob.notice("user_notice", update=1)
        code(await begun.delete(), 404, 1002057)
        await bob.ok("logout")
        await on.empty()


@pytest.mark.parametrize(("query", "l3", "path"), [("", True, 2), ("", False, 3), ("?mode=rtc", True, 3)])
async def test_the_path_a_player_gets(http: httpx.AsyncClient, query: str, l3: bool, path: int) -> None:
    async with stage(l3=l3) as on:
        alice = await on.logged_in("alice")
        async with publishing(alice, "cam"), peer("recvonly") as viewer:
            whep = endpoint(on, "whep", "bob")
            async with session(http, Endpoint(whep.url + query, whep.token), viewer):
                await viewer.decodes()
                (room,) = (await on.server.snapshot())["rooms"]
                (play,) = [play for member in room["members"] for play in member["plays"]]
                assert (play["stream_id"], play["resource_mode"]) == ("cam", path)
        # Nobody is told of a viewer that only looks on.
        assert [n for n in alice.notices if n["type"] == "user_notice"] == []


async def test_a_player_ends_with_its_stream(http: httpx.AsyncClient) -> None:
    async with stage() as on:
        alice = await on.logged_in("alice")
        async with (
            publishing(alice, "cam"),
            peer("recvonly") as viewer,
            session(http, endpoint(on, "whep", "bob"), viewer) as playing,
        ):
            await viewer.decodes()
            await alice.ok("stop_publish", stream_id="cam")
            await viewer.over()
            code(await playing.delete(), 404, 1002057)
        await alice.ok("logout")
        await on.empty()


async def test_a_second_login_of_the_user_ends_the_session(http: httpx.AsyncClient) -> None:
    """An encoder that was restarted takes its own stream over: no 409, and no waiting for the old one to time out."""
    async with stage() as on:
        whip = endpoint(on, "whip", "obs")
        async with published(http, whip) as (first, _), peer("sendonly") as again, session(http, whip, again):
            code(await first.delete(), 404, 1002057)
            assert (await on.server.snapshot())["counts"]["streams"] == 1


async def test_refusals_of_the_credentials(http: httpx.AsyncClient) -> None:
    async with stage(native=FakeModule()) as on:
        whip, whep = endpoint(on, "whip", "obs"), endpoint(on, "whep", "bob")
        offer = make_offer()
        missing = await post(http, Endpoint(whip.url), offer)
        code(missing, 401, 1002067)
        assert missing.headers["www-authenticate"] == 'Bearer realm="sanderling"'
        old = on.server.token(on.project, "obs", expire_s=10, now=time.time() - 60)
        second = await on.server.create_project()
        for number, token in [
            (1002078, old),
            (1002079, "03" + whip.token[2:]),
            (1002033, whip.token[:-8]),
            (1002033, on.server.token(second, "obs")),
        ]:
            response = await post(http, Endpoint(whip.url, token), offer)
            code(response, 401, number)
            assert (
                f'error="invalid_token", error_description="{number}"' in response.headers["www-authenticate"]
            )
            assert token not in response.text
        code(await post(http, endpoint(on, "whip", "obs", room_id="other"), offer), 403, 1002033)
        code(
            await post(http, endpoint(on, "whip", "obs", room_id="room", can_login=False), offer),
            403,
            1002033,
        )
        code(
            await post(http, endpoint(on, "whip", "obs", room_id="room", can_publish=False), offer),
            403,
            1003072,
        )
        listed = endpoint(on, "whip", "obs", room_id="room", stream_ids=("other",))
        code(await post(http, listed, offer), 403, 1003072)
        for app_id, number in (("0", 1001000), ("7", 1001004), ("x", 1001004), ("99999999999", 1001004)):
            url = whip.url.replace(str(on.project.app_id), app_id)
            code(await post(http, Endpoint(url, whip.token), offer), 404, number)
        code(await post(http, Endpoint(whip.url.replace("cam", "a.b"), whip.token), offer), 400, 1000016)
        code(await post(http, Endpoint(whip.url.replace("room", "r" * 128), whip.token), offer), 400, 1002013)
        waits = await post(http, whep, make_offer("recvonly"))
        code(waits, 409, 1004002)
        assert int(waits.headers["retry-after"]) > 0
        code(await post(http, Endpoint(whep.url + "?mode=cdn", whep.token), offer), 400, 1000017)
        await on.empty()


async def test_refusals_of_what_is_asked_for(http: httpx.AsyncClient) -> None:
    async with stage(l3=False, native=FakeModule()) as on:
        alice, carol = await on.logged_in("alice"), await on.logged_in("carol", "elsewhere")
        await alice.ok("publish", stream_id="cam", offer=make_offer())
        await carol.ok("publish", stream_id="far", offer=make_offer(video_codecs=("AV1",)))
        for stream in ("cam", "far"):
            code(await post(http, endpoint(on, "whip", "obs", stream), make_offer()), 409, 1003028)
        whep = endpoint(on, "whep", "bob")
        code(
            await post(http, Endpoint(whep.url + "?mode=l3", whep.token), make_offer("recvonly")),
            403,
            1004072,
        )
        problem = {"accept": "application/problem+json"}
        refused = await post(http, endpoint(on, "whep", "bob", "far"), make_offer("recvonly"), **problem)
        assert "AV1" in code(refused, 406, 1004080)["detail"]
        obs = endpoint(on, "whip", "obs", "new")
        code(await post(http, obs, make_offer(video_codecs=("H263",))), 406, 1003080)
        for offer in (make_offer(audio=2), make_offer("recvonly"), make_offer() + "a=setup:passive\r\n"):
            code(await post(http, obs, offer), 422, 1000017)
        code(await post(http, obs, "v=0\r\n" + "x" * 300_000), 413, 1000017)
        for client in (alice, carol):
            await client.ok("logout")
        await on.empty()


async def test_a_half_accepted_offer_is_refused(http: httpx.AsyncClient) -> None:
    """A publisher whose sound nobody could hear is told so, instead of a 201 for the pictures alone."""
    async with stage() as on, peer("sendonly", audio=False) as sender:
        bob = await on.logged_in("bob")
        head, video = (await sender.offer()).split("m=video", 1)
        offer = (
            head.replace("BUNDLE 0", "BUNDLE 0 7")
            + "m=video"
            + video
            + AUDIO_OF_OLD.replace("mid:0", "mid:7")
        )
        problem = code(await post(http, endpoint(on, "whip", "obs"), offer), 406, 1003080)
        assert "audio" in problem["detail"]
        # The room has heard of no stream: it never began.
        assert (await on.server.snapshot())["counts"]["streams"] == 0
        await bob.ok("logout")
        assert [n for n in bob.notices if n["type"] == "stream_notice"] == []
        await on.empty()


async def test_a_full_server_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    async with stage(native=FakeModule(), max_sessions=1) as on:
        first = await post(http, endpoint(on, "whip", "one", "one"), make_offer())
        assert first.status_code == 201
        full = await post(http, endpoint(on, "whip", "two", "two"), make_offer())
        code(full, 503, 1003001)
        assert int(full.headers["retry-after"]) > 0


async def test_a_session_that_never_connects_expires(http: httpx.AsyncClient) -> None:
    module = FakeModule()
    async with stage(native=module) as on:
        response = await post(http, endpoint(on, "whip", "obs"), make_offer())
        begun = Session(http, endpoint(on, "whip", "obs"), response)
        alice = await on.logged_in("alice", "other")
        await alice.ok("publish", stream_id="far", offer=make_offer())
        whep = endpoint(on, "whep", "bob", "far")
        playing = Session(http, whep, await post(http, whep, make_offer("recvonly")))
        (engine,) = module.made
        never = [number for number, held in engine.sessions.items() if len(held.slots) or number == 1]
        on.server.loop.call_soon_threadsafe(lambda: [engine.lose(number, "ice_timeout") for number in never])
        async with asyncio.timeout(LIMIT_S):
            while (await begun.patch("", if_match="*")).status_code != 404:
                await asyncio.sleep(0.02)  # the server's thread works on it
        code(await playing.delete(), 404, 1002057)
        await alice.ok("logout")
        await on.empty()


async def test_turn_servers_are_links(http: httpx.AsyncClient, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("north")
    turn = ("turn:turn.example.net:3478",)
    async with stage(native=FakeModule(), turn=turn, turn_secret_file=str(secret)) as on:
        response = await post(http, endpoint(on, "whip", "obs"), make_offer())
        links = response.headers.get_list("link")
        assert links
        for link in links:
            assert link.startswith("<turn:turn.example.net:3478") and '; rel="ice-server"; username="' in link
            assert ':obs"; credential="' in link and link.endswith('credential-type="password"')
        assert response.headers["cache-control"] == "no-store"
        # Not for those without a token.
        assert "link" not in (await http.options(endpoint(on, "whip", "obs").url)).headers


async def test_a_flood_of_patches_is_held_off(http: httpx.AsyncClient) -> None:
    async with stage(native=FakeModule()) as on:
        whip = endpoint(on, "whip", "obs")
        begun = Session(http, whip, await post(http, whip, make_offer()))
        answers = [await begun.patch("a=end-of-candidates\r\n", if_match=begun.etag) for _ in range(40)]
        assert answers[0].status_code == 204
        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited and int(limited[0].headers["retry-after"]) >= 1
        code(limited[0], 429, 1002073)
        assert (await begun.delete()).status_code == 200


async def test_the_end_of_the_server_ends_sessions(http: httpx.AsyncClient) -> None:
    async with stage() as on, published(http, endpoint(on, "whip", "obs")):
        rooms = on.server.services.rooms

        async def drain() -> dict[str, int]:
            rooms.drain()
            await rooms.settle()
            return rooms.counts()

        assert not any((await on.server.call(drain())).values())

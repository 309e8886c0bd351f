"""The application's WHIP and WHEP routes without a socket: redirects, prefixes, bodies, a server that goes down."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from sanderling.server.app import api_document, create_app
from sanderling.server.http import exchange
from sanderling.server.http.media_sessions import MediaSessions, _ReplyOutbox
from sanderling.server.proxy import Proxied
from sanderling.server.source_limits import SourceLimits
from sanderling.server.storage.base import new_project
from sanderling.signaling import messages
from sanderling.signaling.codec import encode
from sanderling.testing.fake_engine import make_offer

ROOT = Path(__file__).resolve().parents[3]


class Site:
    """The application around the rooms of a test, and a token for its project."""

    def __init__(self, world, project) -> None:
        self.services = SimpleNamespace(
            rooms=world.rooms,
            storage=world.storage,
            config=SimpleNamespace(static=""),
            sources=SourceLimits(posts_per_s=0.2),
            draining=False,
        )
        self.app = create_app(cast(Any, self.services))
        self.table = MediaSessions(world.rooms, world.storage, clock=lambda: world.now, monotonic=lambda: 0.0)
        self.app.state.media_sessions = self.table
        self.path = f"/whip/{project.app_id}/room/cam"
        self.headers = {
            "authorization": f"Bearer {world.token(project, 'obs')}",
            "content-type": "application/sdp",
        }

    async def request(
        self, method: str, path: str, *, prefix: str = "", proxies: tuple[str, ...] = (), **more: Any
    ) -> httpx.Response:
        app = Proxied(self.app, proxies=proxies, prefix=prefix)
        transport = httpx.ASGITransport(app=cast(Any, app))
        headers = {**self.headers, **more.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **more)

    async def post(self, **more: Any) -> httpx.Response:
        return await self.request("POST", self.path, **{"content": make_offer(), **more})


@pytest.fixture
def site(world):
    project = new_project("test", l3=False, max_plays=12, now=world.now)
    world.storage.rows[project.app_id] = project
    return Site(world, project)


async def test_another_node_may_hold_the_session(site, world):
    asked = []

    async def locate(kind, target):
        asked.append((kind.value, target.room_id, target.stream_id))
        return "https://other.example/live/"

    site.app.state.locate = locate
    site.path = site.path.replace("room", "a%23b")
    response = await site.request("POST", site.path + "?mode=rtc", content=make_offer())
    assert response.status_code == 307
    assert response.headers["location"] == f"https://other.example/live{site.path}?mode=rtc"
    assert response.headers["access-control-allow-origin"] == "*"
    assert asked == [("whip", "a#b", "cam")]
    assert world.rooms.counts()["connections"] == 0


@pytest.mark.parametrize("prefix", ["", "/live"])
async def test_the_session_lies_under_the_prefix(site, prefix):
    response = await site.post(prefix=prefix)
    location = response.headers["location"]
    assert location.startswith(f"{prefix}/whip/sessions/")
    assert (await site.request("DELETE", location, prefix=prefix)).status_code == 200
    assert len(site.table) == 0


async def test_a_server_that_goes_down_begins_nothing(site, world):
    site.services.draining = True
    response = await site.post()
    assert (response.status_code, response.json()["code"]) == (503, 1002052)
    assert int(response.headers["retry-after"]) > 0
    assert world.rooms.counts()["connections"] == 0


async def test_a_body_that_does_not_arrive(site, monkeypatch):
    monkeypatch.setattr(exchange, "BODY_TIMEOUT_S", 0.0)

    async def slowly():
        yield b"v=0\r\n"
        await never.wait()

    never = asyncio.Event()
    transport_body = slowly()
    messages = []

    async def receive():
        part = await anext(transport_body)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message):
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": site.path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in site.headers.items()],
        "client": ("192.0.2.1", 1),
        "root_path": "",
    }
    await site.app(scope, receive, send)
    assert messages[0]["status"] == 408
    assert (b"connection", b"close") in messages[0]["headers"]


@pytest.mark.parametrize("kind", ["whip", "whep"])
async def test_posts_of_one_source_are_limited(site, world, kind):
    site.path = site.path.replace("whip", kind)
    for _ in range(2):
        assert (await site.post(headers={"authorization": ""})).status_code == 401
    response = await site.post()
    assert (response.status_code, response.json()["code"]) == (429, 1002073)
    assert int(response.headers["retry-after"]) == 5
    assert response.headers["access-control-allow-origin"] == "*"
    assert world.rooms.counts()["connections"] == 0
    # Questions about the endpoint are not posts.
    assert (await site.request("OPTIONS", site.path)).status_code == 200


async def test_behind_a_proxy_each_client_is_a_source(site):
    async def post(client: str, *proxies: str) -> int:
        headers = {"authorization": "", "x-forwarded-for": client}
        return (await site.post(headers=headers, proxies=proxies)).status_code

    believed = "127.0.0.1"
    assert [await post("192.0.2.1", believed) for _ in range(3)] == [401, 401, 429]
    assert await post("192.0.2.2", believed) == 401
    # A header of somebody who is no proxy makes nobody another source.
    assert [await post(f"192.0.2.{number}") for number in range(3, 6)] == [401, 401, 429]


async def test_another_user_cannot_end_a_session(site, world):
    location = (await site.post()).headers["location"]
    (project,) = await world.storage.projects()
    other = {"authorization": f"Bearer {world.token(project, 'eve')}"}
    response = await site.request("DELETE", location, headers=other)
    assert (response.status_code, response.json()["code"]) == (403, 1002033)
    # A new token of the same user does, and so does the first one, long after it has expired.
    world.now += 1800
    fresh = {"authorization": f"Bearer {world.token(project, 'obs')}"}
    assert (await site.request("GET", location, headers=fresh)).status_code == 204
    world.now += 100_000
    assert (await site.request("GET", location, headers=fresh)).status_code == 401
    assert (await site.request("DELETE", location)).status_code == 200
    assert world.rooms.counts()["connections"] == 0


async def test_a_session_belongs_to_its_protocol(site):
    location = (await site.post()).headers["location"]
    assert (await site.request("DELETE", location.replace("/whip/", "/whep/"))).status_code == 404
    assert (await site.request("DELETE", location)).status_code == 200


async def test_a_fault_of_the_server_is_a_problem_too(site, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.table, "publish", broken)
    response = await site.post()
    assert (response.status_code, response.json()["code"]) == (500, 1000099)
    assert "secret" not in response.text


async def test_errors_are_counted_by_code(site, world):
    await site.post(content="junk")
    await site.post(headers={"authorization": ""})
    assert world.rooms.errors == {1000017: 1, 1002067: 1}


def test_the_document_of_the_routes_is_the_generated_one():
    assert json.loads((ROOT / "schema/openapi.json").read_text()) == api_document()


def test_every_answer_of_the_document_is_described():
    for path in (p for p in api_document()["paths"] if p.startswith(("/whip/", "/whep/"))):
        for method, operation in api_document()["paths"][path].items():
            assert operation["summary"] and operation["responses"], (path, method)
            # Where an offer is read, or the answer to a counter-offer; nowhere of the framework's own accord.
            reads = method == "post" or (method == "patch" and path.startswith("/whep/"))
            assert ("422" in operation["responses"]) == reads, (path, method)


async def test_what_a_room_tells_its_members_is_no_reply_to_an_http_client():
    """A broadcast that comes while an answer is awaited must not be taken for it."""
    ended: list[str] = []
    outbox = _ReplyOutbox(ended.append)
    for notice in (
        messages.BroadcastNotice(1, '{"type":"ok","seq":1}', 5, messages.User("bob")),
        messages.OnlineCountNotice(3),
        messages.TokenWillExpire(30),
        messages.DeviceStateNotice("cam", 1, 2),
    ):
        outbox.send(encode(notice))
        assert outbox.take() is None
    for reply in (messages.Ok(1), messages.ViewerAnswer(2, "v=0"), messages.Error(1002033, "no", seq=3)):
        outbox.send(encode(reply))
        assert outbox.take() == reply
    assert ended == []
    outbox.send(encode(messages.Kicked(1002055, "removed by the server")))
    assert ended == ["removed by the server"]


async def test_an_address_that_the_project_does_not_admit_is_refused(site, world):
    (app_id,) = world.storage.rows
    await world.storage.update_project(app_id, settings={"allowed_addresses": "198.51.100.0/24"})
    for path in (site.path, site.path.replace("/whip/", "/whep/")):
        response = await site.request("POST", path, content=make_offer())
        assert (response.status_code, response.json()["code"]) == (403, 1000039)
    assert world.rooms.counts()["connections"] == 0

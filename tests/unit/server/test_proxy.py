from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from sanderling.server.proxy import Proxied, origin_of

PROXY = "10.0.0.1"
CLIENT = "192.0.2.7"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Speaks ASGI to an application, as the server does for a connection that comes from ``peer``."""

    def __init__(self, app: Any, peer: str) -> None:
        self._app = app
        self._peer = peer

    async def _run(self, kind: str, path: str, headers: dict[str, str | bytes], *events: Any) -> list[Any]:
        scope = {
            "type": kind,
            "method": "GET",
            "scheme": "ws" if kind == "websocket" else "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                (b"host", b"inner:7700"),
                *(
                    (n.lower().encode(), v if isinstance(v, bytes) else v.encode())
                    for n, v in headers.items()
                ),
            ],
            "client": (self._peer, 4000),
            "server": ("127.0.0.1", 7700),
        }
        waiting, sent = list(events), []

        async def receive() -> Any:
            # Nothing more comes, and the connection stays.
            return waiting.pop(0) if waiting else await asyncio.Future()

        async def send(event: Any) -> None:
            sent.append(event)

        await self._app(scope, receive, send)
        return sent

    async def get(self, path: str, headers: dict[str, str | bytes] | None = None) -> Reply:
        sent = await self._run("http", path, headers or {}, {"type": "http.request", "body": b""})
        body = b"".join(event.get("body", b"") for event in sent[1:])
        replied = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], replied, body.decode())

    async def connect(self, path: str, headers: dict[str, str | bytes]) -> Any:
        """The first message of a WebSocket."""
        sent = await self._run("websocket", path, headers, {"type": "websocket.connect"})
        return json.loads(next(event["text"] for event in sent if event["type"] == "websocket.send"))


@pytest.fixture
def make(tmp_path):
    """A client that comes from ``peer``, and an application that tells what it sees."""

    async def seen(request: Request) -> JSONResponse:
        return JSONResponse({"origin": origin_of(request.scope["client"]), "url": str(request.url)})

    async def signalling(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({"origin": origin_of(socket.scope["client"]), "scheme": socket.url.scheme})
        await socket.close()

    page = tmp_path / "debug"
    page.mkdir()
    (page / "index.html").write_text("the page")
    app = Starlette(
        routes=[
            Route("/healthz", seen),
            WebSocketRoute("/ws", signalling),
            Mount("/", StaticFiles(directory=tmp_path, html=True)),
        ]
    )

    def client(*, peer: str = PROXY, **settings: Any) -> Client:
        return Client(Proxied(app, **settings), peer)

    return client


HEADERS = {
    "X-Forwarded-For": CLIENT,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "live.example.org",
}


async def test_headers_of_a_named_proxy_count(make):
    seen = (await make(proxies=["10.0.0.0/8"]).get("/healthz", headers=HEADERS)).json()
    assert seen == {"origin": CLIENT, "url": "https://live.example.org/healthz"}


@pytest.mark.parametrize(("peer", "proxies"), [("10.0.0.1", []), ("192.0.2.66", ["10.0.0.0/8"])])
async def test_headers_of_anybody_else_do_not(make, peer, proxies):
    headers = {**HEADERS, "X-Forwarded-Prefix": "/evil"}
    seen = (await make(peer=peer, proxies=proxies).get("/healthz", headers=headers)).json()
    assert seen == {"origin": f"{peer}:4000", "url": "http://inner:7700/healthz"}


async def test_what_a_client_wrote_before_the_proxy_does_not_count(make):
    headers = {
        "X-Forwarded-For": f"203.0.113.66, {CLIENT}",
        "X-Forwarded-Host": "evil.example, live.example.org",
    }
    seen = (await make(proxies=[PROXY]).get("/healthz", headers=headers)).json()
    assert seen == {"origin": CLIENT, "url": "http://live.example.org/healthz"}


async def test_a_chain_of_named_proxies_is_followed_to_the_client(make):
    headers = {"X-Forwarded-For": f"{CLIENT}, 10.9.9.9"}
    assert (await make(proxies=["10.0.0.0/8"]).get("/healthz", headers=headers)).json()["origin"] == CLIENT


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": 'a"b'},
        {"X-Forwarded-Host": "a/b"},
        {"X-Forwarded-Prefix": "/a b"},
        {"X-Forwarded-Prefix": "/../x"},
        {"X-Forwarded-Prefix": "/\xff"},
        {"X-Forwarded-Proto": "gopher"},
        {"X-Forwarded-For": ""},
    ],
)
async def test_junk_in_headers_changes_nothing(make, headers):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    seen = (await make(proxies=[PROXY]).get("/healthz", headers=encoded)).json()
    assert seen == {"origin": f"{PROXY}:4000", "url": "http://inner:7700/healthz"}


@pytest.mark.parametrize("path", ["/live/healthz", "/healthz"])
async def test_the_prefix_may_be_handed_on_or_cut_off(make, path):
    seen = (await make(prefix="/live").get(path)).json()
    assert seen["url"] == "http://inner:7700/live/healthz"


@pytest.mark.parametrize("path", ["/live/debug", "/debug"])
async def test_redirects_stay_under_the_prefix(make, path):
    client = make(prefix="/live", proxies=[PROXY])
    moved = await client.get(path, headers=HEADERS)
    assert moved.headers["location"] == "https://live.example.org/live/debug/"
    assert (await client.get("/live/debug/")).text == "the page"


async def test_the_prefix_alone_leads_to_the_page(make):
    moved = await make(prefix="/live/debug").get("/live/debug")
    assert moved.status in (301, 302, 307, 308)
    assert moved.headers["location"].endswith("/live/debug/")


async def test_a_prefix_that_only_begins_alike_is_another_path(make):
    assert (await make(prefix="/live").get("/lively/healthz")).status == 404


async def test_a_proxy_may_name_the_prefix(make):
    headers = {**HEADERS, "X-Forwarded-Prefix": "/tv"}
    seen = (await make(proxies=[PROXY]).get("/healthz", headers=headers)).json()
    assert seen["url"] == "https://live.example.org/tv/healthz"


async def test_signalling_works_under_the_prefix_with_the_clients_address(make):
    client = make(prefix="/live", proxies=[PROXY])
    assert await client.connect("/live/ws", HEADERS) == {"origin": CLIENT, "scheme": "wss"}


async def test_ipv4_on_a_socket_for_both_families_is_ipv4(make):
    client = make(peer=f"::ffff:{PROXY}", proxies=["10.0.0.0/8"])
    assert (await client.get("/healthz", headers=HEADERS)).json()["origin"] == CLIENT
    plain = make(peer=f"::ffff:{CLIENT}")
    assert (await plain.get("/healthz")).json()["origin"] == f"{CLIENT}:4000"


@pytest.mark.parametrize(
    ("client", "origin"),
    [
        (("192.0.2.7", 51000), "192.0.2.7:51000"),
        (("2001:db8::7", 51000), "[2001:db8::7]:51000"),
        (("2001:db8::7", 0), "2001:db8::7"),
        (None, ""),
        ((), ""),
        ("junk", ""),
    ],
)
def test_origins(client, origin):
    assert origin_of(client) == origin

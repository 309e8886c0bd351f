"""The server over its own socket: a raw WebSocket client and real WebRTC peers. Every error the product names."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.frames import PixelFormat, VideoFrame
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.viewer import ViewerTransport
from sanderling.server.storage import Project
from sanderling.testing import TestServer, server
from sanderling.testing.fake_engine import FakeModule, make_offer

pytestmark = pytest.mark.processes

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""

Json = dict[str, Any]


class Client:
    """A WebSocket and the messages read from it: replies by seq, notices in order."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.seq = itertools.count(1)
        self.notices: list[Json] = []

    async def read(self) -> Json:
        async with asyncio.timeout(LIMIT_S):
            return json.loads(await self.socket.recv())

    async def request(self, type_: str, **fields: Any) -> Json:
        seq = next(self.seq)
        await self.socket.send(json.dumps({"type": type_, "seq": seq, **fields}))
        while True:
            message = await self.read()
            if message.get("seq") == seq:
                return message
            self.notices.append(message)

    async def ok(self, type_: str, **fields: Any) -> Json:
        reply = await self.request(type_, **fields)
        assert reply["type"] != "error", reply
        return reply

    async def error(self, code: int, type_: str, **fields: Any) -> Json:
        reply = await self.request(type_, **fields)
        assert (reply["type"], reply.get("code")) == ("error", code), reply
        assert reply["message"]
        return reply

    async def notice(self, type_: str, **fields: Any) -> Json:
        """The next notice of this kind with these fields; others before it are dropped."""
        while True:
            message = self.notices.pop(0) if self.notices else await self.read()
            if message["type"] == type_ and fields.items() <= message.items():
                return message

    async def closed(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    self.notices.append(json.loads(await self.socket.recv()))
        assert self.socket.close_code is not None
        return self.socket.close_code


class Stage:
    """A server, a project, and clients that are closed at the end."""

    def __init__(self, running: TestServer, project: Project) -> None:
        self.server = running
        self.project = project
        self.stack = contextlib.AsyncExitStack()

    async def client(self) -> Client:
        return Client(await self.stack.enter_async_context(connect(self.server.ws_url)))

    def login_fields(self, user_id: str, room_id: str = "room", **changes: Any) -> Json:
        project = changes.pop("project", self.project)
        return {
            "app_id": project.app_id,
            "room_id": room_id,
            "user": {"user_id": user_id, "user_name": user_id},
            "token": self.server.token(project, user_id) if user_id else "04",
            "config": {"is_user_status_notify": True},
            **changes,
        }

    async def logged_in(self, user_id: str, room_id: str = "room", **changes: Any) -> Client:
        client = await self.client()
        await client.ok("login", **self.login_fields(user_id, room_id, **changes))
        return client

    async def empty(self) -> None:
        """Wait until the server holds nothing; what the last client held goes as soon as its socket does."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                held = await self.server.snapshot()
                if not any(held["counts"].values()) and held["sessions"] == 0:
                    break
                await asyncio.sleep(0.01)  # another thread works on it
        assert held["registry"] == {"users": 0, "streams": 0}
        assert held["subscriptions"] == 0
        assert held["engine"]["sessions"] == 0


@contextlib.asynccontextmanager
async def stage(*, l3: bool = True, max_plays: int = 12, **arguments: Any) -> AsyncIterator[Stage]:
    async with server(**arguments) as running:
        on = Stage(running, await running.create_project(l3=l3, max_plays=max_plays))
        async with on.stack:
            yield on


@contextlib.asynccontextmanager
async def publishing(client: Client, stream_id: str, **fields: Any) -> AsyncIterator[Json]:
    """Publish moving pictures over a real transport; live inside."""
    publisher = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=lambda *_: None)
    try:
        reply = await client.ok("publish", stream_id=stream_id, offer=await publisher.offer(), **fields)
        await publisher.accept(reply["answer"])
        await client.notice("publisher_state", stream_id=stream_id, state=2)
        task = asyncio.create_task(_send(publisher))
        try:
            yield reply
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        publisher.close()


async def _send(publisher: PublisherTransport) -> None:
    assert publisher.video is not None
    for number in itertools.count():
        picture = np.full((180, 320, 4), number % 256, np.uint8)
        publisher.video.write(
            VideoFrame.from_ndarray(picture, PixelFormat.RGBA, captured_ns=time.monotonic_ns())
        )
        await asyncio.sleep(0.04)  # the pace of the source, as of a camera


@contextlib.asynccontextmanager
async def watching(on: Stage, user_id: str, room_id: str = "room") -> AsyncIterator[Client]:
    """Log in with a real viewer transport."""
    viewer = ViewerTransport((), lambda *_: None)
    try:
        client = await on.client()
        fields = on.login_fields(user_id, room_id, viewer_offer=await viewer.offer())
        reply = await client.ok("login", **fields)
        await viewer.accept(reply["viewer_answer"])
        yield client
    finally:
        viewer.close()


async def test_a_stream_from_login_to_delete_with_real_peers() -> None:
    async with stage() as on:
        alice = await on.logged_in("alice")
        async with watching(on, "bob") as bob:
            joined = await alice.notice("user_notice", update=0)
            assert [user["user_id"] for user in joined["users"]] == ["bob"]
            async with publishing(alice, "cam", extra_info="hello"):
                added = await bob.notice("stream_notice", update=0)
                (stream,) = added["streams"]
                assert (stream["stream_id"], stream["user"]["user_id"]) == ("cam", "alice")
                assert stream["extra_info"] == "hello"
                reply = await bob.ok("play", stream_id="cam", resource_mode=2)
                assert reply["resource_mode"] == 2
                assert {track["kind"] for track in reply["tracks"]} == {"audio", "video"}
                bound = await bob.notice("slot_bound", kind="video")
                assert bound["mid"] == reply["video_mid"]
                # First media of either track comes first; the state follows it once.
                assert (await bob.notice("player_state", stream_id="cam"))["state"] == 2
                await alice.ok("stop_publish", stream_id="cam")
                assert (await bob.notice("player_state", stream_id="cam")).get("state", 0) == 0
                gone = await bob.notice("stream_notice", update=1)
                assert [(s["stream_id"], s["delete_reason"]) for s in gone["streams"]] == [("cam", 1)]
            await bob.ok("logout")
            assert await bob.closed() == 1000
        assert (await alice.notice("user_notice", update=1))["users"][0]["user_id"] == "bob"
        await alice.ok("logout")
        await on.empty()


async def test_l3_follows_the_command_line_within_a_second_without_a_restart() -> None:
    async with stage(l3=False) as on:
        alice = await on.logged_in("alice")
        async with publishing(alice, "cam"), watching(on, "bob") as bob:
            await bob.error(1004072, "play", stream_id="cam", resource_mode=2)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sanderling.cli.main", "project", "set", "--l3", "on"),
                *("--state", str(on.server.state)),
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == 0
            # The next play sees it: no time has to pass.
            reply = await bob.ok("play", stream_id="cam", resource_mode=2)
            assert reply["resource_mode"] == 2
            await bob.notice("player_state", stream_id="cam", state=2)


async def test_errors_of_the_login() -> None:
    async with stage() as on:
        client = await on.client()
        for code, changes in [
            (1002067, {"token": ""}),
            (1001000, {"app_id": 0}),
            (1001004, {"app_id": on.project.app_id % (2**32 - 1) + 1}),
            (1002005, {"user": {}}),
            (1002005, {"user": {"user_id": "", "user_name": "x"}}),
            (1001005, {"token": "", "app_sign": "0" * 64}),
            (1002077, {"token": on.server.token(on.project, "somebody-else")}),
            (1002078, {"token": on.server.token(on.project, "alice", expire_s=10, now=time.time() - 60)}),
            (1002079, {"token": "03" + on.server.token(on.project, "alice")[2:]}),
            (1002033, {"token": on.server.token(on.project, "alice")[:-8]}),
            (1002033, {"token": on.server.token(on.project, "alice", room_id="other")}),
            (1002033, {"token": on.server.token(on.project, "alice", room_id="room", can_login=False)}),
            (1000017, {"room_id": 5}),
        ]:
            await client.error(code, "login", **on.login_fields("alice", **changes))
            if code == 1000017:
                break
        await client.error(1000002, "publish", stream_id="cam", offer=make_offer())
        await client.error(1000002, "play", stream_id="cam")
        await client.ok("login", **on.login_fields("alice"))
        await client.error(1002001, "login", **on.login_fields("alice"))


async def test_errors_of_publishing() -> None:
    async with stage() as on:
        second = await on.server.create_project()
        alice, bob = await on.logged_in("alice"), await on.logged_in("bob")
        carol = await on.logged_in("carol", "another-room")
        dave = await on.logged_in("dave", project=second)
        eve_token = on.server.token(on.project, "eve", room_id="room", can_publish=False)
        eve = await on.logged_in("eve", token=eve_token)
        async with publishing(alice, "cam"):
            publisher = PublisherTransport(
                PublisherConfig(), video=True, audio=True, on_state=lambda *_: None
            )
            try:
                offer = await publisher.offer()
                await bob.error(1003028, "publish", stream_id="cam", offer=offer)
                await carol.error(1003028, "publish", stream_id="cam", offer=offer)
                await eve.error(1003072, "publish", stream_id="evil", offer=offer)
                await alice.error(1003023, "publish", stream_id="second", offer=offer)
                await bob.error(1003001, "publish", stream_id="bad", offer="v=0\r\n")
                await bob.error(1000016, "publish", stream_id="a b", offer=offer)
                # The same room and stream in another project are others.
                await dave.error(1004002, "play", stream_id="cam")
                await dave.ok("publish", stream_id="cam", offer=offer)
            finally:
                publisher.close()
            # The first goes on undisturbed: it can still be watched.
            async with watching(on, "viewer") as viewer:
                await viewer.ok("play", stream_id="cam")
                await viewer.notice("player_state", stream_id="cam", state=2)
        assert [n for n in dave.notices if n["type"] == "stream_notice"] == []


async def test_the_thirteenth_play_is_refused() -> None:
    """With the stand-in engine: what counts is the count."""
    module = FakeModule()
    async with stage(native=module) as on:
        hosts = [await on.logged_in(f"host{number}") for number in range(4)]
        for number in range(13):
            await hosts[number // 4].ok(
                "publish", stream_id=f"s{number}", offer=make_offer(), channel=number % 4
            )
        bob = await on.logged_in("bob", viewer_offer=make_offer("recvonly", audio=16, video=16))
        for number in range(12):
            await bob.ok("play", stream_id=f"s{number}")
        await bob.error(1004010, "play", stream_id="s12")


async def test_a_codec_the_viewer_lacks_is_1004080() -> None:
    async with stage(native=FakeModule()) as on:
        alice = await on.logged_in("alice")
        await alice.ok("publish", stream_id="av1", offer=make_offer(video_codecs=("AV1",)))
        bob = await on.logged_in("bob", viewer_offer=make_offer("recvonly"))
        reply = await bob.error(1004080, "play", stream_id="av1")
        assert "AV1" in reply["message"]
        assert reply["hint"]


async def test_publish_sent_behind_an_unanswered_login_works() -> None:
    async with stage(native=FakeModule()) as on:
        client = await on.client()
        login = {"type": "login", "seq": 1, **on.login_fields("alice")}
        publish = {"type": "publish", "seq": 2, "stream_id": "cam", "offer": make_offer()}
        await client.socket.send(json.dumps(login))
        await client.socket.send(json.dumps(publish))
        assert [(await client.read())["type"] for _ in range(2)] == ["login_ok", "publish_ok"]


async def test_the_same_user_elsewhere_ends_the_first_session() -> None:
    async with stage() as on:
        first = await on.logged_in("alice")
        await on.logged_in("alice", "another-room")
        kicked = await first.notice("kicked")
        assert kicked["code"] == 1002050
        assert kicked["origin"].startswith("127.0.0.1:")
        assert await first.closed() == 1000


@pytest.mark.parametrize(
    ("junk", "seq"),
    [
        ("{", 0),
        ("[]", 0),
        ('{"type":"dance","seq":7}', 7),
        ('{"type":"login","seq":"x"}', 0),
        ('{"seq":9}', 9),
        ("\x00" * 100, 0),
        ("[" * 50_000, 0),
        (b"\x00\xff\x17" * 100, 0),
        (b"", 0),
    ],
)
async def test_junk_is_an_error_and_repeated_the_end(junk: str | bytes, seq: int) -> None:
    async with stage(native=FakeModule()) as on:
        client = await on.client()
        await client.socket.send(junk)
        error = await client.read()
        assert (error["type"], error["code"], error.get("seq", 0)) == ("error", 1000017, seq)
        # One slip is forgiven.
        await client.ok("login", **on.login_fields("alice"))
        for _ in range(2):
            await client.socket.send(junk)
        assert await client.closed() == 1008
        await on.empty()


async def test_an_oversized_message_closes_its_connection_alone() -> None:
    async with stage(native=FakeModule()) as on:
        other = await on.logged_in("bob")
        client = await on.logged_in("alice")
        with contextlib.suppress(websockets.ConnectionClosed):
            await client.socket.send('{"type":"publish","offer":"' + "x" * 300_000)
        assert await client.closed() == 1009
        assert (await other.notice("user_notice", update=1))["users"][0]["user_id"] == "alice"
        await other.ok("heartbeat")


async def test_a_small_message_that_unpacks_to_a_huge_one_is_refused() -> None:
    async with stage(native=FakeModule()) as on:
        client = await on.client()
        with contextlib.suppress(websockets.ConnectionClosed):
            await client.socket.send(" " * 50_000_000)
        assert await client.closed() == 1009


async def test_silence_ends_a_session_with_its_reason() -> None:
    async with stage(native=FakeModule(), heartbeat_timeout_s=0.3) as on:
        bob = await on.client()
        fields = on.login_fields("bob")
        login = await bob.ok("login", **fields)
        assert login["heartbeat_ms"] == 100
        alice = await on.logged_in("alice")
        await alice.ok("publish", stream_id="cam", offer=make_offer())
        session = next(number for number, held in _native(on).sessions.items() if held.kind == "publisher")
        on.server.loop.call_soon_threadsafe(_native(on).connect, session)
        await alice.notice("publisher_state", state=2)

        async def beat() -> None:
            while True:
                await bob.socket.send(json.dumps({"type": "heartbeat", "seq": next(bob.seq)}))
                await asyncio.sleep(0.1)  # as the protocol asks for

        beating = asyncio.create_task(beat())
        try:
            gone = await bob.notice("stream_notice", update=1)
            assert gone["streams"][0]["delete_reason"] == 2
        finally:
            beating.cancel()
        last = await alice.notice("error")
        assert (last["code"], last.get("seq", 0)) == (1002052, 0)
        assert await alice.closed() == 1008


def _native(on: Stage) -> Any:
    return on.server.services.engine._engine


async def test_a_connection_that_never_logs_in_is_closed() -> None:
    async with stage(native=FakeModule(), login_timeout_s=0.2) as on:
        client = await on.client()
        assert (await client.read())["code"] == 1002031
        assert await client.closed() == 1008
        await on.empty()


async def test_a_connection_cut_without_goodbye_is_cleaned_at_once() -> None:
    async with stage(native=FakeModule()) as on:
        bob = await on.logged_in("bob")
        alice = await on.logged_in("alice")
        await alice.ok("publish", stream_id="cam", offer=make_offer())
        session = next(n for n, held in _native(on).sessions.items() if held.kind == "publisher")
        on.server.loop.call_soon_threadsafe(_native(on).connect, session)
        await bob.notice("stream_notice", update=0)
        alice.socket.transport.abort()
        gone = await bob.notice("stream_notice", update=1)
        assert gone["streams"][0]["delete_reason"] == 5
        assert session not in _native(on).sessions


async def test_a_slow_reader_is_closed_and_harms_nobody() -> None:
    async with stage(native=FakeModule(), messages_per_s=100_000) as on:
        fast = await on.logged_in("fast")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", on.server.port))
        slow = Client(
            await on.stack.enter_async_context(connect(on.server.ws_url, sock=raw, compression=None))
        )
        await slow.ok("login", **on.login_fields("slow"))
        slow.socket.transport.pause_reading()
        # Answers that nobody reads fill the socket, then the outbox; then the server gives up on this client.
        asking = asyncio.create_task(_ask_for_ever(slow))
        try:
            gone = await fast.notice("user_notice", update=1)
            assert gone["users"][0]["user_id"] == "slow"
            await fast.ok("heartbeat")
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            slow.socket.transport.abort()


async def _ask_for_ever(client: Client) -> None:
    text = json.dumps({"type": "play", "seq": 1, "stream_id": "s" * 255})
    while True:
        for _ in range(200):
            await client.socket.send(text)
        await asyncio.sleep(0)


async def test_messages_over_the_rate_are_1002073() -> None:
    async with stage(native=FakeModule(), messages_per_s=1) as on:
        client = await on.client()
        for _ in range(2):
            await client.ok("heartbeat")
        reply = await client.error(1002073, "heartbeat")
        assert 0 < reply["retry_after_ms"] <= 1000


async def test_half_open_sockets_do_no_harm_and_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.server.ws.protocol.REQUEST_TIMEOUT_S", 0.2)
    async with stage(native=FakeModule()) as on:
        loop = asyncio.get_running_loop()
        sockets = []
        for beginning in (b"", b"GET /ws HT", b"\x16\x03\x01" + bytes(200)):
            half = socket.socket()
            half.setblocking(False)
            await loop.sock_connect(half, ("127.0.0.1", on.server.port))
            await loop.sock_sendall(half, beginning)
            sockets.append(half)
        await (await on.logged_in("alice")).ok("heartbeat")
        for half in sockets:
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(LIMIT_S):
                    while await loop.sock_recv(half, 4096):
                        pass
            half.close()


async def test_random_bytes_on_the_media_port_do_no_harm() -> None:
    async with stage() as on:
        random = np.random.default_rng(7)
        (candidate, *_) = on.server.services.engine.candidates[0]
        port = int(candidate.split()[-1])
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            noise.setblocking(False)
            for size in random.integers(1, 1400, 500):
                await loop.sock_sendto(noise, random.bytes(int(size)), ("127.0.0.1", port))
        with socket.socket() as stream:
            stream.setblocking(False)
            await loop.sock_connect(stream, ("127.0.0.1", port))
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(stream, random.bytes(10_000))
        alice = await on.logged_in("alice")
        async with publishing(alice, "cam"), watching(on, "bob") as bob:
            await bob.ok("play", stream_id="cam")
            await bob.notice("player_state", stream_id="cam", state=2)


async def test_health_metrics_and_snapshot() -> None:
    async with stage(admin_secret="open sesame") as on, httpx.AsyncClient(base_url=on.server.url) as http:
        await on.logged_in("alice")
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        metrics = (await http.get("/metrics")).text
        assert "sanderling_users 1.0" in metrics
        assert 'sanderling_messages_received_total{type="login"} 1.0' in metrics
        snapshot = (await http.get("/debug/snapshot")).json()
        assert snapshot["counts"]["users"] == 1
        assert snapshot["rooms"][0]["members"][0]["user_id"] == "alice"
        # A request that was forwarded is not one from this machine.
        forwarded = {"X-Forwarded-For": "192.0.2.1"}
        assert (await http.get("/debug/snapshot", headers=forwarded)).status_code == 403
        opened = {**forwarded, "X-Sanderling-Admin": "open sesame"}
        assert (await http.get("/debug/snapshot", headers=opened)).status_code == 200
        assert (await http.get("/")).status_code == 200
        await on.server.call(on.server.services.storage.aclose())
        down = await http.get("/healthz")
        assert (down.status_code, list(down.json()["down"])) == (503, ["storage"])


async def test_clients_are_told_when_the_server_goes_down() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with stage(native=FakeModule()) as on:
            client = await on.logged_in("alice")
            on.stack.pop_all()
            stack.push_async_callback(client.socket.close)
        assert (await client.notice("error"))["code"] == 1002052
        assert await client.closed() in {1012, 1013}

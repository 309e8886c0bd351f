"""Junk, floods, silence and half-open sockets: each does no harm, and the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import connect

from sanderling.testing.fake_engine import FakeModule, make_offer
from scenario.signalling import LIMIT_S, Client, Stage, publishing, stage, watching

pytestmark = pytest.mark.processes


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
        ('{"seq":3,"type":"' + "\\u0001" * 40_000 + '"}', 3),
        ('{"type":"login","seq":4,"app_id":1,"room_id":"\\ud800"}', 0),
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


async def test_logins_from_one_address_are_limited() -> None:
    async with stage(native=FakeModule(), logins_per_s=0.1) as on:
        await on.logged_in("alice")
        client = await on.client()
        refused = await client.error(1002073, "login", **on.login_fields("bob"))
        assert 0 < refused["retry_after_ms"] <= 10_000
        assert "logins" in refused["message"]
        # Whoever is in goes on, and the connection that was refused may try again.
        await client.error(1000002, "stop_play", stream_id="cam")
        assert on.server.services.rooms.counts()["users"] == 1


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
    # Refused with a long sentence, and without a look at the database.
    text = json.dumps({"type": "switch_resource", "seq": 1, "stream_id": "s" * 2000, "resource": 1})
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

"""The server over its own socket, with real WebRTC peers: every answer and every error the product names."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time

import httpx
import pytest

from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.server.ws.protocol import BoundedWebSocketProtocol
from sanderling.testing.fake_engine import FakeModule, make_offer
from scenario.signalling import publishing, stage, watching

pytestmark = pytest.mark.processes


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


async def test_health_metrics_and_snapshot() -> None:
    async with stage(admin_secret="open sesame") as on, httpx.AsyncClient(base_url=on.server.url) as http:
        await on.logged_in("alice")
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        metrics = (await http.get("/metrics")).text
        assert "sanderling_users 1.0" in metrics
        assert 'sanderling_messages_received_total{type="login"} 1.0' in metrics
        # The connection is still open: a dashboard must not wait for its end.
        assert "sanderling_messages_sent_total 1.0" in metrics
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


def protocols() -> list[BoundedWebSocketProtocol]:
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is BoundedWebSocketProtocol]


async def test_headers_are_let_go_of_once_the_handshake_is_done() -> None:
    before = {id(each) for each in protocols()}
    async with stage(native=FakeModule()) as on:
        client = await on.client()
        await client.ok("login", **on.login_fields("alice"))
        (protocol,) = [each for each in protocols() if id(each) not in before]
        assert (protocol.request.path, protocol.response.status_code) == ("/ws", 101)
        assert (len(protocol.request.headers), len(protocol.response.headers)) == (0, 0)
        assert protocol.scope["headers"] == []

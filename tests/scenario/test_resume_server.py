"""Resumption over real sockets, with real media: what a client gets back, and what the others see meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from typing import Any

import pytest

from sanderling.testing.fake_engine import FakeModule
from scenario.signalling import LIMIT_S, Client, Json, Stage, publishing, stage

pytestmark = pytest.mark.processes


async def resumable(on: Stage, user_id: str) -> tuple[Client, Json]:
    client = await on.client()
    return client, await client.ok("login", **on.login_fields(user_id, resumable=True))


def abort(client: Client) -> None:
    """Cut the TCP connection without a word, as a network does."""
    client.socket.transport.abort()


async def resumed(on: Stage, former: Client, login: Json, received: int) -> tuple[Client, Json]:
    client = await on.client()
    client.seq = former.seq
    key = {"session_id": login["session_id"], "secret": login["secret"]}
    return client, await client.ok("resume", **key, received=received)


async def members(on: Stage) -> dict[str, Any]:
    snapshot = await on.server.snapshot()
    return {member["user_id"]: member for room in snapshot["rooms"] for member in room["members"]}


async def until(on: Stage, user_id: str, **state: Any) -> None:
    """Wait until the server holds ``user_id`` in this state."""
    async with asyncio.timeout(LIMIT_S):
        while not state.items() <= (await members(on)).get(user_id, {}).items():
            await asyncio.sleep(0.02)  # another thread works on it


async def test_a_cut_connection_loses_nothing_and_shows_nothing() -> None:
    async with stage(native=FakeModule()) as on:
        bob = await on.logged_in("bob")
        alice, login = await resumable(on, "alice")
        await bob.notice("user_notice", update=0)
        await bob.ok("broadcast", text="one")
        await alice.notice("broadcast_notice", text="one")
        abort(alice)
        await until(on, "alice", connected=False)
        await bob.ok("broadcast", text="two")
        again, reply = await resumed(on, alice, login, received=1)
        assert (reply["missed"], reply["taken"]) == (1, 1)
        await again.notice("broadcast_notice", text="two")
        await again.ok("command", text="back", to=["bob"])
        # Nothing about Alice came before her message.
        assert [n["type"] for n in bob.notices] == []
        assert (await bob.read())["type"] == "command_notice"
        for client in (again, bob):
            await client.ok("logout")
        await on.empty()


async def test_a_client_that_died_is_told_of_and_one_whose_media_goes_on_is_not() -> None:
    async with stage(closed_timeout_s=2.0, heartbeat_timeout_s=4.0) as on:
        bob = await on.logged_in("bob")
        alice, login = await resumable(on, "alice")
        dead, _ = await resumable(on, "dead")
        async with publishing(alice, "cam"):
            await bob.notice("stream_notice", update=0)
            abort(dead)
            abort(alice)
            # Hers ends after two seconds; Alice's was lost at the same time, and her media goes on.
            gone = await bob.notice("user_notice", update=1)
            assert (gone["users"][0]["user_id"], gone["reason"]) == ("dead", 5)
            await until(on, "dead", present=False)
            assert (await members(on))["alice"]["present"]
            again, reply = await resumed(on, alice, login, received=2)
            assert reply["missed"] >= 1
            await again.notice("user_notice", update=1)
            abort(again)
            await until(on, "alice", connected=False)
        # Now her media has ended too.
        ended = await bob.notice("stream_notice", update=1)
        assert ended["streams"][0]["stream_id"] == "cam"
        await bob.notice("user_notice", update=1)


async def test_a_session_that_nobody_comes_back_for_leaves_nothing() -> None:
    async with stage(native=FakeModule(), closed_timeout_s=0.1, resume_timeout_s=0.3) as on:
        alice, login = await resumable(on, "alice")
        abort(alice)
        await on.empty()
        other = await on.client()
        key = {"session_id": login["session_id"], "secret": login["secret"]}
        await other.error(1002057, "resume", **key, received=0)


async def test_a_slow_reader_loses_its_connection_and_not_its_session() -> None:
    async with stage(native=FakeModule(), messages_per_s=100_000) as on:
        await on.server.change_project(on.project, group_commands_per_s=1_000_000)
        bob = await on.logged_in("bob")
        alice, login = await resumable(on, "alice")
        alice.socket.transport.pause_reading()
        sent = 0
        while (await members(on))["alice"]["connected"]:
            for _ in range(200):
                # Random bytes: what is sent does not get small by compression.
                content = base64.b64encode(secrets.token_bytes(4096)).decode()
                request = {"type": "transparent", "seq": next(bob.seq), "content": content}
                await bob.socket.send(json.dumps(request))
            sent += 200
            replies = 0
            while replies < 200:
                replies += (await bob.read())["type"] == "message_sent"
        assert sent > 200
        # More was missed than is kept: the session cannot be resumed, and says so.
        other = await on.client()
        key = {"session_id": login["session_id"], "secret": login["secret"]}
        await other.error(1002057, "resume", **key, received=0)
        await other.ok("login", **on.login_fields("alice"))

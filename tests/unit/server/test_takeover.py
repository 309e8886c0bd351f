"""A session whose client comes back on another connection while the former one still looks open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocket

from sanderling.server.rooms import presence
from sanderling.server.source_limits import SourceLimiter
from sanderling.server.ws.session import SessionLimits, SessionObserver, SignallingSession
from sanderling.signaling.codec import decode_server, encode
from sanderling.signaling.messages import (
    ClientMessage,
    Kicked,
    LoginOk,
    PublishOk,
    Resume,
    ResumeOk,
    ServerMessage,
    SwitchRoom,
)


def resumption(client: Any, login: LoginOk) -> Resume:
    return Resume(client.next_seq(), login.session_id, login.secret, 0)


class Wire:
    """The server's end of a WebSocket."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.coming.put_nowait({"type": "websocket.connect"})
        self.sent: list[ServerMessage] = []

    async def receive(self) -> dict[str, Any]:
        return await self.coming.get()

    async def send(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            self.sent.append(decode_server(event["text"].encode()))

    def give(self, message: ClientMessage) -> None:
        self.coming.put_nowait({"type": "websocket.receive", "text": encode(message).decode()})


async def connected(world) -> tuple[Wire, asyncio.Task[None]]:
    """A connection of the real kind: its session's end of the wire, and its task."""
    wire = Wire()
    scope = {"type": "websocket", "client": ("192.0.2.1", 1), "headers": [], "path": "/", "extensions": {}}
    socket = WebSocket(scope, wire.receive, wire.send)
    await socket.accept()
    session = SignallingSession(
        socket,
        world.rooms,
        SessionLimits(),
        SessionObserver(),
        SourceLimiter(10.0),
        monotonic=lambda: world.now,
    )
    return wire, asyncio.create_task(session.run())


async def kick(world, project, user_id: str) -> None:
    assert await world.rooms.administration.kick(project.app_id, "room", user_id, "spoilers")
    await world.settle()


async def test_who_was_kicked_on_a_connection_that_is_dead_but_open_learns_it_when_it_comes_back(world):
    project = await world.project()
    alice = world.client("alice")
    login = await alice.login(project, resumable=True)
    await kick(world, project, "alice")
    other = world.client("alice")
    await other.send(resumption(alice, login))
    (kicked,) = other.take()
    assert kicked == Kicked(1002055, "removed by the server", custom_reason="spoilers")
    assert other.outbox.closed == "kicked"


async def test_who_was_replaced_on_a_dead_connection_does_not_replace_the_newcomer(world):
    project = await world.project()
    alice, newcomer, other = (world.client("alice") for _ in range(3))
    login = await alice.login(project, resumable=True)
    await newcomer.login(project, resumable=True)
    await other.send(resumption(alice, login))
    (kicked,) = other.take()
    assert (kicked.code, kicked.origin) == (1002050, newcomer.connection.origin)
    assert newcomer.connection.logged_in


async def test_who_is_kicked_while_it_takes_its_session_over_learns_it(world):
    project = await world.project()
    alice, other = world.client("alice"), world.client("alice")
    login = await alice.login(project, resumable=True)
    world.native.hold("answered")
    publishing = asyncio.create_task(alice.send(alice.publish_message("cam")))
    await world.settle()
    resuming = asyncio.create_task(other.send(resumption(alice, login)))
    await world.settle()
    await kick(world, project, "alice")
    world.native.release()
    await asyncio.gather(publishing, resuming)
    (kicked,) = other.take()
    assert (kicked.code, other.outbox.closed) == (1002055, "kicked")
    for client in (alice, other):
        await client.drop()
    await world.assert_empty()


async def test_of_those_who_were_kicked_only_so_many_are_remembered(world, monkeypatch):
    monkeypatch.setattr(presence, "MOST_FAREWELLS", 2)
    project = await world.project()
    logins = {}
    for name in ("alice", "bob", "carol"):
        client = world.client(name)
        logins[name] = await client.login(project, resumable=True)
        await kick(world, project, name)
    assert list(world.context.farewells) == [logins[name].session_id for name in ("bob", "carol")]
    await world.pass_time(91)
    assert world.context.farewells == {}


async def test_a_request_under_way_is_answered_to_who_takes_the_session_over(world):
    project = await world.project()
    alice = world.client("alice")
    wire, running = await connected(world)
    wire.give(alice.login_message(project, resumable=True))
    await world.settle()
    (login,) = wire.sent
    assert isinstance(login, LoginOk)
    world.native.hold("answered")
    publish = alice.publish_message("cam")
    wire.give(publish)
    await world.settle()
    other = world.client("alice")
    resuming = asyncio.create_task(other.send(resumption(alice, login)))
    await world.settle()
    world.native.release()
    await asyncio.gather(resuming, running)
    resumed, published = other.take()
    assert isinstance(resumed, ResumeOk)
    assert (resumed.taken, resumed.missed) == (publish.seq, 1)
    assert isinstance(published, PublishOk)
    assert (published.seq, published.stream_id) == (publish.seq, "cam")
    assert (
        world.rooms.counts()["connections"] == 2
    )  # ``alice``'s own, which logged in to nothing, and ``other``


@pytest.mark.parametrize("cancelled", [False, True], ids=["closed", "cancelled"])
@pytest.mark.parametrize("resumed", [False, True], ids=["is over", "can be resumed"])
async def test_a_session_whose_new_connection_dies_before_it_has_it_is_watched(world, cancelled, resumed):
    project = await world.project()
    alice, other = world.client("alice"), world.client("alice")
    login = await alice.login(project, resumable=True)
    world.native.hold("answered")
    publishing = asyncio.create_task(alice.send(alice.publish_message("cam")))
    await world.settle()
    resuming = asyncio.create_task(other.send(resumption(alice, login)))
    await world.settle()
    await other.drop()
    if cancelled:
        resuming.cancel()
    world.native.release()
    await asyncio.gather(publishing, resuming, return_exceptions=True)
    await alice.drop()
    if resumed:
        await world.pass_time(89)
        again = await alice.resume(login, received=0)
        assert again.connection.logged_in
        await again.drop()
    await world.pass_time(90)
    await world.assert_empty()


@pytest.mark.parametrize("step", ["project", "release_session"])
@pytest.mark.parametrize("comes_back", [False, True], ids=["lost", "taken over"])
async def test_a_switch_whose_connection_ends_under_way_leaves_no_session(
    world, monkeypatch, step, comes_back
):
    project = await world.project()
    alice, other = world.client("alice"), world.client("alice")
    login = await alice.login(project, "one", resumable=True)
    owner = world.storage if step == "project" else world.registry
    carry_out = getattr(owner, step)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def held(*arguments):
        found = await carry_out(*arguments)
        reached.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(owner, step, held)
    switching = asyncio.create_task(alice.send(SwitchRoom(alice.next_seq(), "two")))
    await reached.wait()
    monkeypatch.setattr(owner, step, carry_out)
    if comes_back:
        # Who comes back finds the session that was left, and logs in anew.
        resuming = asyncio.create_task(other.expect_error(resumption(alice, login), 1002057))
        await world.settle()
    await alice.drop()
    go_on.set()
    await switching
    if comes_back:
        await resuming
    assert world.context.members == {}
    assert [m for m in alice.take() if isinstance(m, LoginOk)] == []
    await other.login(project, "two")
    await other.drop()
    await world.assert_empty()

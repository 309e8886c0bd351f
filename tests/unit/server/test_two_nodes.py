"""One room on two nodes: what they share is the bus, the registry and the storage, and nothing else is needed.

``near``: all in one process. ``far``: each call of the registry and each message of the bus takes its time, as over a
network; messages of one node on one subject keep their order, nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sanderling.enums import StreamDeleteReason
from sanderling.server.bus import InProcessBus
from sanderling.server.registry import InProcessRegistry
from sanderling.signaling.messages import (
    Barrage,
    Broadcast,
    BroadcastNotice,
    Command,
    CommandNotice,
    Error,
    Kicked,
    LoginOk,
    MessageSent,
    Ok,
    OnlineCountNotice,
    PublisherStateNotice,
    RoomExtraInfo,
    RoomExtraInfoNotice,
    SetRoomExtraInfo,
    StreamNotice,
    UserNotice,
)

CAME, WENT = 0, 1
TURNS = 3
"""Turns of the loop that a call or a message is on its way."""


class FarRegistry:
    """A registry whose steps are atomic, with a way there and a way back."""

    def __init__(self, registry: InProcessRegistry) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._registry, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def far(*values: Any, **named: Any) -> Any:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            result = await method(*values, **named)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            return result

        return far


class FarBus:
    """A bus whose messages take their time."""

    def __init__(self, bus: InProcessBus) -> None:
        self._bus = bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def publish(self, subject: str, payload: bytes) -> None:
        self._soon(TURNS, lambda: self._bus.publish(subject, payload))

    def _soon(self, turns: int, call: Callable[[], None]) -> None:
        if turns == 0:
            call()
        else:
            asyncio.get_running_loop().call_soon(self._soon, turns - 1, call)


@dataclass
class Cluster:
    """Two nodes."""

    here: Any
    there: Any

    async def settle(self) -> None:
        for _ in range(4):
            await self.here.settle()
            await self.there.settle()

    async def pass_time(self, seconds: float) -> None:
        await self.here.pass_time(seconds)
        await self.there.pass_time(seconds)
        await self.settle()


@pytest.fixture(params=["near", "far"])
async def cluster(request, world, nodes):
    shared: dict[str, Any] = {
        "storage": world.storage,
        "bus": InProcessBus(),
        "registry": InProcessRegistry(),
    }
    bus, registry = shared["bus"], shared["registry"]
    if request.param == "far":
        shared |= {"bus": FarBus(bus), "registry": FarRegistry(registry)}
    made = Cluster(nodes("node-1", shared), nodes("node-2", shared))
    yield made
    for node in (made.here, made.there):
        node.rooms.drain()
        for client in node.clients:
            await client.drop()
    await made.settle()
    # Whatever happened: both nodes, and what they share, have nothing left.
    for node in (made.here, made.there):
        counts = node.rooms.counts()
        assert counts == dict.fromkeys(counts, 0)
    assert (registry.users, registry.streams, bus.subscriptions) == (0, 0, 0)


def of(client: Any, kind: type[Any]) -> list[Any]:
    return [message for message in client.take() if isinstance(message, kind)]


def users(notices: list[Any]) -> list[tuple[int, str]]:
    return [(notice.update, user.user_id) for notice in notices for user in notice.users]


async def pair(cluster: Cluster, **settings: Any):
    """Alice here, bob there, in one room; their messages so far are taken."""
    project = await cluster.here.project(settings=settings)
    alice, bob = cluster.here.client("alice"), cluster.there.client("bob")
    await alice.login(project, resumable=True)
    login = await bob.login(project, resumable=True)
    await cluster.settle()
    assert [user.user_id for user in login.users] == ["alice"]
    assert login.online == 2
    assert users(of(alice, UserNotice)) == [(CAME, "bob")]
    assert of(bob, UserNotice) == []
    return project, alice, bob


async def test_users_see_each_other_come_and_go(cluster):
    _, alice, bob = await pair(cluster)
    await bob.logout()
    await cluster.settle()
    assert users(of(alice, UserNotice)) == [(WENT, "bob")]


async def test_of_many_who_come_at_once_everybody_knows_everybody_once(cluster):
    project = await cluster.here.project()
    clients = [
        (cluster.here if number % 2 else cluster.there).client(f"user{number}") for number in range(12)
    ]
    logins = await asyncio.gather(*(client.login(project) for client in clients))
    await cluster.settle()
    everybody = {client.user.user_id for client in clients}
    for client, login in zip(clients, logins, strict=True):
        heard = users(of(client, UserNotice))
        known = [user.user_id for user in login.users] + [user_id for _, user_id in heard]
        assert sorted([*known, client.user.user_id]) == sorted(everybody)
        assert {update for update, _ in heard} <= {CAME}


async def test_of_many_who_come_while_others_go_nobody_sees_a_ghost(cluster):
    project = await cluster.here.project()

    def client(name: str, number: int) -> Any:
        return (cluster.here if number % 2 else cluster.there).client(name)

    going = [client(f"going{number}", number) for number in range(6)]
    coming = [client(f"coming{number}", number + 1) for number in range(6)]
    for each in going:
        await each.login(project)
    _, logins = await asyncio.gather(
        asyncio.gather(*(each.logout() for each in going)),
        asyncio.gather(*(each.login(project) for each in coming)),
    )
    await cluster.settle()
    for each, login in zip(coming, logins, strict=True):
        known = {user.user_id for user in login.users}
        for update, user_id in users(of(each, UserNotice)):
            # Each notice is news: who comes was not known, who goes was.
            assert (user_id in known) == (update == WENT), (each.user.user_id, user_id)
            known ^= {user_id}
        assert known == {other.user.user_id for other in coming} - {each.user.user_id}


async def test_messages_reach_those_they_are_for_wherever_they_are(cluster):
    _, alice, bob = await pair(cluster)
    await alice.expect(Broadcast(alice.next_seq(), "to all"), MessageSent)
    await alice.expect(Command(alice.next_seq(), "to bob", ("bob",)), MessageSent)
    await alice.expect(Barrage(alice.next_seq(), "to all"), MessageSent)
    await alice.expect(SetRoomExtraInfo(alice.next_seq(), key="k", value="v"), Ok)
    await cluster.settle()
    told = bob.take()
    assert [m.text for m in told if isinstance(m, BroadcastNotice | CommandNotice)] == ["to all", "to bob"]
    (info,) = [m.infos for m in told if isinstance(m, RoomExtraInfoNotice)]
    assert [(each.key, each.value) for each in info] == [("k", "v")]
    assert isinstance(info[0], RoomExtraInfo)


async def test_a_login_on_the_other_node_ends_the_session_on_this_one(cluster):
    project, alice, bob = await pair(cluster)
    await bob.publish_live("cam")
    await cluster.settle()
    alice.take()
    again = cluster.here.client("bob")
    await again.login(project)
    await cluster.settle()
    (kicked,) = of(bob, Kicked)
    assert (kicked.code, kicked.origin) == (1002050, again.connection.origin)
    told = alice.take()
    assert users([m for m in told if isinstance(m, UserNotice)]) == [(WENT, "bob"), (CAME, "bob")]
    ended = [m for m in told if isinstance(m, StreamNotice) and m.update == WENT]
    assert [s.delete_reason for m in ended for s in m.streams] == [StreamDeleteReason.REPEATED_LOGIN]
    assert users(of(again, UserNotice)) == []


async def test_the_operator_reaches_sessions_and_streams_of_any_node(cluster):
    project, alice, bob = await pair(cluster)
    await bob.publish_live("cam")
    await cluster.settle()
    alice.take()
    bob.take()
    assert await cluster.here.rooms.administration.forbid_stream(project.app_id, "cam", 60.0)
    await cluster.settle()
    assert [m.state for m in of(bob, PublisherStateNotice)] == [0]
    assert [m.update for m in of(alice, StreamNotice)] == [WENT]
    await cluster.here.rooms.administration.ban(project.app_id, "bob", 60.0)
    await cluster.settle()
    assert [m.code for m in of(bob, Kicked)] == [1002055]
    assert users(of(alice, UserNotice)) == [(WENT, "bob")]
    again = cluster.there.client("bob")
    await again.expect_error(again.login_message(project), 1002066)


async def test_a_stream_id_is_taken_on_all_nodes(cluster):
    _, alice, bob = await pair(cluster)
    await bob.publish_live("cam")
    await cluster.settle()
    (notice,) = of(alice, StreamNotice)
    assert [stream.stream_id for stream in notice.streams] == ["cam"]
    reply = await alice.request(alice.publish_message("cam"))
    assert isinstance(reply, Error)


async def test_the_last_place_of_a_room_goes_to_one(cluster):
    project = await cluster.here.project()
    host = cluster.here.client("host")
    message = host.login_message(project)
    await host.expect(
        type(message)(**{**{f: getattr(message, f) for f in message.__struct_fields__},
                         "config": type(message.config)(max_member_count=2)}),
        LoginOk,
    )  # fmt: skip
    guests = [cluster.here.client("a"), cluster.there.client("b"), cluster.there.client("c")]
    replies = await asyncio.gather(*(guest.request(guest.login_message(project)) for guest in guests))
    assert sorted(type(reply).__name__ for reply in replies) == ["Error", "Error", "LoginOk"]


async def test_the_count_is_of_all_nodes(cluster):
    _, alice, bob = await pair(cluster)
    await cluster.pass_time(30.0)
    assert [m.online for m in of(alice, OnlineCountNotice)] == [2]
    assert [m.online for m in of(bob, OnlineCountNotice)] == [2]


async def test_a_lost_member_is_told_of_on_the_other_node_and_back_with_what_it_missed(cluster):
    project, alice, bob = await pair(cluster)
    login = bob.connection.member
    assert login is not None
    await bob.drop()
    await alice.send(Broadcast(alice.next_seq(), "missed"))
    await cluster.pass_time(5.5)
    assert users(of(alice, UserNotice)) == [(WENT, "bob")]
    carol = cluster.here.client("carol")
    found = await carol.login(project)
    assert [user.user_id for user in found.users] == ["alice"]
    back = await bob.resume(
        LoginOk(1, login.session_id, 0, 0, 0, secret=login.secret),
        login.mailbox.sent - len(login.mailbox._kept),
    )
    await cluster.settle()
    assert users(of(alice, UserNotice)) == [(CAME, "carol"), (CAME, "bob")]
    assert users(of(carol, UserNotice)) == [(CAME, "bob")]
    told = back.take()
    assert [m.text for m in told if isinstance(m, BroadcastNotice)] == ["missed"]
    assert users([m for m in told if isinstance(m, UserNotice)]) == [(CAME, "carol")]

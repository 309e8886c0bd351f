"""Arrivals and departures in a large room share notices; each is told once, to those who do not know of it."""

from __future__ import annotations

from typing import Any

import pytest

from sanderling.enums import StreamDeleteReason
from sanderling.server.rooms import gathering
from sanderling.server.rooms.events import UserChange, UserChanges
from sanderling.server.rooms.gathering import Gathering, wait_s
from sanderling.signaling.messages import Broadcast, StreamNotice, User, UserNotice

CAME, WENT = 0, 1


class Timers:
    """What was asked to be called back, and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Any]] = []

    def __call__(self, seconds: float, call: Any) -> None:
        self.calls.append((seconds, call))

    def fire(self) -> None:
        calls, self.calls = self.calls, []
        for _, call in calls:
            call()


def change(number: int, name: str = "") -> UserChange:
    name = name or f"user{number}"
    return UserChange(number, f"session-{number}", User(name, name))


def told(published: list[UserChanges]) -> list[tuple[int, int, list[int]]]:
    return [(event.update, event.reason, [each.number for each in event.changes]) for event in published]


@pytest.fixture
def gathered():
    published: list[UserChanges] = []
    timers = Timers()
    return Gathering(published.append, timers), published, timers


def test_a_small_room_is_told_at_once(gathered):
    room, published, timers = gathered
    room.add(CAME, change(1), members=gathering.GATHER_FROM - 1)
    room.add(WENT, change(2), reason=5, members=gathering.GATHER_FROM - 1)
    assert told(published) == [(CAME, 0, [1]), (WENT, 5, [2])]
    assert timers.calls == []


def test_a_large_room_hears_of_all_at_once_by_kind_and_reason(gathered):
    room, published, timers = gathered
    for number, (update, reason) in enumerate(
        [(CAME, 0), (WENT, 1), (CAME, 0), (WENT, 5), (WENT, 1)], start=1
    ):
        room.add(update, change(number), reason=reason, members=1000)
    assert published == []
    assert [seconds for seconds, _ in timers.calls] == [pytest.approx(0.05)]
    timers.fire()
    assert told(published) == [(CAME, 0, [1, 3]), (WENT, 1, [2, 5]), (WENT, 5, [4])]
    timers.fire()
    assert len(published) == 3


def test_the_changes_of_one_user_keep_their_order(gathered):
    room, published, _ = gathered
    room.add(CAME, change(1, "alice"), members=1000)
    room.add(CAME, change(2, "bob"), members=1000)
    room.add(WENT, change(3, "alice"), reason=1, members=1000)
    assert told(published) == [(CAME, 0, [1, 2])]
    room.flush()
    assert told(published) == [(CAME, 0, [1, 2]), (WENT, 1, [3])]


def test_a_timer_of_an_earlier_round_ends_no_later_one_early(gathered):
    room, published, timers = gathered
    room.add(CAME, change(1), members=1000)
    room.flush()
    room.add(CAME, change(2), members=1000)
    early, late = (call for _, call in timers.calls)
    early()
    assert told(published) == [(CAME, 0, [1])]
    late()
    assert told(published) == [(CAME, 0, [1]), (CAME, 0, [2])]


def test_a_notice_has_a_limit_and_a_wait_has_one(gathered):
    room, published, _ = gathered
    for number in range(gathering.MOST_CHANGES + 1):
        room.add(CAME, change(number), members=1_000_000)
    assert [len(event.changes) for event in published] == [gathering.MOST_CHANGES]
    assert wait_s(1_000_000) == gathering.LONGEST_S


# ---------------------------------------------------------------------------------------- in a room


@pytest.fixture
def timers(world, monkeypatch):
    monkeypatch.setattr(gathering, "GATHER_FROM", 1)
    world.context.later = Timers()
    return world.context.later


def users_of(client, update: int = CAME) -> list[str]:
    notices = [m for m in client.take() if isinstance(m, UserNotice) and m.update == update]
    return [user.user_id for notice in notices for user in notice.users]


async def enter(world, project, *names: str):
    clients = [world.client(name) for name in names]
    for client in clients:
        client.found = [user.user_id for user in (await client.login(project)).users]
    return clients


async def test_everybody_hears_once_of_those_it_did_not_find(world, timers):
    project = await world.project()
    names = ["alice", "bob", "carol", "dave"]
    clients = await enter(world, project, *names)
    await clients[1].logout()
    timers.fire()
    for number, client in enumerate(clients):
        assert client.found == names[:number]
        messages = client.take()
        if number == 1:
            continue
        came = [u.user_id for m in messages if isinstance(m, UserNotice) and m.update == 0 for u in m.users]
        went = [u.user_id for m in messages if isinstance(m, UserNotice) and m.update == 1 for u in m.users]
        assert came == names[number + 1 :]
        assert went == ["bob"]


async def test_who_comes_behind_a_departure_that_still_waits_does_not_hear_of_it(world, timers):
    project = await world.project()
    alice, bob = await enter(world, project, "alice", "bob")
    timers.fire()
    alice.take()
    await bob.logout()
    (carol,) = await enter(world, project, "carol")
    timers.fire()
    assert carol.found == ["alice"]
    assert users_of(carol, WENT) == []
    assert users_of(alice, WENT) == ["bob"]


async def test_nobody_hears_of_what_a_user_does_before_it_hears_of_the_user(world, timers):
    project = await world.project()
    alice, bob = await enter(world, project, "alice", "bob")
    alice.take()
    await bob.send(Broadcast(bob.next_seq(), "hello"))
    kinds = [type(m).__name__ for m in alice.take()]
    assert kinds == ["UserNotice", "BroadcastNotice"]
    (carol,) = await enter(world, project, "carol")
    await alice.send(Broadcast(alice.next_seq(), "alice is known, carol can wait"))
    assert [type(m).__name__ for m in bob.take() if not isinstance(m, StreamNotice)][-1] == "BroadcastNotice"
    assert users_of(bob) == []
    timers.fire()
    assert users_of(bob) == ["carol"]
    assert users_of(carol) == []


async def test_a_login_elsewhere_is_told_as_a_departure_and_an_arrival(world, timers):
    project = await world.project()
    alice, bob = await enter(world, project, "alice", "bob")
    timers.fire()
    alice.take()
    (again,) = await enter(world, project, "bob")
    timers.fire()
    notices = [m for m in alice.take() if isinstance(m, UserNotice)]
    assert [(m.update, m.reason) for m in notices] == [(WENT, StreamDeleteReason.REPEATED_LOGIN), (CAME, 0)]
    assert users_of(again) == []


async def test_the_last_to_leave_takes_what_waits_along(world, timers):
    project = await world.project()
    (alice,) = await enter(world, project, "alice")
    await alice.logout()
    await alice.drop()
    timers.fire()
    await world.assert_empty()


async def test_who_reads_the_room_while_somebody_goes_or_comes_knows_in_the_end_who_is_there(world):
    """A registry that takes its time, as one over a network does."""
    project = await world.project()
    alice, bob = await enter(world, project, "alice", "bob")
    arrive = world.registry.arrive

    async def slow(session_id: str, **values: Any) -> Any:
        view = await arrive(session_id, **values)
        if not slow_once:
            slow_once.append(True)
            await bob.logout()
            await enter(world, project, "dave")
            await world.settle()
        return view

    slow_once: list[bool] = []
    world.registry.arrive = slow
    (carol,) = await enter(world, project, "carol")
    messages = [m for m in carol.take() if isinstance(m, UserNotice)]
    assert carol.found == ["alice", "bob"]
    assert [(m.update, [u.user_id for u in m.users]) for m in messages] == [(WENT, ["bob"]), (CAME, ["dave"])]

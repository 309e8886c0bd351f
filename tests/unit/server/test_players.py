"""Who plays a stream: one subscription, and everybody is told once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sanderling.server.bus import InProcessBus
from sanderling.server.bus.base import stream_subject
from sanderling.server.rooms.events import StreamEnded, encode_event
from sanderling.server.rooms.players import Players
from sanderling.signaling.messages import PlayOk


class Room:
    """Two streams' players on a bus; ``told`` is what reached whom."""

    def __init__(self) -> None:
        self.bus = InProcessBus()
        self.told: list[tuple[str, str, int]] = []
        self.players = Players(self.bus, self.tell)
        self.leaving: Any = None

    def tell(self, member: Any, stream_id: str, event: Any) -> None:
        self.told.append((member.name, stream_id, event.publisher))
        if member.name == "broken":
            raise RuntimeError("broken")
        if self.leaving is not None:
            self.players.remove(self.leaving, stream_id)

    def end(self, stream_id: str, publisher: int) -> None:
        self.bus.publish(stream_subject(1, stream_id), encode_event(StreamEnded(publisher)))


class Member(SimpleNamespace):
    app_id = 1
    __hash__ = object.__hash__


@pytest.fixture
def room() -> Room:
    return Room()


def test_many_players_are_one_subscription_and_none_is_none(room):
    members = [Member(name=str(number)) for number in range(3)]
    for member in members:
        room.players.add(member, "s")
        room.players.add(member, "s")
    room.players.add(members[0], "t")
    assert (room.bus.subscriptions, len(room.players)) == (2, 2)
    room.end("s", 7)
    assert room.told == [("0", "s", 7), ("1", "s", 7), ("2", "s", 7)]
    for member in members:
        room.players.remove(member, "s")
        room.players.remove(member, "s")
    assert (room.bus.subscriptions, len(room.players)) == (1, 1)
    room.end("s", 8)
    assert room.told[3:] == []
    room.end("t", 9)
    assert room.told[3:] == [("0", "t", 9)]


def test_one_that_fails_keeps_nobody_else_from_being_told(room):
    for name in ("broken", "next"):
        room.players.add(Member(name=name), "s")
    room.end("s", 1)
    assert [name for name, _, _ in room.told] == ["broken", "next"]


def test_who_left_by_the_same_event_is_not_told(room):
    first, second = Member(name="first"), Member(name="second")
    room.players.add(first, "s")
    room.players.add(second, "s")
    room.leaving = second
    room.end("s", 1)
    assert [name for name, _, _ in room.told] == ["first"]


async def test_plays_that_ask_for_the_same_have_it_in_common(world):
    project = await world.project(l3=True)
    host = world.client("host")
    await host.login(project)
    await host.publish_live("s")
    before = world.bus.subscriptions
    plays = []
    for name in ("alice", "bob"):
        client = world.client(name)
        await client.login(project)
        await client.expect(client.play_message("s"), PlayOk)
        plays.append(client.connection.member.plays["s"])
    one, other = plays
    assert one.ok.tracks
    assert one.ok.tracks is other.ok.tracks
    assert one.request is other.request
    assert one.stream_id is other.stream_id
    # Two sessions and one stream.
    assert world.bus.subscriptions - before == 3

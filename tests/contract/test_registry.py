"""What every registry must do. Each implementation is one more entry of ``IMPLEMENTATIONS``."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sanderling.bridge import SessionHandle
from sanderling.server.registry import InProcessRegistry, Refusal, SessionEntry, StreamEntry
from sanderling.signaling.messages import RoomExtraInfo, Stream, User

IMPLEMENTATIONS = [InProcessRegistry]


@pytest.fixture(params=IMPLEMENTATIONS)
async def registry(request):
    made = request.param()
    yield made
    await made.aclose()


def session(
    session_id: str, user_id: str = "alice", app_id: int = 1, room_id: str = "room", key: str = "key"
) -> SessionEntry:
    return SessionEntry(app_id, user_id, session_id, room_id, "192.0.2.1:5", "node", user_id.title(), key)


def stream(session_id: str, stream_id: str = "cam", app_id: int = 1) -> StreamEntry:
    return StreamEntry(app_id, stream_id, session_id, "room", "node")


async def test_a_user_has_one_session_and_the_former_is_returned(registry):
    assert (await registry.claim_user(session("s1"))).replaced == ()
    assert (await registry.claim_user(session("s2"))).replaced == (session("s1"),)
    assert (await registry.claim_user(session("s3", app_id=2))).replaced == ()
    assert await registry.sessions(1, "alice") == (session("s2"),)


async def test_a_stream_id_is_taken_once_per_app_id(registry):
    for entry in (session("s1"), session("s2", "bob"), session("s3", app_id=2)):
        await registry.claim_user(entry)
    assert await registry.claim_stream(stream("s1")) is None
    assert await registry.claim_stream(stream("s2")) == stream("s1")
    assert await registry.claim_stream(stream("s3", app_id=2)) is None
    assert await registry.stream(1, "cam") == stream("s1")
    assert await registry.stream(1, "other") is None


async def test_of_many_claims_at_once_one_wins(registry):
    for number in range(20):
        await registry.claim_user(session(f"s{number}", f"user{number}"))
    results = await asyncio.gather(*(registry.claim_stream(stream(f"s{number}")) for number in range(20)))
    assert sum(result is None for result in results) == 1


async def test_a_second_login_voids_the_claims_of_the_first(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_stream(stream("s1"))
    await registry.claim_user(session("s2"))
    assert await registry.stream(1, "cam") is None
    # A request of the first session that is still under way takes nothing any more.
    assert await registry.claim_stream(stream("s1")) is not None
    assert await registry.claim_stream(stream("s2")) is None


async def test_the_rooms_of_an_app_id_are_those_with_a_session(registry):
    for entry in (
        session("s1"),
        session("s2", "bob", room_id="other"),
        session("s3", app_id=2, room_id="third"),
    ):
        await registry.claim_user(entry)
    assert await registry.rooms(1, after="", limit=9) == ["other", "room"]
    assert await registry.rooms(1, after="", limit=1) == ["other"]
    assert await registry.rooms(1, after="other", limit=9) == ["room"]
    await registry.release_session(1, "bob", "s2")
    assert await registry.rooms(1, after="", limit=9) == ["room"]
    assert await registry.rooms(3, after="", limit=9) == []


async def test_the_sessions_of_a_room_come_in_the_order_of_their_logins(registry):
    for number in (3, 1, 2):
        await registry.claim_user(session(f"s{number}", f"user{number}"))
    found = await registry.room_sessions(1, "room")
    assert [entry.session_id for entry in found] == ["s3", "s1", "s2"]


async def test_only_the_holder_changes_or_frees_an_entry(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_user(session("s2", "bob"))
    await registry.claim_stream(stream("s1"))
    playable = replace(stream("s1"), publisher=SessionHandle(7, 0))
    assert await registry.set_stream(playable)
    assert not await registry.set_stream(stream("s2"))
    await registry.release_stream(1, "cam", "s2")
    assert await registry.stream(1, "cam") == playable
    await registry.release_stream(1, "cam", "s1")
    await registry.release_stream(1, "cam", "s1")
    assert await registry.stream(1, "cam") is None
    assert not await registry.set_stream(playable)


async def test_a_released_session_leaves_nothing(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_stream(stream("s1", "a"))
    await registry.claim_stream(stream("s1", "b"))
    await registry.release_session(1, "alice", "s1")
    await registry.release_session(1, "alice", "s1")
    assert await registry.stream(1, "a") is None
    assert (await registry.claim_user(session("s2"))).replaced == ()


async def test_releasing_a_replaced_session_keeps_the_new_one(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_user(session("s2"))
    await registry.claim_stream(stream("s2"))
    await registry.release_session(1, "alice", "s1")
    assert (await registry.claim_user(session("s3"))).replaced == (session("s2"),)


# -------------------------------------------------------------------------------------------------- rooms


async def arrive(registry, session_id, *, notify=True, notice_members=500):
    return await registry.arrive(session_id, notify=notify, notice_members=notice_members)


async def test_a_room_shows_who_has_arrived_and_no_one_else(registry):
    for name in ("alice", "bob", "carol"):
        await registry.claim_user(session(f"s-{name}", name))
    first = await arrive(registry, "s-alice")
    assert (first.users, first.online, first.announced) == ((), 1, True)
    await arrive(registry, "s-carol", notify=False)
    view = await arrive(registry, "s-bob")
    assert (view.users, view.online) == ((User("alice", "Alice"),), 3)
    assert await registry.online(1, "room") == 3
    assert await registry.online(1, "another") == 0
    assert {entry.session_id for entry in await registry.room_sessions(1, "room")} == {
        "s-alice",
        "s-bob",
        "s-carol",
    }


async def test_of_the_sessions_of_a_room_those_present_can_be_asked_for(registry):
    for name in ("alice", "bob", "carol"):
        await registry.claim_user(session(f"s-{name}", name))

    async def present():
        found = await registry.room_sessions(1, "room", present=True)
        assert len(found) == await registry.online(1, "room")
        return [entry.session_id for entry in found]

    assert await present() == []
    await arrive(registry, "s-bob")
    await arrive(registry, "s-alice", notify=False)
    assert await present() == ["s-alice", "s-bob"]
    await registry.depart("s-alice")
    assert await present() == ["s-bob"]
    assert len(await registry.room_sessions(1, "room")) == 3
    assert await registry.room_sessions(1, "another", present=True) == ()


async def test_changes_of_who_is_announced_are_numbered_by_whoever_makes_them(registry):
    for name in ("alice", "bob", "carol", "dave"):
        await registry.claim_user(session(f"s-{name}", name))
    alice, bob = await arrive(registry, "s-alice"), await arrive(registry, "s-bob")
    assert [(view.arrival, view.seen) for view in (alice, bob)] == [(1, 1), (2, 2)]
    # Who is not announced changes nothing, neither by coming nor by going.
    carol = await arrive(registry, "s-carol", notify=False)
    assert (carol.arrival, carol.seen) == (0, 2)
    assert await registry.depart("s-carol") == 0
    # Who is there already does not arrive.
    again = await arrive(registry, "s-alice")
    assert (again.arrival, again.seen) == (0, 2)
    assert await registry.depart("s-alice") == 3
    assert await registry.depart("s-alice") == 0
    assert await registry.release_session(1, "alice", "s-alice") == 0
    assert (await arrive(registry, "s-dave")).arrival == 4
    assert await registry.release_session(1, "bob", "s-other") == 0
    assert await registry.release_session(1, "bob", "s-bob") == 5
    assert await registry.release_session(1, "bob", "s-bob") == 0
    assert await registry.depart("never") == 0


async def test_who_replaces_a_session_learns_the_number_of_its_departure(registry):
    await registry.claim_user(session("s0", "host"))
    await arrive(registry, "s0")
    await registry.claim_user(session("s1"))
    await arrive(registry, "s1")
    assert (await registry.claim_user(session("s2"))).departures == (3,)
    # Its node is told nothing more of it, and s2 was not seen yet.
    assert await registry.release_session(1, "alice", "s1") == 0
    assert (await registry.claim_user(session("s3"))).departures == (0,)
    assert (await arrive(registry, "s3")).arrival == 4


async def test_of_many_who_end_a_session_at_once_one_gets_the_number(registry):
    await registry.claim_user(session("s0", "host"))
    await registry.claim_user(session("s1"))
    await arrive(registry, "s1")
    numbers = await asyncio.gather(
        *(registry.depart("s1") for _ in range(5)),
        *(registry.release_session(1, "alice", "s1") for _ in range(5)),
    )
    assert sorted(numbers) == [0] * 9 + [2]


async def test_of_many_arrivals_at_once_each_has_its_own_number_and_sees_those_before(registry):
    for number in range(20):
        await registry.claim_user(session(f"s{number}", f"user{number}"))
    views = await asyncio.gather(*(arrive(registry, f"s{number}") for number in range(20)))
    assert sorted(view.arrival for view in views) == list(range(1, 21))
    for view in views:
        assert (view.seen, len(view.users), view.online) == (view.arrival, view.arrival - 1, view.arrival)


async def test_of_many_claims_of_the_last_place_one_wins(registry):
    await registry.claim_user(session("s0", "host"), limit=2)
    claims = await asyncio.gather(
        *(registry.claim_user(session(f"s{number}", f"user{number}")) for number in range(1, 20))
    )
    assert sum(claim.refused is None for claim in claims) == 1
    claims = await asyncio.gather(
        *(registry.claim_user(session(f"r{number}", f"u{number}", room_id=f"r{number}"), room_limit=3)
          for number in range(20))
    )  # fmt: skip
    assert sum(claim.refused is None for claim in claims) == 2


async def test_of_many_logins_of_one_user_at_once_each_replaces_one_and_the_last_stays(registry):
    claims = await asyncio.gather(*(registry.claim_user(session(f"s{number}")) for number in range(20)))
    replaced = [entry.session_id for claim in claims for entry in claim.replaced]
    (left,) = await registry.sessions(1, "alice")
    assert sorted([*replaced, left.session_id]) == sorted(f"s{number}" for number in range(20))


async def test_those_beyond_the_cap_are_counted_and_not_announced(registry):
    for number in range(3):
        await registry.claim_user(session(f"s{number}", f"u{number}"))
    views = [await arrive(registry, f"s{number}", notice_members=2) for number in range(3)]
    assert [view.announced for view in views] == [True, True, False]
    await registry.depart("s0")
    # What was decided at the first arrival stays.
    assert not (await arrive(registry, "s2", notice_members=2)).announced


async def test_who_departs_is_not_listed_but_keeps_place_and_user_id(registry):
    await registry.claim_user(session("s1"), limit=1)
    await arrive(registry, "s1")
    await registry.depart("s1")
    await registry.depart("s1")
    assert await registry.online(1, "room") == 0
    assert (await registry.claim_user(session("s2", "bob"))).refused is Refusal.FULL
    assert await registry.sessions(1, "alice") == (session("s1"),)
    assert (await arrive(registry, "s1")).online == 1
    assert await arrive(registry, "never") is None


async def test_the_first_claim_of_a_room_decides_how_many_fit(registry):
    await registry.claim_user(session("s1"), limit=2)
    await registry.claim_user(session("s2", "bob"), limit=9)
    refused = await registry.claim_user(session("s3", "carol"))
    assert (refused.refused, refused.limit) == (Refusal.FULL, 2)
    assert await registry.sessions(1, "carol") == ()
    # A session that is replaced makes the place for its successor.
    assert (await registry.claim_user(session("s4", "bob"))).refused is None
    for user_id, session_id in (("alice", "s1"), ("bob", "s4")):
        await registry.release_session(1, user_id, session_id)
    # The room is new with its next claim.
    for number in range(5):
        assert (await registry.claim_user(session(f"n{number}", f"n{number}"))).refused is None


async def test_a_session_beside_another_one_leaves_it_alone(registry):
    async def beside(session_id, room_id, other=("s1", "key"), user_id="alice", max_rooms=3):
        entry = session(session_id, user_id, room_id=room_id)
        return (await registry.claim_user(entry, beside=other, max_rooms=max_rooms)).refused

    await registry.claim_user(session("s1"))
    assert await beside("s2", "second") is None
    assert await beside("x", "third", ("gone", "key")) is Refusal.BESIDE_GONE
    assert await beside("x", "third", ("s1", "wrong")) is Refusal.BESIDE_GONE
    assert await beside("x", "third", user_id="bob") is Refusal.BESIDE_OTHER_USER
    assert await beside("x", "room", ("s2", "key")) is Refusal.SAME_ROOM
    assert await beside("x", "third", max_rooms=1) is Refusal.ONE_ROOM_ONLY
    assert await beside("s3", "third") is None
    assert await beside("x", "fourth") is Refusal.TOO_MANY_ROOMS
    assert {entry.session_id for entry in await registry.sessions(1, "alice")} == {"s1", "s2", "s3"}
    # Without it, all of them are replaced.
    replaced = (await registry.claim_user(session("s9"))).replaced
    assert {entry.session_id for entry in replaced} == {"s1", "s2", "s3"}


async def test_a_room_lists_live_streams_in_order_and_in_parts(registry):
    await registry.claim_user(session("s1"))
    await registry.claim_user(session("s2", "bob"))
    for stream_id in ("d", "b", "c", "a"):
        await registry.claim_stream(stream("s1", stream_id))
        live = replace(
            stream("s1", stream_id), live=stream_id != "d", stream=Stream(stream_id, User("alice"))
        )
        await registry.set_stream(live)

    async def listed(after, limit):
        found = await registry.room_streams(1, "room", after=after, limit=limit)
        return [entry.stream_id for entry in found]

    assert await listed("", 2) == ["a", "b"]
    assert await listed("b", 9) == ["c"]
    assert {s.stream_id for s in (await arrive(registry, "s2")).streams} == {"a", "b", "c"}
    assert (await arrive(registry, "s1")).streams == ()
    await registry.release_stream(1, "a", "s1")
    assert await listed("", 9) == ["b", "c"]
    await registry.release_session(1, "alice", "s1")
    assert await listed("", 9) == []


async def test_a_room_holds_one_info_as_long_as_it_lives(registry):
    def info(key, value):
        return RoomExtraInfo(key, value, User("alice"), 5)

    assert not await registry.set_room_info(1, "room", info("k", "v"))
    await registry.claim_user(session("s1"))
    assert await registry.set_room_info(1, "room", info("k", "v"))
    assert await registry.set_room_info(1, "room", info("k", "w"))
    assert not await registry.set_room_info(1, "room", info("other", "w"))
    assert (await arrive(registry, "s1")).extra_info == (info("k", "w"),)
    await registry.release_session(1, "alice", "s1")
    await registry.claim_user(session("s2"))
    assert (await arrive(registry, "s2")).extra_info == ()


async def test_a_ban_ends_by_itself_or_is_lifted(registry):
    assert await registry.ban(1, "user:alice", 100.0, now=50.0, limit=9)
    assert await registry.banned(1, "user:alice", 99.0)
    assert not await registry.banned(2, "user:alice", 99.0)
    assert not await registry.banned(1, "user:alice", 100.0)
    assert await registry.ban(1, "user:alice", 100.0, now=50.0, limit=9)
    assert await registry.ban(1, "user:alice", 50.0, now=50.0, limit=9)
    assert not await registry.banned(1, "user:alice", 50.0)
    assert await registry.ban(1, "user:nobody", 50.0, now=50.0, limit=0)


async def test_as_many_of_a_kind_are_shut_out_as_may_be(registry):
    async def ban(what, until, *, app_id=1, now=50.0):
        return await registry.ban(app_id, what, until, now=now, limit=2)

    assert await ban("user:a", 60.0)
    assert await ban("user:b", 100.0)
    assert not await ban("user:c", 100.0)
    assert not await registry.banned(1, "user:c", 50.0)
    # One of them anew, another kind, another AppID.
    assert await ban("user:b", 110.0)
    assert await registry.banned(1, "user:b", 105.0)
    assert await ban("stream:c", 100.0)
    assert await ban("user:c", 100.0, app_id=2)
    # A place is free once one was lifted, or is over though nobody asked for it.
    assert await ban("user:b", 0.0)
    assert await ban("user:c", 100.0)
    assert not await ban("user:d", 100.0)
    assert await ban("user:d", 100.0, now=60.0)
    assert [await registry.banned(1, f"user:{name}", 60.0) for name in "abcd"] == [False, False, True, True]


async def test_a_key_does_not_show(registry):
    assert "geheim" not in repr(session("s1", key="geheim"))

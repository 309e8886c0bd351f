"""What users tell each other, and the room's extra info."""

from __future__ import annotations

import pytest

from sanderling.signaling.messages import (
    Barrage,
    BarrageNotice,
    Broadcast,
    BroadcastNotice,
    Command,
    CommandNotice,
    MessageSent,
    Ok,
    RoomExtraInfo,
    RoomExtraInfoNotice,
    SetRoomExtraInfo,
    Transparent,
    TransparentNotice,
)

BY_TEXT = {
    "broadcast": (Broadcast, BroadcastNotice),
    "barrage": (Barrage, BarrageNotice),
    "command": (Command, CommandNotice),
}


async def room_of(world, *names, **settings):
    project = await world.project(settings=settings)
    clients = [world.client(name) for name in names]
    for client in clients:
        await client.login(project)
    for client in clients:
        client.take()
    return clients


@pytest.mark.parametrize("kind", BY_TEXT)
async def test_a_text_reaches_the_others_and_not_its_sender(world, kind):
    request, notice = BY_TEXT[kind]
    alice, bob, carol = await room_of(world, "alice", "bob", "carol")
    reply = await alice.expect(request(alice.next_seq(), "hello"), MessageSent)
    assert reply.sent_ms == int(world.now * 1000)
    expected = notice(reply.message_id, "hello", reply.sent_ms, alice.user)
    assert (bob.take(), carol.take(), alice.take()) == ([expected], [expected], [])


async def test_ids_rise_and_fit_into_a_javascript_number(world):
    alice, _ = await room_of(world, "alice", "bob", commands_per_s=1000, group_commands_per_s=1000)
    ids = [(await alice.expect(Command(alice.next_seq(), "x"), MessageSent)).message_id for _ in range(100)]
    world.now += 0.001
    ids.append((await alice.expect(Command(alice.next_seq(), "x"), MessageSent)).message_id)
    assert ids == sorted(set(ids))
    assert ids[-1] < 2**53


@pytest.mark.parametrize(
    "message",
    [
        Command(9, "psst", to=("carol", "nobody", "carol")),
        Transparent(9, b"\x00\xff", to=("carol", "nobody")),
    ],
)
async def test_a_directed_message_reaches_those_named_once(world, message):
    alice, bob, carol = await room_of(world, "alice", "bob", "carol")
    await alice.expect(message, MessageSent)
    assert bob.take() == []
    (notice,) = carol.take()
    assert isinstance(notice, CommandNotice | TransparentNotice)


@pytest.mark.parametrize(("mode", "heard"), [(0, 1), (1, 0), (2, 1)])
async def test_a_transparent_message_goes_where_its_mode_says(world, mode, heard):
    alice, bob = await room_of(world, "alice", "bob")
    await alice.expect(Transparent(alice.next_seq(), b"\x00\xff", mode=mode), MessageSent)
    notices = bob.take()
    assert len(notices) == heard
    assert all(notice.content == b"\x00\xff" for notice in notices)


@pytest.mark.parametrize("kind", BY_TEXT)
@pytest.mark.parametrize(("text", "code"), [("", 1009001), ("é" * 513, 1009002), ("é" * 512, 0)])
async def test_a_text_has_1_to_1024_bytes(world, kind, text, code):
    alice, bob = await room_of(world, "alice", "bob")
    message = BY_TEXT[kind][0](alice.next_seq(), text)
    if code:
        await alice.expect_error(message, code)
    else:
        await alice.expect(message, MessageSent)
    assert len(bob.take()) == (0 if code else 1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Transparent(9, b""), 1009001),
        (Transparent(9, b"x" * 4097), 1009003),
        (Transparent(9, b"x", mode=3), 1000017),
        (Transparent(9, b"x", to=("",)), 1009011),
        (Command(9, "x", to=("",)), 1009011),
        (Command(9, "x", to=("u" * 64,)), 1009012),
        (Command(9, "x", to=tuple(f"u{n}" for n in range(101))), 1009013),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_its_code(world, message, code):
    alice, bob = await room_of(world, "alice", "bob")
    await alice.expect_error(message, code)
    assert bob.take() == []


async def test_broadcasts_of_one_user_are_limited(world):
    alice, bob = await room_of(world, "alice", "bob")
    for _ in range(2):
        await alice.expect(Broadcast(alice.next_seq(), "x"), MessageSent)
    error = await alice.expect_error(Broadcast(alice.next_seq(), "x"), 1009015)
    assert error.retry_after_ms == 500
    await bob.expect(Broadcast(bob.next_seq(), "x"), MessageSent)
    world.now += 0.5
    await alice.expect(Broadcast(alice.next_seq(), "x"), MessageSent)


async def test_broadcasts_of_a_room_are_limited(world):
    clients = await room_of(world, *(f"u{number}" for number in range(6)))
    codes = []
    for client in clients:
        for _ in range(2):
            reply = await client.request(Broadcast(client.next_seq(), "x"))
            codes.append(getattr(reply, "code", 0))
    assert codes == [0] * 10 + [1009015] * 2


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (lambda seq: Barrage(seq, "x"), 20),
        (lambda seq: Command(seq, "x", to=("bob",)), 200),
        (lambda seq: Command(seq, "x"), 10),
        (lambda seq: Transparent(seq, b"x", to=("bob",)), 200),
        (lambda seq: SetRoomExtraInfo(seq, "k", "v"), 10),
    ],
)
async def test_other_messages_are_limited_by_room(world, make, allowed):
    alice, _ = await room_of(world, "alice", "bob")
    for _ in range(allowed):
        reply = await alice.request(make(alice.next_seq()))
        assert isinstance(reply, MessageSent | Ok)
    error = await alice.expect_error(make(alice.next_seq()), 1002072)
    assert error.retry_after_ms > 0


async def test_limits_are_project_settings(world):
    alice, _ = await room_of(world, "alice", "bob", user_broadcasts_per_s=5, broadcasts_per_s=5)
    for _ in range(5):
        await alice.expect(Broadcast(alice.next_seq(), "x"), MessageSent)
    await alice.expect_error(Broadcast(alice.next_seq(), "x"), 1009015)


async def test_a_limit_that_is_changed_forgives_nothing(world):
    project = await world.project(settings={"barrages_per_s": 5})
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await world.storage.update_project(project.app_id, settings={"barrages_per_s": 3})
    await bob.login(project)
    codes = []
    for _ in range(6):
        for client in (alice, bob):
            reply = await client.request(Barrage(client.next_seq(), "x"))
            codes.append(getattr(reply, "code", 0))
    assert codes.count(0) in range(3, 6)
    assert set(codes[5:]) == {1002072}


async def test_barrage_is_dropped_for_who_does_not_keep_up(world):
    alice, bob, carol = await room_of(
        world, "alice", "bob", "carol", user_broadcasts_per_s=1000, broadcasts_per_s=1000
    )
    for _ in range(257):
        await alice.send(Broadcast(alice.next_seq(), "x"))
        carol.take()
    await alice.expect(Barrage(alice.next_seq(), "quick"), MessageSent)
    assert len(bob.take()) == 257
    assert len(carol.take()) == 1


async def test_the_rooms_extra_info_is_told_and_found_later(world):
    alice, bob = await room_of(world, "alice", "bob")
    await alice.expect(SetRoomExtraInfo(alice.next_seq(), "topic", "birds"), Ok)
    info = RoomExtraInfo("topic", "birds", alice.user, int(world.now * 1000))
    assert bob.take() == [RoomExtraInfoNotice((info,))]
    assert alice.take() == []
    carol = world.client("carol")
    login = await carol.login(alice.connection.member.project)
    assert login.room_extra_info == (info,)
    await bob.expect(SetRoomExtraInfo(bob.next_seq(), "topic", "waves"), Ok)
    await bob.expect_error(SetRoomExtraInfo(bob.next_seq(), "other", "x"), 1002017)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("", "v", 1002014), ("k" * 11, "v", 1002015), ("é" * 5, "é" * 64, 0), ("k", "é" * 64 + "x", 1002016)],
)
async def test_key_and_value_have_limits(world, key, value, code):
    alice, _ = await room_of(world, "alice", "bob")
    message = SetRoomExtraInfo(alice.next_seq(), key, value)
    if code:
        await alice.expect_error(message, code)
    else:
        await alice.expect(message, Ok)


async def test_a_notice_is_encoded_once_however_many_hear_it(world):
    clients = await room_of(world, *(f"u{number}" for number in range(20)))
    heard: list[bytes] = []
    for client in clients:
        client.connection.member.mailbox.attach(Raw(heard))
    await clients[0].send(Broadcast(clients[0].next_seq(), "hello"))
    reply, *notices = heard
    assert len(notices) == 19
    assert b"message_sent" in reply
    assert {id(notice) for notice in notices} == {id(notices[0])}


class Raw:
    """An outbox that keeps what it is given as it is."""

    waiting = 0

    def __init__(self, heard):
        self.heard = heard

    def send(self, data):
        self.heard.append(data)

    def close(self, reason): ...

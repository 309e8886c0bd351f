"""A user in several rooms, and one that goes from room to room."""

from __future__ import annotations

import pytest

from sanderling.signaling.messages import (
    LoginOk,
    OnlineCountNotice,
    PlayOk,
    RoomConfig,
    SessionKey,
    StreamNotice,
    SwitchRoom,
    UserNotice,
)


def key(login: LoginOk) -> SessionKey:
    return SessionKey(login.session_id, login.secret)


async def test_a_user_is_in_several_rooms_at_once(world):
    project = await world.project()
    first, second = world.client("alice"), world.client("alice")
    login = await first.login(project, "one")
    await second.login(project, "two", beside=key(login))
    assert first.outbox.closed == ""
    bob = world.client("bob")
    assert (await bob.login(project, "two")).users == (first.user,)
    await first.publish_live("cam")
    assert bob.take() == []
    for client in (first, second, bob):
        await client.drop()
    await world.assert_empty()


@pytest.mark.parametrize(
    ("room_id", "user_id", "changes", "settings", "code"),
    [
        ("two", "alice", {"secret": "wrong"}, {}, 1002057),
        ("two", "alice", {"session_id": "gone"}, {}, 1002057),
        ("two", "bob", {}, {}, 1002018),
        ("one", "alice", {}, {}, 1002064),
        ("two", "alice", {}, {"max_rooms": 1}, 1002036),
    ],
)
async def test_what_is_not_beside_is_refused_and_leaves_the_rest_alone(
    world, room_id, user_id, changes, settings, code
):
    project = await world.project(settings=settings)
    alice, other = world.client("alice"), world.client(user_id)
    login = await alice.login(project, "one")
    beside = SessionKey(**{"session_id": login.session_id, "secret": login.secret, **changes})
    await other.expect_error(other.login_message(project, room_id, beside=beside), code)
    assert alice.connection.logged_in
    assert alice.take() == []


async def test_there_are_at_most_as_many_rooms_as_the_project_says(world):
    project = await world.project()
    clients = [world.client("alice") for _ in range(6)]
    login = await clients[0].login(project, "room0")
    for number in range(1, 5):
        await clients[number].login(project, f"room{number}", beside=key(login))
    await clients[5].expect_error(clients[5].login_message(project, "room5", beside=key(login)), 1002037)
    await clients[2].drop()
    await clients[5].login(project, "room5", beside=key(login))


async def test_a_login_elsewhere_ends_all_of_them(world):
    project = await world.project()
    first, second = world.client("alice"), world.client("alice")
    login = await first.login(project, "one")
    await second.login(project, "two", beside=key(login))
    other = world.client("alice")
    await other.login(project, "three")
    assert [client.take()[-1].code for client in (first, second)] == [1002050, 1002050]


async def switched(world, **fields):
    project = await world.project(l3=True)
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    await bob.login(project, "one")
    await carol.login(project, "two")
    first = await alice.login(project, "one", resumable=True)
    await alice.publish_live("cam")
    await bob.publish_live("bobcam")
    await alice.expect(alice.play_message("bobcam"), PlayOk)
    for client in (alice, bob, carol):
        client.take()
    seq = alice.next_seq()
    reply = await alice.request(
        SwitchRoom(seq, **{"room_id": "two", "config": RoomConfig(0, True), **fields})
    )
    return project, alice, bob, carol, first, reply


async def test_a_switch_is_a_logout_and_a_login_that_keeps_the_viewer(world):
    _, alice, bob, carol, first, reply = await switched(world)
    assert isinstance(reply, LoginOk)
    assert reply.session_id != first.session_id
    assert (reply.secret != first.secret, reply.resume_ms) == (True, 90_000)
    assert reply.users == (carol.user,)
    stream, user = bob.take()
    assert isinstance(stream, StreamNotice)
    assert (stream.streams[0].delete_reason, user) == (1, UserNotice(1, (alice.user,), 1))
    assert carol.take() == [UserNotice(0, (alice.user,))]
    assert alice.take() == []
    # The same transport plays on, and its slots are free.
    assert world.rooms.counts()["viewers"] == 3
    assert world.rooms.counts()["plays"] == 0
    played = await alice.expect(alice.play_message("bobcam"), PlayOk)
    assert played.slot == 0
    again = await alice.resume(reply, received=1)
    await again.publish_live("cam")
    for client in (alice, again, bob, carol):
        await client.drop()
    await world.pass_time(100)
    await world.assert_empty()


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"room_id": ""}, 1002011), ({"room_id": "one"}, 1002064), ({"token": "04x"}, 1002033)],
)
async def test_a_switch_that_cannot_be_changes_nothing(world, fields, code):
    _, alice, bob, _, _, reply = await switched(world, **fields)
    assert reply.code == code
    assert bob.take() == []
    assert alice.connection.member.room_id == "one"


async def test_a_switch_asks_for_a_token_that_is_valid_as_a_login_would(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project, "one", token=world.token(project, "alice", effective_s=60))
    world.now += 60
    await alice.expect(SwitchRoom(alice.next_seq(), "two"), LoginOk)
    world.now += 1
    error = await alice.expect_error(SwitchRoom(alice.next_seq(), "three"), 1002078)
    assert "expired" in error.message
    assert alice.connection.member.room_id == "two"
    await alice.expect(SwitchRoom(alice.next_seq(), "three", token=world.token(project, "alice")), LoginOk)


async def test_a_switch_to_a_full_room_leaves_the_client_in_none(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await bob.login(project, "two", config=RoomConfig(1))
    await alice.login(project, "one")
    await alice.expect_error(SwitchRoom(alice.next_seq(), "two"), 1002034)
    assert not alice.connection.logged_in
    await alice.login(project, "one")
    for client in (alice, bob):
        await client.drop()
    await world.assert_empty()


async def test_rooms_cannot_be_switched_beside_others(world):
    project = await world.project()
    first, second = world.client("alice"), world.client("alice")
    login = await first.login(project, "one")
    await second.login(project, "two", beside=key(login))
    await second.expect_error(SwitchRoom(second.next_seq(), "three"), 1002019)


async def test_members_are_told_how_many_they_are_when_that_changed(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    assert (await alice.login(project)).online == 1
    assert (await bob.login(project)).online == 2
    alice.take()
    await world.pass_time(29.9)
    assert alice.take() == []
    await world.pass_time(0.1)
    assert alice.take() == bob.take() == [OnlineCountNotice(2)]
    await world.pass_time(300)
    assert alice.take() == []
    await bob.drop()
    alice.take()
    await world.pass_time(30)
    assert alice.take() == [OnlineCountNotice(1)]


async def test_a_project_may_have_so_many_rooms(world):
    project = await world.project(settings={"room_limit": 2})
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    await alice.login(project, "one")
    await bob.login(project, "two")
    await carol.expect_error(carol.login_message(project, "three"), 1002035)
    await carol.login(project, "two")
    await alice.drop()
    late = world.client("late")
    await late.login(project, "three")


async def test_a_project_out_of_service_lets_nobody_in(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await world.storage.update_project(project.app_id, settings={"online": False})
    await bob.expect_error(bob.login_message(project), 1000037)
    assert alice.connection.logged_in


async def test_logins_to_a_room_and_a_project_are_limited(world):
    project = await world.project(settings={"room_logins_per_s": 2, "app_logins_per_s": 3})
    codes = []
    for number, room in enumerate(["a", "a", "a", "b", "b"]):
        client = world.client(f"u{number}")
        reply = await client.request(client.login_message(project, room, viewer_offer=""))
        codes.append(getattr(reply, "code", 0))
    assert codes == [0, 0, 1002072, 0, 1002071]
    world.now += 1
    late = world.client("late")
    await late.login(project, "a")


async def test_a_server_that_has_just_started_says_so(world):
    world.context.settle_s = 5.0
    project = await world.project()
    alice = world.client("alice")
    world.now += 2
    assert (await alice.login(project)).settle_ms == 3000
    world.now += 3
    assert (await world.client("bob").login(project)).settle_ms == 0

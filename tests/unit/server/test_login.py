from __future__ import annotations

import pytest

from sanderling import tokens
from sanderling.errors import SanderlingError
from sanderling.signaling.messages import (
    Error,
    Heartbeat,
    HeartbeatOk,
    Kicked,
    LoginOk,
    Ok,
    Play,
    Publish,
    RoomConfig,
    StopPlay,
    StopPublish,
    StreamNotice,
    User,
    UserNotice,
    ViewerOffer,
)
from sanderling.testing.fake_engine import make_offer

SILENT = RoomConfig(is_user_status_notify=False)


async def test_login_makes_the_room_and_answers_the_viewer(world):
    project = await world.project(max_plays=7)
    alice = world.client("alice")
    reply = await alice.login(project)
    assert reply.viewer_answer.startswith("v=0")
    assert reply.max_plays == 7
    assert reply.heartbeat_ms == 10_000
    assert reply.server_ms == int(world.now * 1000)
    assert (reply.users, reply.streams) == ((), ())
    assert world.rooms.counts()["rooms"] == 1
    assert world.rooms.counts()["viewers"] == 1


async def test_login_without_a_viewer_offer_makes_no_transport(world):
    project = await world.project()
    reply = await world.client("alice").login(project, viewer_offer="")
    assert reply.viewer_answer == ""
    assert world.engine.open_sessions == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app_id": 0}, 1001000),
        ({"app_id": 2**32}, 1001004),
        ({"app_id": -1}, 1001004),
        ({"room_id": ""}, 1002011),
        ({"room_id": "r" * 128}, 1002013),
        ({"room_id": "a room"}, 1002012),
        ({"user": User()}, 1002005),
        ({"user": User("", "Alice")}, 1002005),
        ({"user": User("u" * 64, "Alice")}, 1002007),
        ({"user": User("a b", "Alice")}, 1002006),
        ({"user": User("alice", "")}, 1002008),
        ({"user": User("alice", "n" * 256)}, 1002010),
        ({"user": User("alice", "a\nb")}, 1002009),
        ({"token": ""}, 1002067),
        ({"token": "03abc"}, 1002079),
        ({"token": "04!!"}, 1002033),
        ({"token": "", "app_sign": "ab"}, 1001001),
        ({"token": "", "app_sign": "z" * 64}, 1001002),
        ({"token": "", "app_sign": "0" * 64}, 1001005),
        ({"version": 2}, 1000017),
        ({"config": RoomConfig(max_member_count=-1)}, 1000017),
        ({"seq": 0}, 1000017),
        ({"seq": 2**60}, 1000017),
        ({"viewer_offer": "junk"}, 1002030),
        ({"viewer_offer": make_offer("sendonly")}, 1002030),
    ],
)
async def test_a_wrong_login_gets_its_code_and_leaves_nothing(world, changes, code):
    project = await world.project()
    alice = world.client("alice")
    message = alice.login_message(project, **changes)
    await alice.send(message)
    (error,) = alice.take()
    assert isinstance(error, Error)
    assert (error.code, bool(error.message)) == (code, True)
    assert error.seq == (0 if "seq" in changes else message.seq)
    await alice.drop()
    await world.assert_empty()


async def test_an_unknown_app_id_is_1001004(world):
    project = await world.project()
    alice = world.client("alice")
    other = project.app_id % (2**32 - 1) + 1
    error = await alice.expect_error(alice.login_message(project, app_id=other), 1001004)
    assert str(other) in error.message


async def test_the_app_sign_alone_logs_in(world):
    project = await world.project()
    await world.client("alice").login(project, token="", app_sign=project.app_sign.upper())


async def test_a_token_of_another_user_or_project_or_time_is_refused(world):
    project, other = await world.project(), await world.project()
    alice = world.client("alice")
    await alice.expect_error(alice.login_message(project, token=world.token(project, "bob")), 1002077)
    await alice.expect_error(alice.login_message(project, token=world.token(other, "alice")), 1002033)
    old = world.token(project, "alice", effective_s=10)
    world.now += 11
    await alice.expect_error(alice.login_message(project, token=old), 1002078)
    await alice.login(project)


async def test_privileges_of_the_token_are_kept(world):
    project = await world.project()
    alice = world.client("alice")
    elsewhere = world.token(project, "alice", tokens.privilege_payload("other"))
    error = await alice.expect_error(alice.login_message(project, token=elsewhere), 1002033)
    assert "'other'" in error.message
    denied = world.token(project, "alice", tokens.privilege_payload("room", can_login=False))
    error = await alice.expect_error(alice.login_message(project, token=denied), 1002033)
    assert "privilege 1" in error.message
    broken = world.token(project, "alice", "{")
    await alice.expect_error(alice.login_message(project, token=broken), 1002075)


async def test_a_refused_login_may_be_tried_again_on_the_same_connection(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.expect_error(alice.login_message(project, token=""), 1002067)
    await alice.login(project)


async def test_a_second_login_on_a_connection_is_1002001(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    await alice.expect_error(alice.login_message(project, "other"), 1002001)
    assert world.rooms.counts()["rooms"] == 1


@pytest.mark.parametrize(
    "message",
    [
        Publish(seq=5, stream_id="s", offer=make_offer()),
        Play(seq=5, stream_id="s"),
        StopPublish(seq=5, stream_id="s"),
        StopPlay(seq=5, stream_id="s"),
        ViewerOffer(seq=5, offer=make_offer("recvonly")),
    ],
)
async def test_requests_before_a_login_are_1000002(world, message):
    await world.client("alice").expect_error(message, 1000002)


async def test_heartbeats_are_answered_with_both_clocks(world):
    reply = await world.client("alice").expect(Heartbeat(3, client_ms=123), HeartbeatOk)
    assert reply == HeartbeatOk(3, 123, int(world.now * 1000))
    await world.client("alice").expect_error(Heartbeat(3, client_ms=2**60), 1000017)


async def test_users_hear_of_each_other_when_both_want_to(world):
    project = await world.project()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    await alice.login(project)
    assert (await bob.login(project)).users == (alice.user,)
    assert alice.take() == [UserNotice(0, (bob.user,))]
    # Carol neither hears nor is announced.
    assert (await carol.login(project, config=SILENT)).users == ()
    assert (alice.take(), bob.take()) == ([], [])
    await carol.drop()
    await bob.drop()
    assert alice.take() == [UserNotice(1, (bob.user,), 5)]
    assert carol.take() == []


async def test_members_beyond_the_limit_are_not_announced(world):
    project = await world.project(settings={"notice_members": 2})
    clients = [world.client(f"user{number}") for number in range(3)]
    for client in clients:
        await client.login(project)
    assert clients[0].take() == [UserNotice(0, (clients[1].user,))]
    await clients[2].drop()
    assert clients[0].take() == []


async def test_the_creator_decides_how_many_fit(world):
    project = await world.project()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    await alice.login(project, config=RoomConfig(max_member_count=2))
    await bob.login(project, config=RoomConfig(max_member_count=50))
    await carol.expect_error(carol.login_message(project), 1002034)
    # The same user comes again: its old session makes the place.
    again = world.client("bob")
    await again.login(project)
    await again.drop()
    await carol.login(project)
    assert bob.outbox.closed == "kicked"


async def test_the_same_user_elsewhere_ends_the_first_session(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await bob.login(project)
    await alice.publish_live("cam")
    alice.take(), bob.take()
    again = world.client("alice")
    reply = await again.login(project, "another-room")
    assert isinstance(reply, LoginOk)
    (kicked,) = alice.take()
    assert isinstance(kicked, Kicked)
    assert (kicked.code, kicked.origin) == (1002050, again.connection.origin)
    assert alice.outbox.closed == "kicked"
    gone, user = bob.take()
    assert isinstance(gone, StreamNotice)
    assert (gone.update, gone.streams[0].stream_id, gone.streams[0].delete_reason) == (1, "cam", 3)
    assert user == UserNotice(1, (alice.user,), 3)
    # The streamID is free at once for the new session.
    await again.publish_live("cam")
    for client in (alice, bob, again):
        await client.drop()
    await world.assert_empty()


async def test_one_room_id_in_two_projects_never_meets(world):
    first, second = await world.project(), await world.project()
    alice, bob = world.client("alice"), world.client("alice")
    await alice.login(first)
    await bob.login(second)
    await alice.publish_live("cam")
    assert bob.take() == []
    await bob.expect_error(bob.play_message("cam"), 1004002)
    await bob.publish_live("cam")
    assert alice.outbox.closed == ""
    assert world.rooms.counts()["rooms"] == 2


async def test_those_who_come_later_learn_of_users_and_streams(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await alice.publish_live("cam", extra_info="hello")
    await alice.expect(alice.publish_message("not-up-yet", channel=1), object)
    reply = await bob.login(project)
    assert [(s.stream_id, s.user.user_id, s.extra_info) for s in reply.streams] == [("cam", "alice", "hello")]
    assert [(t.kind, t.codec) for t in reply.streams[0].tracks] == [("audio", "opus"), ("video", "VP8")]


async def test_long_lists_are_split_over_notices(world):
    project = await world.project()
    names = [f"user{number:03d}" for number in range(300)]
    for name in names:
        world.now += 0.01  # fewer than are allowed in a second
        await world.client(name).login(project, user=User(name, "ü" * 120), viewer_offer="")
    last = world.client("last")
    reply = await last.login(project)
    notices = [m for m in last.take() if isinstance(m, UserNotice)]
    heard = [user.user_id for part in (reply.users, *(n.users for n in notices)) for user in part]
    assert sorted(heard) == names
    assert notices


async def test_logout_is_answered_and_closes(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    await alice.logout()
    assert isinstance(alice.take()[-1], Ok)
    assert alice.outbox.closed == "logged out"
    await alice.drop()
    await world.assert_empty()


async def test_an_error_that_quotes_the_client_stays_short(world):
    alice = world.client("alice")
    world.rooms.refuse(alice.connection, SanderlingError(1000017, "\x01" * 250_000))
    (error,) = alice.take()
    assert isinstance(error, Error)
    assert len(error.message) < 1100

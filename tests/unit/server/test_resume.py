"""A session that loses its connection: what its client gets when it comes back, and what the others see."""

from __future__ import annotations

import asyncio

import pytest

from sanderling.enums import StreamDeleteReason
from sanderling.server.rooms.mailbox import MOST_KEPT
from sanderling.signaling.messages import (
    Broadcast,
    BroadcastNotice,
    Error,
    Heartbeat,
    MessageSent,
    Ok,
    OnlineCountNotice,
    PlayOk,
    PublisherStateNotice,
    PublishOk,
    Resume,
    ResumeOk,
    StopPublish,
    StreamNotice,
    UserNotice,
)


async def two(world, **settings):
    """Alice, who can resume, and Bob, who watches."""
    project = await world.project(l3=True, settings=settings)
    alice, bob = world.client("alice"), world.client("bob")
    bob.login_ok = await bob.login(project)
    alice.login_ok = await alice.login(project, resumable=True)
    bob.take()
    return project, alice, bob


def session_of(client):
    return client.world.context.members[client.login_ok.session_id]


def seen(client):
    """What a client was told, but for how many are in the room."""
    return [message for message in client.take() if not isinstance(message, OnlineCountNotice)]


async def say(client, text):
    return await client.request(Broadcast(client.next_seq(), text))


async def test_only_who_asks_for_it_can_come_back(world):
    project = await world.project()
    alice = world.client("alice")
    login = await alice.login(project)
    assert (login.resume_ms, bool(login.secret)) == (0, True)
    await alice.drop()
    again = world.client("alice")
    await again.expect_error(Resume(1, login.session_id, login.secret, 0), 1002057)
    await again.drop()
    await world.assert_empty()


async def test_what_was_missed_comes_once_and_in_order(world):
    _, alice, bob = await two(world)
    await say(bob, "one")
    assert [m.text for m in alice.take()] == ["one"]
    await alice.drop()
    for text in ("two", "three"):
        world.now += 1
        await say(bob, text)
    again = await alice.resume(alice.login_ok, received=1)
    assert [m.text for m in again.take()] == ["two", "three"]
    world.now += 1
    await say(bob, "four")
    assert [m.text for m in again.take()] == ["four"]
    assert seen(bob) == []


async def test_a_message_in_flight_when_the_connection_broke_is_sent_again(world):
    _, alice, bob = await two(world)
    await say(bob, "lost on the way")
    await alice.drop()
    again = await alice.resume(alice.login_ok, received=0)
    assert [m.text for m in again.take()] == ["lost on the way"]


async def test_a_reply_that_was_lost_is_sent_again_and_the_request_not_done_twice(world):
    _, alice, bob = await two(world)
    sent = Broadcast(alice.next_seq(), "once")
    await alice.send(sent)
    alice.take()  # Lost on the way to the client.
    await alice.drop()
    other = world.client("alice")
    reply = await other.request(Resume(99, alice.login_ok.session_id, alice.login_ok.secret, 0))
    assert isinstance(reply, ResumeOk)
    assert (reply.taken, reply.missed) == (sent.seq, 1)
    (answer,) = other.take()
    assert isinstance(answer, MessageSent)
    assert answer.seq == sent.seq
    # A client that sends it again all the same is told so.
    other.outbox.messages.clear()
    await other.expect_error(sent, 1000017)
    assert [m.text for m in bob.take() if isinstance(m, BroadcastNotice)] == ["once"]


async def test_a_request_under_way_is_carried_out_and_answered_on_the_next_connection(world):
    _, alice, bob = await two(world)
    world.native.hold("answered")
    message = alice.publish_message("cam")
    task = asyncio.create_task(alice.send(message))
    await world.settle()
    await alice.drop()
    other = world.client("alice")
    resumed = asyncio.create_task(other.send(Resume(50, alice.login_ok.session_id, alice.login_ok.secret, 0)))
    await world.settle()
    assert not resumed.done(), "it waits its turn"
    world.native.release()
    await task
    await resumed
    ok, published = other.take()
    assert isinstance(ok, ResumeOk)
    assert ok.taken == message.seq
    assert isinstance(published, PublishOk)
    assert seen(bob) == []


async def test_a_failure_of_a_request_under_way_is_kept_too(world):
    _, alice, _ = await two(world)
    world.native.hold()
    task = asyncio.create_task(alice.send(alice.publish_message("cam", offer="no offer")))
    await world.settle()
    await alice.drop()
    world.native.release()
    await task
    again = await alice.resume(alice.login_ok, received=0)
    (error,) = again.take()
    assert isinstance(error, Error)
    assert error.code == 1003001


async def test_others_see_nothing_of_a_short_loss(world):
    _, alice, bob = await two(world)
    await alice.publish_live("cam")
    await bob.expect(bob.play_message("cam"), PlayOk)
    bob.take()
    await alice.drop()
    await world.pass_time(4.9)
    again = await alice.resume(alice.login_ok, received=2)
    await world.pass_time(200)
    assert seen(bob) == []
    assert world.rooms.counts()["plays"] == 1
    await again.expect(StopPublish(again.next_seq(), "cam"), Ok)


async def test_a_client_that_is_gone_with_its_media_is_told_of_after_five_seconds(world):
    _, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    bob.take()
    world.native.hear(session)
    await world.settle()
    await alice.drop()
    await world.pass_time(4.9)
    assert seen(bob) == []
    await world.pass_time(0.1)
    stream, user = seen(bob)
    assert isinstance(stream, StreamNotice)
    assert (stream.update, stream.streams[0].delete_reason) == (1, 5)
    assert user == UserNotice(1, (alice.user,), 5)


async def test_a_client_whose_media_goes_on_is_only_silent(world):
    _, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    bob.take()
    await alice.drop()
    for _ in range(20):
        world.native.hear(session)
        await world.pass_time(1)
    assert seen(bob) == []
    await world.pass_time(28)
    assert seen(bob) == []
    await world.pass_time(2)
    stream, user = seen(bob)
    assert stream.streams[0].delete_reason == StreamDeleteReason.HEARTBEAT_TIMEOUT
    assert user.reason == StreamDeleteReason.HEARTBEAT_TIMEOUT


async def test_the_silence_is_the_projects(world):
    _, alice, bob = await two(world, silent_s=60)
    assert alice.login_ok.heartbeat_ms == 10_000
    session = await alice.publish_live("cam")
    bob.take()
    await alice.drop()
    await world.pass_time(2)
    world.native.hear(session)
    await world.settle()
    await world.pass_time(59)
    assert seen(bob) == []
    await world.pass_time(1.1)
    assert len(seen(bob)) == 2


async def test_media_is_a_sign_of_life_of_an_open_connection_too(world):
    _, alice, _ = await two(world)
    session = await alice.publish_live("cam")
    world.now += 29
    assert world.rooms.patience(alice.connection) == 1
    world.native.hear(session, silent_ms=500)
    await world.settle()
    assert world.rooms.patience(alice.connection) == 29.5
    world.now += 10
    world.rooms.heard(alice.connection)
    assert world.rooms.patience(alice.connection) == 30


async def test_who_comes_back_from_away_is_announced_again_and_learns_what_ended(world):
    _, alice, bob = await two(world)
    await alice.publish_live("cam")
    bob.take(), alice.take()
    await alice.drop()
    await world.pass_time(6)
    bob.take()
    await world.pass_time(60)
    again = await alice.resume(alice.login_ok, received=2)
    (ended,) = seen(again)
    assert isinstance(ended, PublisherStateNotice)
    assert (ended.stream_id, ended.state, ended.code) == ("cam", 0, 1003020)
    assert seen(bob) == [UserNotice(0, (alice.user,))]
    await again.publish_live("cam")
    (added,) = bob.take()
    assert isinstance(added, StreamNotice)
    assert added.update == 0


async def test_after_ninety_seconds_a_session_is_over(world):
    _, alice, bob = await two(world)
    await alice.drop()
    await world.pass_time(89)
    assert session_of(alice)
    await world.pass_time(1)
    other = world.client("alice")
    login = alice.login_ok
    await other.expect_error(Resume(1, login.session_id, login.secret, 0), 1002057)
    await other.drop()
    await bob.drop()
    await world.assert_empty()


@pytest.mark.parametrize(
    "changes",
    [{"secret": "guessed"}, {"secret": ""}, {"session_id": "none"}, {"received": 1}, {"received": -1}],
)
async def test_a_session_is_not_given_to_others(world, changes):
    _, alice, _ = await two(world)
    await alice.drop()
    other = world.client("mallory")
    values = {"session_id": alice.login_ok.session_id, "secret": alice.login_ok.secret, "received": 0}
    await other.expect_error(Resume(1, **{**values, **changes}), 1002057)
    assert not other.connection.logged_in
    # The connection may still be used for a login.
    project = session_of(alice).project if "received" not in changes else await world.project()
    await other.login(project)


async def test_a_second_connection_takes_over_from_one_that_is_still_open(world):
    _, alice, bob = await two(world)
    again = await alice.resume(alice.login_ok, received=0)
    assert alice.outbox.closed == "resumed elsewhere"
    await alice.drop()
    await world.pass_time(100)
    assert seen(bob) == []
    await say(bob, "hello")
    assert [m.text for m in seen(again)] == ["hello"]


async def test_more_than_is_kept_means_a_new_login(world):
    project, alice, bob = await two(world, broadcasts_per_s=1_000_000, user_broadcasts_per_s=1_000_000)
    await alice.drop()
    for number in range(MOST_KEPT + 1):
        await bob.send(Broadcast(bob.next_seq(), str(number)))
    other = world.client("alice")
    login = alice.login_ok
    await other.expect_error(Resume(1, login.session_id, login.secret, 0), 1002057)
    await other.login(project)


async def test_what_is_confirmed_is_not_kept(world):
    _, alice, bob = await two(world)
    mailbox = session_of(alice).mailbox
    for text in ("one", "two"):
        world.now += 1
        await say(bob, text)
    await alice.request(Heartbeat(alice.next_seq(), received=1))
    assert mailbox.missed(0) is None
    assert len(mailbox.missed(1)) == 1
    # A count that cannot be is passed over.
    await alice.request(Heartbeat(alice.next_seq(), received=99))
    assert len(mailbox.missed(1)) == 1


async def test_a_logout_is_the_end_also_of_a_session_that_could_be_resumed(world):
    _, alice, bob = await two(world)
    await alice.logout()
    await alice.drop()
    assert seen(bob) == [UserNotice(1, (alice.user,), 1)]
    other = world.client("alice")
    login = alice.login_ok
    await other.expect_error(Resume(1, login.session_id, login.secret, 0), 1002057)


async def test_a_logout_that_was_read_but_not_carried_out_counts(world):
    _, alice, bob = await two(world)
    await world.rooms.disconnect(alice.connection, StreamDeleteReason.PUBLISHER_STOPPED, over=True)
    assert seen(bob) == [UserNotice(1, (alice.user,), 1)]


async def test_a_new_login_replaces_a_session_that_waits(world):
    project, alice, bob = await two(world)
    await alice.publish_live("cam")
    await alice.drop()
    bob.take()
    again = world.client("alice")
    await again.login(project)
    assert [type(m) for m in bob.take()] == [StreamNotice, UserNotice, UserNotice]
    await again.publish_live("cam")
    for client in (again, bob):
        await client.drop()
    await world.assert_empty()


async def test_a_server_that_goes_down_keeps_nobody(world):
    _, alice, bob = await two(world)
    await alice.drop()
    world.rooms.drain()
    await bob.drop()
    await world.assert_empty()


async def test_a_thousand_reconnects_leave_nothing_behind(world):
    _, alice, bob = await two(world)
    client = alice
    for _ in range(1000):
        await client.drop()
        client = await client.resume(alice.login_ok, received=0)
    assert world.rooms.counts()["connections"] == 2
    assert len(world.context.agenda) <= 3
    assert seen(bob) == []
    for each in (client, bob):
        await each.logout()
        await each.drop()
    await world.assert_empty()
    await world.pass_time(31)
    assert len(world.context.agenda) == 0


async def test_the_secret_does_not_show(world):
    _, alice, _ = await two(world)
    secret = alice.login_ok.secret
    assert secret not in repr(alice.login_ok)
    assert secret not in repr(session_of(alice))
    assert secret not in repr(Resume(1, "s", secret, 0))
    assert secret not in repr(world.rooms.describe())


async def test_a_seq_is_not_used_twice(world):
    _, alice, _ = await two(world)
    await alice.expect_error(Broadcast(1, "again"), 1000017)


async def test_who_comes_back_to_a_session_that_was_ended_learns_why(world):
    project, alice, bob = await two(world)
    await alice.drop()
    newcomer = world.client("alice")
    await newcomer.login(project)
    other, thief = world.client("alice"), world.client("mallory")
    login = alice.login_ok
    await thief.expect_error(Resume(1, login.session_id, "guessed", 0), 1002057)
    await other.send(Resume(1, login.session_id, login.secret, 0))
    (kicked,) = other.take()
    assert (kicked.code, kicked.origin) == (1002050, newcomer.connection.origin)
    assert other.outbox.closed == "kicked"
    assert newcomer.connection.logged_in
    await world.pass_time(91)
    late = world.client("alice")
    await late.expect_error(Resume(1, login.session_id, login.secret, 0), 1002057)
    assert world.context.farewells == {}


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
async def test_a_jump_of_the_wall_clock_ends_nobody(world, jump):
    _, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    bob.take()
    await alice.drop()
    world.jump = jump
    await world.pass_time(4)
    world.native.hear(session)
    await world.settle()
    await world.pass_time(20)
    assert seen(bob) == []
    again = await alice.resume(alice.login_ok, received=2)
    assert world.rooms.patience(again.connection) > 0
    await say(bob, "still here")
    assert [m.text for m in seen(again)] == ["still here"]
    # A token that is over by the new time ends nothing that goes on, as its project says.
    await world.pass_time(3600)
    assert again.connection.logged_in

from __future__ import annotations

import asyncio

import pytest

from sanderling import tokens
from sanderling.signaling.messages import (
    Error,
    Ok,
    PublisherStateNotice,
    PublishOk,
    StopPublish,
    Stream,
    StreamNotice,
    Track,
    User,
)
from sanderling.testing.fake_engine import make_offer

TRACKS = (Track("audio", "opus"), Track("video", "VP8"))


async def two(world, **values):
    project = await world.project(**values)
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await bob.login(project)
    alice.take()
    return project, alice, bob


async def test_a_stream_is_announced_when_its_transport_is_up(world):
    _, alice, bob = await two(world)
    reply = await alice.expect(alice.publish_message("cam"), PublishOk)
    assert (reply.stream_id, reply.tracks) == ("cam", TRACKS)
    assert reply.answer.startswith("v=0")
    await world.settle()
    assert (alice.take(), bob.take()) == ([], [])
    world.native.connect(next(s for s, held in world.native.sessions.items() if held.kind == "publisher"))
    await world.settle()
    assert alice.take() == [PublisherStateNotice("cam", 2)]
    assert bob.take() == [StreamNotice(0, (Stream("cam", User("alice", "Alice"), tracks=TRACKS),))]


async def test_a_transport_that_is_up_before_the_reply_is_told_after_it(world):
    _, alice, bob = await two(world)
    world.native.hold("answered")
    task = asyncio.create_task(alice.send(alice.publish_message("cam")))
    await world.settle()
    session = next(s for s, held in world.native.sessions.items() if held.kind == "publisher")
    world.native.release()
    world.native.connect(session)
    await task
    await world.settle()
    assert [type(m) for m in alice.take()] == [PublishOk, PublisherStateNotice]
    assert [type(m) for m in bob.take()] == [StreamNotice]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stream_id": ""}, 1000015),
        ({"stream_id": "s" * 256}, 1000014),
        ({"stream_id": "a b"}, 1000016),
        ({"channel": 4}, 1000017),
        ({"channel": -1}, 1000017),
        ({"extra_info": "x" * 1024}, 1003051),
        ({"offer": "junk"}, 1003001),
        ({"offer": make_offer("recvonly")}, 1003001),
        ({"offer": make_offer(video_codecs=("H265",))}, 1003080),
    ],
)
async def test_a_wrong_publish_gets_its_code_and_leaves_nothing(world, changes, code):
    _, alice, bob = await two(world)
    error = await alice.expect_error(alice.publish_message(**{"stream_id": "cam", **changes}), code)
    assert error.message
    assert world.registry.streams == 0
    # The same stream and channel are free.
    await alice.publish_live("cam")
    assert [type(m) for m in bob.take()] == [StreamNotice]


async def test_why_an_offer_is_bad_is_said(world):
    _, alice, _ = await two(world)
    error = await alice.expect_error(alice.publish_message("cam", offer="junk"), 1003001)
    assert "does not begin with v=0" in error.message


async def test_a_busy_channel_is_1003023_and_other_channels_are_free(world):
    _, alice, _ = await two(world)
    await alice.publish_live("cam")
    await alice.expect_error(alice.publish_message("cam2"), 1003023)
    for channel in (1, 2, 3):
        await alice.publish_live(f"cam{channel}", channel=channel)
    assert world.rooms.counts()["streams"] == 4


async def test_a_stream_id_is_unique_in_this_and_every_room_of_the_app_id(world):
    project, alice, bob = await two(world)
    carol = world.client("carol")
    await carol.login(project, "other")
    session = await alice.publish_live("cam")
    bob.take()
    here = await bob.expect_error(bob.publish_message("cam"), 1003028)
    there = await carol.expect_error(carol.publish_message("cam"), 1003028)
    assert "this room" in here.message
    assert "another room" in there.message
    # The first goes on undisturbed.
    assert session in world.native.sessions
    assert (alice.take()[1:], bob.take(), carol.take()) == ([], [], [])
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    await carol.publish_live("cam")


async def test_of_many_who_publish_one_stream_id_at_once_one_wins(world):
    project = await world.project()
    clients = [world.client(f"user{number}") for number in range(8)]
    for number, client in enumerate(clients):
        await client.login(project, f"room{number % 3}")
    messages = [client.publish_message("cam") for client in clients]
    await asyncio.gather(*(c.send(m) for c, m in zip(clients, messages, strict=True)))
    replies = [c.take()[-1] for c in clients]
    assert sum(isinstance(reply, PublishOk) for reply in replies) == 1
    assert {reply.code for reply in replies if isinstance(reply, Error)} == {1003028}
    assert world.rooms.counts()["streams"] == 1


async def test_a_token_without_the_right_is_1003072(world):
    project = await world.project()
    cases = {
        "denied": tokens.privilege_payload("room", can_publish=False),
        "listed": tokens.privilege_payload("room", stream_ids=["only-this"]),
    }
    for user_id, payload in cases.items():
        client = world.client(user_id)
        await client.login(project, token=world.token(project, user_id, payload))
        await client.expect_error(client.publish_message("cam"), 1003072)
    assert world.engine.open_sessions == 2  # the viewers
    await client.publish_live("only-this")


async def test_a_token_that_ran_out_lets_streams_go_on_but_no_new_one_begin(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project, token=world.token(project, "alice", effective_s=60))
    session = await alice.publish_live("cam")
    world.now += 61
    error = await alice.expect_error(alice.publish_message("cam2", channel=1), 1003072)
    assert "expired" in error.message
    assert session in world.native.sessions


async def test_stopping_ends_the_sending_and_tells_the_room_why(world):
    _, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    bob.take()
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    assert session not in world.native.sessions
    (gone,) = bob.take()
    assert isinstance(gone, StreamNotice)
    assert (gone.update, gone.streams[0].delete_reason) == (1, 1)
    # Again, and for a stream that never was: nothing to do.
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    await alice.publish_live("cam")


async def test_a_stream_that_never_came_up_goes_without_a_notice_to_others(world):
    _, alice, bob = await two(world)
    await alice.expect(alice.publish_message("cam"), PublishOk)
    session = next(s for s, held in world.native.sessions.items() if held.kind == "publisher")
    world.native.lose(session, "ice_timeout")
    await world.settle()
    (state,) = alice.take()
    assert isinstance(state, PublisherStateNotice)
    assert (state.state, state.code) == (0, 1003001)
    assert "ice_timeout" in state.message
    assert bob.take() == []
    assert world.registry.streams == 0


@pytest.mark.parametrize(
    ("why", "reason", "code"),
    [("consent_expired", 5, 1003020), ("peer_closed", 1, 0), ("dtls_failed", 5, 1003020)],
)
async def test_a_lost_transport_ends_its_stream(world, why, reason, code):
    _, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    alice.take(), bob.take()
    world.native.lose(session, why)
    await world.settle()
    (state,) = alice.take()
    assert (state.state, state.code) == (0, code)
    (gone,) = bob.take()
    assert gone.streams[0].delete_reason == reason
    await alice.publish_live("cam")


async def test_a_failed_worker_ends_what_it_held(world):
    project, alice, bob = await two(world)
    session = await alice.publish_live("cam")
    alice.take(), bob.take()
    world.native.fail_worker(world.native.sessions[session].worker)
    await world.settle()
    assert any(isinstance(m, PublisherStateNotice) and m.state == 0 for m in alice.take())
    assert any(isinstance(m, StreamNotice) and m.update == 1 for m in bob.take())
    for client in (alice, bob):
        await client.drop()
    await world.assert_empty()


async def test_a_busy_engine_is_said_and_nothing_is_kept(world):
    _, alice, _ = await two(world)
    world.native.busy = 1
    error = await alice.expect_error(alice.publish_message("cam"), 1003001)
    assert "try again" in error.hint
    await alice.publish_live("cam")


async def test_a_slow_engine_call_of_one_client_does_not_hold_up_others(world):
    project, alice, bob = await two(world)
    world.native.hold("answered")
    waiting = asyncio.create_task(alice.send(alice.publish_message("cam")))
    await world.settle()
    carol = world.client("carol")
    await carol.login(project, viewer_offer="")
    await bob.expect_error(bob.play_message("cam"), 1004002)
    assert not waiting.done()
    world.native.release()
    await waiting
    assert any(isinstance(m, PublishOk) for m in alice.take())

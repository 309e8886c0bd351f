"""What the server's operator does, and who learns of it how."""

from __future__ import annotations

import asyncio

import pytest

from sanderling.errors import SanderlingError
from sanderling.signaling.messages import (
    Error,
    Kicked,
    PlayerStateNotice,
    PlayOk,
    PublisherStateNotice,
    StreamNotice,
    UserNotice,
)


async def on_air(world):
    project = await world.project(l3=True)
    host, guest = world.client("host"), world.client("guest")
    await host.login(project, resumable=True)
    await guest.login(project)
    session = await host.publish_live("cam")
    await guest.expect(guest.play_message("cam"), PlayOk)
    host.take(), guest.take()
    return project, host, guest, session


async def test_a_kicked_user_and_the_others_learn_why(world):
    project, host, guest, _ = await on_air(world)
    assert await world.rooms.administration.kick(project.app_id, "room", "host", "spoilers")
    await world.settle()
    (kicked,) = host.take()
    assert kicked == Kicked(1002055, "removed by the server", custom_reason="spoilers")
    assert host.outbox.closed == "kicked"
    player, stream, user = guest.take()
    assert (player.stream_id, player.state, player.code) == ("cam", 0, 0)
    assert (stream.streams[0].delete_reason, stream.streams[0].custom_reason) == (4, "spoilers")
    assert user == UserNotice(1, (host.user,), 4)
    await host.drop()
    await guest.drop()
    await world.assert_empty()


async def test_nobody_is_kicked_from_a_room_that_he_is_not_in(world):
    project, host, _, _ = await on_air(world)
    assert not await world.rooms.administration.kick(project.app_id, "another", "host")
    assert not await world.rooms.administration.kick(project.app_id, "room", "nobody")
    assert host.take() == []


async def test_a_closed_room_is_left_by_all(world):
    project, host, guest, _ = await on_air(world)
    assert await world.rooms.administration.close_room(project.app_id, "room", "the end") == 2
    await world.settle()
    assert [client.take()[-1].code for client in (host, guest)] == [1002055, 1002055]
    for client in (host, guest):
        await client.drop()
    await world.assert_empty()


async def test_a_forbidden_stream_ends_in_order_and_cannot_be_published_until_it_may(world):
    project, host, guest, session = await on_air(world)
    assert await world.rooms.administration.forbid_stream(project.app_id, "cam", 60, "copyright")
    await world.settle()
    (state,) = host.take()
    assert isinstance(state, PublisherStateNotice)
    assert (state.state, state.code) == (0, 1003025)
    assert "copyright" in state.message
    player, stream = guest.take()
    assert isinstance(player, PlayerStateNotice)
    assert (player.state, player.code) == (0, 1004025)
    assert "copyright" in player.message
    assert isinstance(stream, StreamNotice)
    assert (stream.streams[0].delete_reason, stream.streams[0].custom_reason) == (6, "copyright")
    assert session not in world.native.sessions
    await host.expect_error(host.publish_message("cam"), 1003025)
    await guest.expect_error(guest.publish_message("cam"), 1003025)
    await guest.expect_error(guest.play_message("cam"), 1004025)
    await host.publish_live("other", channel=1)
    world.now += 60
    await host.publish_live("cam")
    assert not await world.rooms.administration.forbid_stream(project.app_id, "not-there", 60)
    await world.rooms.administration.allow_stream(project.app_id, "not-there")
    await guest.publish_live("not-there")


@pytest.mark.parametrize("step", ["project", "claim_stream", "banned"])
async def test_a_stream_that_is_forbidden_while_it_is_published_does_not_go_live(world, monkeypatch, step):
    project = await world.project()
    host, guest = world.client("host"), world.client("guest")
    await host.login(project)
    await guest.login(project)
    host.take()
    owner = world.storage if step == "project" else world.registry
    carry_out = getattr(owner, step)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def held(*arguments):
        found = await carry_out(*arguments)
        reached.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(owner, step, held)
    publishing = asyncio.create_task(host.request(host.publish_message("cam")))
    await reached.wait()
    await world.rooms.administration.forbid_stream(project.app_id, "cam", 60)
    go_on.set()
    refused = await publishing
    assert isinstance(refused, Error)
    assert refused.code == 1003025
    await world.settle()
    assert (host.take(), guest.take(), world.registry.streams) == ([], [], 0)
    assert world.rooms.counts()["streams"] == 0
    world.now += 61
    await host.publish_live("cam")
    for client in (host, guest):
        await client.drop()
    await world.assert_empty()


async def test_a_banned_user_is_out_and_stays_out_until_allowed(world):
    project, host, _, _ = await on_air(world)
    await world.rooms.administration.ban(project.app_id, "host", 60, "abuse")
    await world.settle()
    assert host.take()[-1].code == 1002055
    again = world.client("host")
    await again.expect_error(again.login_message(project), 1002066)
    await world.rooms.administration.allow_user(project.app_id, "host")
    await again.login(project)


async def test_a_reason_has_at_most_256_bytes(world):
    project, *_ = await on_air(world)
    with pytest.raises(SanderlingError) as caught:
        await world.rooms.administration.kick(project.app_id, "room", "host", "é" * 129)
    assert int(caught.value.code) == 1000017

"""Tokens during a session."""

from __future__ import annotations

import pytest

from sanderling import tokens
from sanderling.signaling.messages import Kicked, Ok, RenewToken, StopPublish, TokenWillExpire, UserNotice


def strict(**values):
    return tokens.privilege_payload("room", **values)


async def alone(world, effective_s=100, payload="", **settings):
    project = await world.project(settings=settings)
    alice = world.client("alice")
    token = world.token(project, "alice", payload, effective_s=effective_s)
    login = await alice.login(project, token=token)
    return project, alice, login


def told(client):
    return [m for m in client.take() if isinstance(m, TokenWillExpire | Kicked)]


async def test_thirty_seconds_before_its_end_a_token_is_warned_of(world):
    _, alice, login = await alone(world)
    assert login.token_expires_ms == int(world.now * 1000) + 100_000
    await world.pass_time(69)
    assert told(alice) == []
    await world.pass_time(1)
    assert told(alice) == [TokenWillExpire(30)]
    await world.pass_time(10)
    assert told(alice) == []


async def test_a_short_token_is_warned_of_at_once(world):
    _, alice, _ = await alone(world, effective_s=5)
    await world.pass_time(0)
    assert told(alice) == [TokenWillExpire(5)]


async def test_a_renewed_token_begins_anew(world):
    project, alice, _ = await alone(world)
    await world.pass_time(70)
    told(alice)
    fresh = world.token(project, "alice", effective_s=100)
    await alice.expect(RenewToken(alice.next_seq(), fresh), Ok)
    await world.pass_time(60)
    assert told(alice) == []
    await alice.publish_live("cam")
    await world.pass_time(10)
    assert told(alice) == [TokenWillExpire(30)]


async def test_by_default_an_expired_token_ends_nothing_but_publishes(world):
    _, alice, _ = await alone(world)
    await alice.publish_live("cam")
    await world.pass_time(70)
    await world.pass_time(31.5)
    assert told(alice) == [TokenWillExpire(30)]
    assert alice.connection.logged_in
    await alice.expect_error(alice.publish_message("more", channel=1), 1003072)


async def test_a_project_may_have_it_end_the_session(world):
    project, alice, _ = await alone(world, token_expired="kick")
    bob = world.client("bob")
    await bob.login(project)
    await world.pass_time(70)
    await world.pass_time(30)
    assert told(alice) == [TokenWillExpire(30)]
    bob.take()
    await world.pass_time(1.1)
    (kicked,) = told(alice)
    assert kicked.code == 1002056
    assert bob.take() == [UserNotice(1, (alice.user,), 4)]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda w, p: "", 1002067),
        (lambda w, p: "05xx", 1002079),
        (lambda w, p: w.token(p, "bob"), 1002077),
        (lambda w, p: tokens.generate(p.app_id, "alice", p.server_secret, 5, now=w.now - 10), 1002078),
        (lambda w, p: w.token(p, "alice", tokens.privilege_payload("another")), 1002033),
        (lambda w, p: w.token(p, "alice", strict(can_publish=False)), 1002082),
        (lambda w, p: w.token(p, "alice", strict(stream_ids=["other"])), 1002082),
    ],
)
async def test_a_token_that_is_no_good_changes_nothing(world, make, code):
    project, alice, _ = await alone(world)
    await alice.publish_live("cam")
    before = alice.connection.member.token
    await alice.expect_error(RenewToken(alice.next_seq(), make(world, project)), code)
    assert alice.connection.member.token is before


async def test_without_a_stream_a_token_may_lose_the_right_to_publish(world):
    project, alice, _ = await alone(world)
    await alice.publish_live("cam")
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    await alice.expect(
        RenewToken(alice.next_seq(), world.token(project, "alice", strict(can_publish=False))), Ok
    )
    await alice.expect_error(alice.publish_message("cam"), 1003072)


async def test_a_project_may_ask_for_privileges(world):
    project = await world.project(settings={"require_privileges": True})
    alice = world.client("alice")
    await alice.expect_error(alice.login_message(project), 1002033)
    await alice.expect_error(alice.login_message(project, token="", app_sign=project.app_sign), 1002033)
    await alice.login(project, token=world.token(project, "alice", strict()))
    await alice.publish_live("cam")


async def test_a_project_may_ask_for_privileges_to_publish_of_who_is_there_already(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    await alice.publish_live("cam")
    await world.storage.update_project(project.app_id, settings={"require_privileges": True})
    await alice.expect_error(alice.publish_message("cam2", channel=1), 1003072)
    assert alice.connection.member.publishing

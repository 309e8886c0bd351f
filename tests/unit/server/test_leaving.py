"""Every way out of a session, at every moment of it: afterwards nothing is held."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from sanderling.bridge import engine
from sanderling.enums import StreamDeleteReason
from sanderling.signaling.messages import Error, Logout, PlayOk, StreamList, StreamNotice, UserNotice


async def logout(world, client, project):
    await client.logout()
    await client.drop()


async def lost(world, client, project):
    await client.drop(StreamDeleteReason.CONNECTION_LOST)


async def silent(world, client, project):
    await client.drop(StreamDeleteReason.HEARTBEAT_TIMEOUT)


async def kicked(world, client, project):
    again = world.client(client.user.user_id)
    await again.login(project)
    await client.drop()
    await again.drop()


WAYS = {"logout": (logout, 1), "lost": (lost, 5), "silent": (silent, 2), "kicked": (kicked, 3)}


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_in_full_swing_leaves_nothing(world, way):
    leave, reason = WAYS[way]
    project = await world.project(l3=True)
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await bob.login(project)
    await alice.publish_live("cam")
    await alice.publish_live("screen", channel=1)
    await bob.publish_live("bobcam")
    await alice.expect(alice.play_message("bobcam"), PlayOk)
    await bob.expect(bob.play_message("cam"), PlayOk)
    bob.take()
    await leave(world, alice, project)
    notices = [m for m in bob.take() if isinstance(m, StreamNotice) and m.update == 1]
    gone = {stream.stream_id: stream.delete_reason for notice in notices for stream in notice.streams}
    assert gone == {"cam": reason, "screen": reason}
    await bob.drop()
    await world.assert_empty()


@pytest.mark.parametrize("way", WAYS)
async def test_others_see_the_user_go_after_its_streams(world, way):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await bob.login(project)
    await alice.publish_live("cam")
    bob.take()
    await WAYS[way][0](world, alice, project)
    stream, user = bob.take()[:2]
    assert isinstance(stream, StreamNotice)
    assert user == UserNotice(1, (alice.user,), WAYS[way][1])


@pytest.mark.parametrize("way", ["lost", "kicked"])
@pytest.mark.parametrize("moment", ["login", "publish", "play"])
async def test_leaving_while_the_engine_works_leaves_nothing(world, way, moment):
    project = await world.project()
    host, alice = world.client("host"), world.client("alice")
    await host.login(project)
    await host.publish_live("cam")
    if moment != "login":
        await alice.login(project)
    message = {
        "login": alice.login_message,
        "publish": lambda _: alice.publish_message("mine"),
        "play": lambda _: alice.play_message("cam"),
    }[moment](project)
    world.native.hold("answered" if moment != "play" else "bound")
    task = asyncio.create_task(alice.send(message))
    await world.settle()
    assert not task.done()
    if way == "kicked":
        again = world.client("alice")
        relogin = asyncio.create_task(again.send(again.login_message(project, viewer_offer="")))
        await world.settle()
        await relogin
        await again.drop()
    else:
        await alice.drop()
    world.native.release()
    await task
    await alice.drop()
    await host.drop()
    await world.assert_empty()


@pytest.mark.parametrize("moment", ["login", "publish", "play"])
async def test_a_cancelled_request_leaves_nothing(world, moment):
    """The connection's tasks are cancelled after the session has left; the engine answers later."""
    project = await world.project()
    host, alice = world.client("host"), world.client("alice")
    await host.login(project)
    await host.publish_live("cam")
    if moment != "login":
        await alice.login(project)
    message = {
        "login": alice.login_message,
        "publish": lambda _: alice.publish_message("mine"),
        "play": lambda _: alice.play_message("cam"),
    }[moment](project)
    world.native.hold()
    task = asyncio.create_task(alice.send(message))
    await world.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.native.release()
    await alice.drop()
    await host.drop()
    await world.assert_empty()


async def test_a_cancelled_play_frees_its_slot_for_the_session_that_goes_on(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    await alice.publish_live("cam")
    world.native.hold("bound")
    task = asyncio.create_task(alice.send(alice.play_message("cam")))
    await world.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.native.release()
    await world.settle()
    assert world.native.counters()["bindings"] == 0
    await alice.expect(alice.play_message("cam"), PlayOk)


async def test_a_full_command_queue_does_not_keep_a_session_open(world, monkeypatch):
    monkeypatch.setattr(engine, "CLOSE_AGAIN_S", 0)
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    world.native.busy = 1
    await alice.drop()
    assert len(world.native.sessions) == 1
    await world.assert_empty()


async def test_the_room_is_gone_with_its_last_user_and_new_after_it(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    assert world.rooms.counts()["rooms"] == 1
    await alice.drop()
    assert world.rooms.counts()["rooms"] == 0
    await world.client("bob").login(project)
    assert world.rooms.counts()["rooms"] == 1


async def test_drain_tells_every_connection(world):
    project = await world.project()
    alice, idle = world.client("alice"), world.client("idle")
    await alice.login(project)
    alice.take()
    world.rooms.drain()
    for client in (alice, idle):
        (error,) = client.take()
        assert isinstance(error, Error)
        assert (error.code, error.seq) == (1002052, 0)
        assert client.outbox.closed == "shutting down"


async def test_a_failing_service_is_an_error_with_its_code_and_not_the_end(world, monkeypatch):
    project = await world.project()
    alice = world.client("alice")

    async def broken(app_id: int) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(world.storage, "project", broken)
    with structlog.testing.capture_logs() as logs:
        error = await alice.expect_error(alice.login_message(project), 1000099)
    assert "disk" not in error.message
    assert [entry["event"] for entry in logs] == ["request_failed"]
    monkeypatch.undo()
    await alice.login(project)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda client: client.publish_message("cam"), 1003099),
        (lambda client: client.play_message("cam"), 1004099),
        (lambda client: StreamList(client.next_seq()), 1002099),
    ],
)
async def test_a_fault_of_the_server_gets_the_code_of_what_was_asked(world, monkeypatch, make, code):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)

    async def broken(*_: object, **__: object) -> None:
        raise OSError("gone")

    for name in ("banned", "room_streams"):
        monkeypatch.setattr(world.registry, name, broken)
    with structlog.testing.capture_logs() as logs:
        await alice.expect_error(make(alice), code)
    assert [entry["event"] for entry in logs] == ["request_failed"]
    assert alice.connection.logged_in


async def test_logout_before_login_is_refused(world):
    await world.client("alice").expect_error(Logout(4), 1000002)

"""A media worker that fails takes its sessions along: everybody concerned is told, nothing stays held for it."""

from __future__ import annotations

from sanderling.enums import PlayerState, PublisherState
from sanderling.signaling.messages import PlayerStateNotice, PlayOk, PublisherStateNotice, StreamNotice


async def playing_across_workers(world, project):
    """Host publishes on one worker, bob's viewer is on the other one and plays; their session handles."""
    host, bob = world.client("host"), world.client("bob")
    await host.login(project, viewer_offer="")
    await host.publish_live("cam")
    await bob.login(project)
    await bob.expect(bob.play_message("cam"), PlayOk)
    publisher = next(iter(host.connection.member.publications.values())).handle
    viewer = bob.connection.member.viewer
    assert publisher.worker != viewer.worker
    host.take()
    bob.take()
    return host, bob, publisher, viewer


async def test_the_publisher_and_its_players_on_other_workers_are_told(world):
    host, bob, publisher, viewer = await playing_across_workers(world, await world.project())
    world.native.fail_worker(publisher.worker)
    await world.settle()
    (lost,) = host.take()
    assert isinstance(lost, PublisherStateNotice)
    assert (lost.stream_id, lost.state, lost.code) == ("cam", PublisherState.NO_PUBLISH, 1003020)
    ended, gone = bob.take()
    assert isinstance(ended, PlayerStateNotice)
    assert (ended.stream_id, ended.state, ended.code) == ("cam", PlayerState.NO_PLAY, 1004020)
    assert isinstance(gone, StreamNotice)
    assert [(s.stream_id, s.delete_reason) for s in gone.streams] == [("cam", 5)]
    assert world.native.bound_streams(viewer.session) == []


async def test_what_failed_can_be_published_and_played_again(world):
    host, bob, publisher, _ = await playing_across_workers(world, await world.project())
    world.native.fail_worker(publisher.worker)
    await world.settle()
    await host.publish_live("cam")
    # Two slots: without the first one's return the second play would take the last.
    await bob.expect(bob.play_message("cam"), PlayOk)
    await host.publish_live("screen", channel=1)
    await bob.expect(bob.play_message("screen"), PlayOk)
    await host.drop()
    await bob.drop()
    await world.assert_empty()


async def test_the_players_on_the_failed_worker_are_told_and_the_stream_goes_on(world):
    host, bob, _, viewer = await playing_across_workers(world, await world.project())
    world.native.fail_worker(viewer.worker)
    await world.settle()
    assert host.take() == []
    (ended,) = bob.take()
    assert isinstance(ended, PlayerStateNotice)
    assert (ended.stream_id, ended.state, ended.code) == ("cam", PlayerState.NO_PLAY, 1004020)
    assert world.rooms.counts()["viewers"] == 0
    await host.drop()
    await bob.drop()
    await world.assert_empty()


async def test_an_ordinary_end_has_no_code_and_asks_the_engine_for_nothing_more(world):
    host, bob, _, _ = await playing_across_workers(world, await world.project())
    await host.drop()
    ended, _ = [m for m in bob.take() if isinstance(m, PlayerStateNotice | StreamNotice)]
    assert isinstance(ended, PlayerStateNotice)
    assert ended.code == 0
    assert [name for name, _ in world.native.commands if name == "unbind"] == []

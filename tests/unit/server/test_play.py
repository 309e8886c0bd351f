from __future__ import annotations

import asyncio

import pytest

from sanderling.enums import ResourceMode
from sanderling.errors import SanderlingError
from sanderling.server.rooms.paths import Stage, choose_path
from sanderling.signaling.messages import (
    Error,
    Ok,
    PathChoice,
    Play,
    PlayerStateNotice,
    PlayOk,
    SlotBound,
    StopPlay,
    StopPublish,
    StreamNotice,
    ViewerAnswer,
    ViewerOffer,
)
from sanderling.testing.fake_engine import make_offer


async def host_and_viewer(world, **values):
    project = await world.project(**{"l3": True, **values})
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    session = await alice.publish_live("cam")
    await bob.login(project)
    alice.take()
    return project, alice, bob, session


def viewer_of(client):
    assert client.connection.member is not None
    assert client.connection.member.viewer is not None
    return client.connection.member.viewer.session


async def test_a_play_binds_a_slot_and_names_its_mids(world):
    _, _, bob, session = await host_and_viewer(world)
    reply = await bob.expect(bob.play_message("cam", resource_mode=2), PlayOk)
    assert (reply.slot, reply.audio_mid, reply.video_mid, reply.resource_mode) == (0, "0", "1", 2)
    assert [(t.kind, t.codec) for t in reply.tracks] == [("audio", "opus"), ("video", "VP8")]
    assert world.native.bound_streams(viewer_of(bob)) == [session]


async def test_first_media_is_told_per_track_and_playing_once(world):
    _, _, bob, session = await host_and_viewer(world)
    await bob.expect(bob.play_message("cam"), PlayOk)
    world.native.flow(viewer_of(bob), session, "1", "video", 4242)
    world.native.flow(viewer_of(bob), session, "0", "audio", 17)
    await world.settle()
    assert bob.take() == [
        SlotBound("cam", "1", "video", 4242),
        PlayerStateNotice("cam", 2),
        SlotBound("cam", "0", "audio", 17),
    ]


async def test_media_that_flows_before_the_reply_is_told_after_it(world):
    _, _, bob, session = await host_and_viewer(world)
    world.native.hold("bound")
    task = asyncio.create_task(bob.send(bob.play_message("cam")))
    await world.settle()
    world.native.release()
    world.native.flow(viewer_of(bob), session, "1", "video", 1)
    await task
    await world.settle()
    assert [type(m) for m in bob.take()] == [PlayOk, SlotBound, PlayerStateNotice]


async def test_only_l3_follows_the_switch_at_once(world):
    project, _, bob, _ = await host_and_viewer(world, l3=False)
    error = await bob.expect_error(bob.play_message("cam", resource_mode=2), 1004072)
    assert "project set --l3 on" in error.hint
    await world.storage.update_project(project.app_id, l3=True)
    await bob.expect(bob.play_message("cam", resource_mode=2), PlayOk)


@pytest.mark.parametrize(
    ("mode", "stage", "l3", "wishes", "path"),
    [
        (ResourceMode.DEFAULT, Stage.ON, True, {}, 3),
        (ResourceMode.DEFAULT, Stage.ON, True, {"switch_mode": 1}, 3),
        (ResourceMode.DEFAULT, Stage.ON, True, {"switch_mode": 2}, 2),
        (ResourceMode.DEFAULT, Stage.BEFORE, True, {}, 2),
        (ResourceMode.DEFAULT, Stage.BEFORE, False, {}, 3),
        (ResourceMode.DEFAULT, Stage.AFTER, True, {}, 2),
        (ResourceMode.DEFAULT, Stage.AFTER, True, {"when_stop_publish": 2}, 2),
        (ResourceMode.DEFAULT, Stage.AFTER, True, {"when_stop_publish": 1}, 1000010),
        (ResourceMode.CUSTOM, Stage.BEFORE, True, {}, 3),
        (ResourceMode.CUSTOM, Stage.BEFORE, True, {"custom": PathChoice(2, 1, 0)}, 2),
        (ResourceMode.CUSTOM, Stage.BEFORE, False, {"custom": PathChoice(2, 1, 0)}, 1004072),
        (ResourceMode.CUSTOM, Stage.ON, True, {"custom": PathChoice(2, 1, 0)}, 3),
        (ResourceMode.CUSTOM, Stage.AFTER, True, {"custom": PathChoice(2, 1, 0)}, 1000010),
        (ResourceMode.ONLY_RTC, Stage.BEFORE, True, {}, 3),
        (ResourceMode.ONLY_L3, Stage.ON, True, {}, 2),
        (ResourceMode.ONLY_L3, Stage.BEFORE, False, {}, 1004072),
        (ResourceMode.ONLY_CDN, Stage.BEFORE, True, {}, 1000010),
    ],
)
def test_the_path_follows_mode_stage_and_switch(mode, stage, l3, wishes, path):
    message = Play(1, "cam", **wishes)
    if path > 5:
        with pytest.raises(SanderlingError) as caught:
            choose_path(mode, stage=stage, l3=l3, message=message)
        assert int(caught.value.code) == path
    else:
        assert choose_path(mode, stage=stage, l3=l3, message=message) == path


async def test_the_default_path_is_rtc_while_the_viewer_publishes_itself(world):
    _, _, bob, _ = await host_and_viewer(world)
    assert (await bob.expect(bob.play_message("cam"), PlayOk)).resource_mode == 2
    await bob.expect(StopPlay(bob.next_seq(), "cam"), Ok)
    await bob.publish_live("mine")
    assert (await bob.expect(bob.play_message("cam"), PlayOk)).resource_mode == 3
    await bob.expect(StopPublish(bob.next_seq(), "mine"), Ok)
    await bob.expect(StopPlay(bob.next_seq(), "cam"), Ok)
    assert (await bob.expect(bob.play_message("cam"), PlayOk)).resource_mode == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stream_id": "nobody"}, 1004002),
        ({"stream_id": ""}, 1000015),
        ({"resource_mode": 1}, 1000010),
        ({"resource_mode": 4}, 1000017),
        ({"resource_mode": 9}, 1000017),
        ({"audio": False, "video": False}, 1000017),
    ],
)
async def test_a_wrong_play_gets_its_code_and_binds_nothing(world, changes, code):
    _, _, bob, _ = await host_and_viewer(world)
    await bob.expect_error(bob.play_message(**{"stream_id": "cam", **changes}), code)
    assert world.rooms.counts()["plays"] == 0
    assert world.native.counters()["bindings"] == 0


async def test_the_cdn_says_that_it_is_not_installed(world):
    _, _, bob, _ = await host_and_viewer(world)
    error = await bob.expect_error(bob.play_message("cam", resource_mode=1), 1000010)
    assert "CDN is not installed" in error.message


async def test_only_one_of_audio_and_video_may_be_wanted(world):
    _, _, bob, _ = await host_and_viewer(world)
    reply = await bob.expect(bob.play_message("cam", video=False), PlayOk)
    assert (reply.audio_mid, reply.video_mid) == ("0", "")


async def test_a_codec_the_viewer_lacks_is_named_with_a_remedy(world):
    project, alice, _, _ = await host_and_viewer(world)
    await alice.publish_live("av1", channel=1, offer=make_offer(video_codecs=("AV1",)))
    carol = world.client("carol")
    await carol.login(project)
    error = await carol.expect_error(carol.play_message("av1"), 1004080)
    assert "AV1" in error.message
    assert "VP8" in error.hint
    # What it can take is still played.
    await carol.expect(carol.play_message("av1", video=False), PlayOk)


async def test_one_more_than_max_plays_is_1004010(world):
    project = await world.project(max_plays=2)
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    for channel in range(3):
        await alice.publish_live(f"cam{channel}", channel=channel)
    await bob.login(project, viewer_offer=make_offer("recvonly", audio=4, video=4))
    for number in range(2):
        await bob.expect(bob.play_message(f"cam{number}"), PlayOk)
    await bob.expect_error(bob.play_message("cam2"), 1004010)
    await bob.expect(StopPlay(bob.next_seq(), "cam0"), Ok)
    await bob.expect(bob.play_message("cam2"), PlayOk)
    # The switch of the project is read for every play.
    await world.storage.update_project(project.app_id, max_plays=3)
    await bob.expect(bob.play_message("cam0"), PlayOk)


async def test_a_small_pool_says_so_and_grows_by_an_offer(world):
    project, alice, bob, _ = await host_and_viewer(world)
    for channel in (1, 2):
        await alice.publish_live(f"cam{channel}", channel=channel)
    await bob.expect(bob.play_message("cam"), PlayOk)
    await bob.expect(bob.play_message("cam1"), PlayOk)
    error = await bob.expect_error(bob.play_message("cam2"), 1004001)
    assert "viewer_offer" in error.hint
    await bob.expect(ViewerOffer(bob.next_seq(), make_offer("recvonly", audio=4, video=4)), ViewerAnswer)
    assert (await bob.expect(bob.play_message("cam2"), PlayOk)).slot == 2


async def test_a_session_without_viewer_makes_one_by_an_offer(world):
    project, _, _, _ = await host_and_viewer(world)
    carol = world.client("carol")
    await carol.login(project, viewer_offer="")
    error = await carol.expect_error(carol.play_message("cam"), 1004001)
    assert "viewer_offer" in error.hint
    await carol.expect_error(ViewerOffer(carol.next_seq(), "junk"), 1004001)
    await carol.expect(ViewerOffer(carol.next_seq(), make_offer("recvonly")), ViewerAnswer)
    await carol.expect(carol.play_message("cam"), PlayOk)


async def test_playing_twice_repeats_the_reply_and_binds_once(world):
    _, _, bob, session = await host_and_viewer(world)
    first = await bob.expect(bob.play_message("cam"), PlayOk)
    again = await bob.expect(bob.play_message("cam"), PlayOk)
    assert (again.slot, again.video_mid) == (first.slot, first.video_mid)
    assert world.native.bound_streams(viewer_of(bob)) == [session]


async def test_an_own_stream_and_one_of_another_room_can_be_played(world):
    project, alice, _, _ = await host_and_viewer(world)
    await alice.expect(alice.play_message("cam"), PlayOk)
    carol = world.client("carol")
    await carol.login(project, "other-room")
    await carol.expect(carol.play_message("cam"), PlayOk)


async def test_stopping_a_play_frees_the_slot(world):
    _, _, bob, session = await host_and_viewer(world)
    await bob.expect(bob.play_message("cam"), PlayOk)
    await bob.expect(StopPlay(bob.next_seq(), "cam"), Ok)
    assert world.native.bound_streams(viewer_of(bob)) == []
    await bob.expect(StopPlay(bob.next_seq(), "cam"), Ok)
    world.native.flow(viewer_of(bob), session, "1", "video", 1)
    await world.settle()
    assert bob.take() == []


async def test_the_end_of_a_stream_ends_its_plays_everywhere(world):
    project, alice, bob, session = await host_and_viewer(world)
    carol = world.client("carol")
    await carol.login(project, "other-room")
    for client in (bob, carol):
        await client.expect(client.play_message("cam"), PlayOk)
        client.take()
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    state, notice = bob.take()
    assert state == PlayerStateNotice("cam", 0)
    assert isinstance(notice, StreamNotice)
    assert carol.take() == [PlayerStateNotice("cam", 0)]
    assert world.rooms.counts()["plays"] == 0
    # A new stream of the same name is another one.
    await alice.publish_live("cam")
    await bob.expect(bob.play_message("cam"), PlayOk)


async def test_a_stream_that_ends_while_it_is_bound_is_not_found(world):
    _, alice, bob, _ = await host_and_viewer(world)
    world.native.hold("bound")
    task = asyncio.create_task(bob.send(bob.play_message("cam")))
    await world.settle()
    await alice.expect(StopPublish(alice.next_seq(), "cam"), Ok)
    world.native.release()
    await task
    errors = [m for m in bob.take() if isinstance(m, Error)]
    assert [e.code for e in errors] == [1004002]
    await world.settle()
    assert world.native.bound_streams(viewer_of(bob)) == []
    assert world.rooms.counts()["plays"] == 0


async def test_a_lost_viewer_ends_every_play_and_can_be_made_again(world):
    _, _, bob, _ = await host_and_viewer(world)
    await bob.expect(bob.play_message("cam"), PlayOk)
    bob.take()
    world.native.lose(viewer_of(bob))
    await world.settle()
    (state,) = bob.take()
    assert isinstance(state, PlayerStateNotice)
    assert (state.stream_id, state.state, state.code) == ("cam", 0, 1004020)
    await bob.expect_error(bob.play_message("cam"), 1004001)
    await bob.expect(ViewerOffer(bob.next_seq(), make_offer("recvonly")), ViewerAnswer)
    await bob.expect(bob.play_message("cam"), PlayOk)


async def test_a_deleted_project_plays_no_more(world):
    project, _, bob, _ = await host_and_viewer(world)
    del world.storage.rows[project.app_id]
    await bob.expect_error(bob.play_message("cam"), 1001004)

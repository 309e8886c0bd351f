from __future__ import annotations

import pytest

from sanderling.signaling.messages import Error, Ok, Play, PlayOk, SetVideoType


async def stage(world):
    project = await world.project(l3=True)
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project)
    await bob.login(project)
    publisher = await alice.publish_live("cam")
    return alice, bob, publisher


def layers(world):
    return [arguments[2:] for name, arguments in world.native.commands if name == "set_layer"]


async def test_the_layer_is_chosen_while_a_stream_plays(world):
    _, bob, publisher = await stage(world)
    await bob.expect(Play(bob.next_seq(), "cam"), PlayOk)
    assert layers(world) == []
    await bob.expect(SetVideoType(bob.next_seq(), "cam", 1), Ok)
    await bob.expect(SetVideoType(bob.next_seq(), "cam", 0), Ok)
    viewer = bob.connection.member.viewer.session
    assert layers(world) == [(viewer, publisher, 1), (viewer, publisher, 0)]


async def test_a_play_may_come_with_its_choice(world):
    _, bob, publisher = await stage(world)
    await bob.expect(Play(bob.next_seq(), "cam", video_type=2), PlayOk)
    assert layers(world) == [(bob.connection.member.viewer.session, publisher, 2)]


@pytest.mark.parametrize(
    ("stream_id", "video_type", "code"),
    [
        ("cam", 3, 1000017),
        ("cam", -1, 1000017),
        ("", 1, 1000015),
        ("a b", 1, 1000016),
        ("x" * 300, 1, 1000014),
        ("other", 1, 1004011),
    ],
)
async def test_what_cannot_be_has_its_code(world, stream_id, video_type, code):
    _, bob, _ = await stage(world)
    await bob.expect(Play(bob.next_seq(), "cam"), PlayOk)
    await bob.expect_error(SetVideoType(bob.next_seq(), stream_id, video_type), code)
    assert layers(world) == []


async def test_a_stream_that_is_not_played_any_more(world):
    alice, bob, publisher = await stage(world)
    await bob.expect(Play(bob.next_seq(), "cam"), PlayOk)
    # The worker has freed the slot already, the news of it is under way.
    world.native.unbind(0, 0, bob.connection.member.viewer.session, publisher)
    await bob.expect_error(SetVideoType(bob.next_seq(), "cam", 1), 1004011)
    await alice.drop()
    await world.settle()
    await bob.expect_error(SetVideoType(bob.next_seq(), "cam", 1), 1004011)


async def test_an_unknown_layer_at_the_play_plays_nothing(world):
    _, bob, _ = await stage(world)
    refused = await bob.request(Play(bob.next_seq(), "cam", video_type=9))
    assert isinstance(refused, Error) and refused.code == 1000017
    assert bob.connection.member.plays == {}

"""Running plays move between RTC and L3: with their user, by hand, and with the project's switch."""

from __future__ import annotations

import pytest

from sanderling.signaling.messages import (
    Ok,
    PathChoice,
    PlayerStateNotice,
    PlayOk,
    ResourceNotice,
    StopPublish,
    SwitchResource,
)


async def watching(world, *, settings=None, **fields):
    project = await world.project(l3=True, settings=settings)
    host, guest = world.client("host"), world.client("guest")
    await host.login(project)
    await host.publish_live("cam")
    await guest.login(project)
    reply = await guest.expect(guest.play_message("cam", **fields), PlayOk)
    guest.take()
    return project, guest, reply


def moves(client):
    return [(m.stream_id, m.resource_mode) for m in client.take() if isinstance(m, ResourceNotice)]


async def test_a_play_follows_its_user_on_stage_and_back(world):
    _, guest, reply = await watching(world)
    assert reply.resource_mode == 2
    await guest.publish_live("mine")
    assert moves(guest) == [("cam", 3)]
    await guest.expect(StopPublish(guest.next_seq(), "mine"), Ok)
    await world.settle()
    assert moves(guest) == [("cam", 2)]
    # The binding is the same all the time.
    assert world.native.counters()["bindings"] == 1
    again = await guest.expect(guest.play_message("cam"), PlayOk)
    assert (again.slot, again.resource_mode) == (reply.slot, 2)


def delays(world):
    return [arguments[4] for name, arguments in world.native.commands if name == "set_delay"]


async def test_how_late_pictures_may_be_shown_follows_the_path(world):
    project, guest, _ = await watching(world)
    assert delays(world) == [1000]
    await guest.publish_live("mine")
    await guest.expect(StopPublish(guest.next_seq(), "mine"), Ok)
    await world.settle()
    assert delays(world) == [1000, 0, 1000]
    await guest.expect(SwitchResource(guest.next_seq(), "cam", 1), Ok)
    assert delays(world)[3:] == [0]
    other = world.client("other")
    await other.login(project)
    await other.expect(other.play_message("cam", resource_mode=3), PlayOk)
    # RTC is how a slot begins.
    assert len(delays(world)) == 4


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"switch_mode": 2}, []),
        ({"resource_mode": 2}, []),
        ({"resource_mode": 3}, []),
        ({"resource_mode": 5, "custom": PathChoice(2, 1, 2)}, [3, 2]),
        ({"resource_mode": 5, "custom": PathChoice(1, 2, 1)}, [2, 3]),
        ({"resource_mode": 5, "custom": PathChoice(2, 1, 0)}, [3]),
        ({"when_stop_publish": 2}, [3, 2]),
    ],
)
async def test_how_it_follows_is_the_plays_choice(world, fields, paths):
    _, guest, _ = await watching(world, **fields)
    await guest.publish_live("mine")
    await guest.expect(StopPublish(guest.next_seq(), "mine"), Ok)
    await world.settle()
    assert [path for _, path in moves(guest)] == paths


async def test_a_play_is_switched_by_hand_and_stays_there(world):
    _, guest, _ = await watching(world)
    await guest.expect(SwitchResource(guest.next_seq(), "cam", 1), Ok)
    assert moves(guest) == [("cam", 3)]
    await guest.publish_live("mine")
    await guest.expect(StopPublish(guest.next_seq(), "mine"), Ok)
    await world.settle()
    assert moves(guest) == []
    await guest.expect(SwitchResource(guest.next_seq(), "cam", 2), Ok)
    assert moves(guest) == [("cam", 2)]


@pytest.mark.parametrize(
    ("stream_id", "resource", "l3", "code"),
    [
        ("cam", 0, True, 1000010),
        ("cam", 2, False, 1004072),
        ("cam", 7, True, 1000017),
        ("none", 1, True, 1004011),
    ],
)
async def test_a_switch_that_cannot_be_changes_nothing(world, stream_id, resource, l3, code):
    project, guest, _ = await watching(world, resource_mode=3)
    await world.storage.update_project(project.app_id, l3=l3)
    await guest.expect_error(SwitchResource(guest.next_seq(), stream_id, resource), code)
    assert moves(guest) == []


@pytest.mark.parametrize(("policy", "expected"), [("keep", []), ("rtc", [("cam", 3)])])
async def test_running_plays_follow_the_switch_within_a_second_if_the_project_says_so(
    world, policy, expected
):
    project, guest, _ = await watching(world, settings={"l3_off": policy})
    await world.pass_time(1)
    assert moves(guest) == []
    await world.storage.update_project(project.app_id, l3=False)
    await world.pass_time(1)
    assert moves(guest) == expected


async def test_a_project_may_have_them_stop(world):
    project, guest, _ = await watching(world, settings={"l3_off": "stop"})
    await world.storage.update_project(project.app_id, l3=False)
    await world.pass_time(1)
    (state,) = [m for m in guest.take() if isinstance(m, PlayerStateNotice)]
    assert (state.stream_id, state.state, state.code) == ("cam", 0, 1004072)
    assert world.native.counters()["bindings"] == 0
    # Nothing is looked at any more where nothing runs.
    await world.pass_time(1)
    await guest.expect(guest.play_message("cam", resource_mode=3), PlayOk)


@pytest.mark.parametrize(
    "fields",
    [{"custom": PathChoice(3, 1, 1)}, {"switch_mode": 3}, {"when_stop_publish": 3}, {"resource_mode": 4}],
)
async def test_what_does_not_exist_is_refused(world, fields):
    _, guest, _ = await watching(world)
    await guest.expect_error(guest.play_message("other", **fields), 1000017)

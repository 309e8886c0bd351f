"""Extra infos, device states, lists, network quality and sequential data of streams."""

from __future__ import annotations

import pytest

from sanderling.signaling.messages import (
    DataNotice,
    DeviceStateNotice,
    NetworkQualityNotice,
    Ok,
    PlayOk,
    ReportQuality,
    SetDeviceState,
    SetStreamExtraInfo,
    StopPublish,
    StreamData,
    StreamExtraInfoNotice,
    StreamList,
    StreamListOk,
    SubscribeData,
)


async def host_and_guest(world):
    project = await world.project(l3=True)
    host, guest = world.client("host"), world.client("guest")
    await host.login(project)
    await guest.login(project)
    await host.publish_live("cam", camera=9)
    host.take(), guest.take()
    return project, host, guest


async def test_extra_info_reaches_the_others_and_those_who_come_later(world):
    project, host, guest = await host_and_guest(world)
    await host.expect(SetStreamExtraInfo(host.next_seq(), "cam", "a title"), Ok)
    (notice,) = guest.take()
    assert isinstance(notice, StreamExtraInfoNotice)
    assert [(s.stream_id, s.extra_info) for s in notice.streams] == [("cam", "a title")]
    assert host.take() == []
    login = await world.client("late").login(project)
    assert login.streams[0].extra_info == "a title"


async def test_device_states_reach_the_others_those_who_come_later_and_players(world):
    project, host, guest = await host_and_guest(world)
    await host.expect(SetDeviceState(host.next_seq(), "cam", camera=10, microphone=9), Ok)
    assert guest.take() == [DeviceStateNotice("cam", 10, 9)]
    late = world.client("late")
    stream = (await late.login(project, "another-room")).streams
    assert stream == ()
    played = await late.expect(late.play_message("cam"), PlayOk)
    assert (played.camera, played.microphone) == (10, 9)
    stream = (await world.client("later").login(project)).streams[0]
    assert (stream.camera, stream.microphone) == (10, 9)


async def test_the_state_at_the_publish_is_known_from_the_start(world):
    project, _, guest = await host_and_guest(world)
    stream = (await world.client("late").login(project)).streams[0]
    assert (stream.camera, stream.microphone) == (9, 0)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (SetStreamExtraInfo(9, "cam", "x" * 1024), 1003051),
        (SetStreamExtraInfo(9, "other", "x"), 1003053),
        (SetDeviceState(9, "other"), 1003053),
        (SetDeviceState(9, "cam", camera=16), 1000017),
        (SetDeviceState(9, "cam", microphone=-1), 1000017),
        (ReportQuality(9, 6, 0), 1000017),
        (ReportQuality(9, 0, -1), 1000017),
        (ReportQuality(9, 0, 0, -1), 1000017),
        (ReportQuality(9, 0, 0, 60_001), 1000017),
        (ReportQuality(9, 0, 0, 0, 1001), 1000017),
        (ReportQuality(9, 0, 0, 0, -1), 1000017),
        (StreamData(9, "cam", b""), 1009039),
        (StreamData(9, "cam", b"x" * 4097), 1009039),
        (StreamData(9, "other", b"x"), 1009039),
        (SubscribeData(9, "none"), 1004002),
        (SubscribeData(9, ""), 1000015),
    ],
)
async def test_what_cannot_be_is_refused_with_its_code(world, message, code):
    _, host, guest = await host_and_guest(world)
    await host.expect_error(message, code)
    assert guest.take() == []


async def test_changes_of_streams_are_limited(world):
    _, host, _ = await host_and_guest(world)
    for number in range(10):
        await host.expect(SetDeviceState(host.next_seq(), "cam", camera=number), Ok)
    await host.expect_error(SetStreamExtraInfo(host.next_seq(), "cam", "x"), 1002073)


async def test_the_list_has_live_streams_in_parts(world):
    _, host, guest = await host_and_guest(world)
    await guest.publish_live("guestcam")
    own = await guest.expect(StreamList(guest.next_seq(), own=True), StreamListOk)
    assert [s.stream_id for s in own.streams] == ["cam", "guestcam"]
    others = await guest.expect(StreamList(guest.next_seq()), StreamListOk)
    assert [s.stream_id for s in others.streams] == ["cam"]
    rest = await guest.expect(StreamList(guest.next_seq(), own=True, after="cam"), StreamListOk)
    assert ([s.stream_id for s in rest.streams], rest.more) == (["guestcam"], False)
    await host.drop()


async def test_a_long_list_says_that_there_is_more(world):
    project = await world.project()
    client = world.client("many")
    for number in range(20):
        world.now += 1
        publisher = world.client(f"p{number}")
        await publisher.login(project)
        for channel in range(4):
            await publisher.publish_live(f"s{number:02d}-{channel}", channel=channel, extra_info="x" * 1000)
    await client.login(project)
    client.take()
    listed, after, parts = [], "", 0
    while parts < 9:
        parts += 1
        reply = await client.expect(StreamList(client.next_seq(), after=after), StreamListOk)
        listed += [stream.stream_id for stream in reply.streams]
        after = listed[-1]
        if not reply.more:
            break
    assert parts > 1
    assert listed == sorted(f"s{number:02d}-{channel}" for number in range(20) for channel in range(4))


async def test_players_hear_of_the_publishers_network_and_nobody_else(world):
    _, host, guest = await host_and_guest(world)
    bystander = world.client("bystander")
    await bystander.login(host.connection.member.project)
    await guest.expect(guest.play_message("cam"), PlayOk)
    guest.take(), bystander.take()
    await host.expect(ReportQuality(host.next_seq(), 1, 2, 80, 250), Ok)
    assert guest.take() == [NetworkQualityNotice("host", 1, 2, 80, 250)]
    assert bystander.take() == []
    await host.expect_error(ReportQuality(host.next_seq(), 1, 2), 1002073)


async def test_data_reaches_subscribers_in_order_and_ends_with_its_stream(world):
    _, host, guest = await host_and_guest(world)
    await guest.expect(SubscribeData(guest.next_seq(), "cam"), Ok)
    for number in range(3):
        await host.expect(StreamData(host.next_seq(), "cam", bytes([number])), Ok)
    assert guest.take() == [DataNotice("cam", bytes([number])) for number in range(3)]
    assert host.take() == []
    await guest.expect(SubscribeData(guest.next_seq(), "cam", on=False), Ok)
    await host.expect(StreamData(host.next_seq(), "cam", b"x"), Ok)
    assert guest.take() == []
    await guest.expect(SubscribeData(guest.next_seq(), "cam"), Ok)
    await host.expect(StopPublish(host.next_seq(), "cam"), Ok)
    assert guest.connection.member.data_subscriptions == {}
    await host.drop()
    await guest.drop()

"""New transports within a session: of a viewer and of a publisher."""

from __future__ import annotations

import pytest

from sanderling.signaling.messages import (
    PlayerStateNotice,
    PlayMoved,
    PlayOk,
    PublisherStateNotice,
    PublishOk,
    SlotBound,
    ViewerAnswer,
    ViewerOffer,
)
from sanderling.testing.fake_engine import make_offer


def signed(offer, name):
    return offer + f"a=fingerprint:sha-256 {name}\r\n"


def viewer_offer(name):
    return signed(make_offer("recvonly", audio=2, video=2, video_codecs=("VP8", "H264")), name)


async def on_air(world):
    project = await world.project(l3=True)
    host, guest = world.client("host"), world.client("guest")
    await host.login(project)
    session = await host.publish_live("cam", offer=signed(make_offer(), "AA"))
    await guest.login(project, viewer_offer=viewer_offer("11"))
    await guest.expect(guest.play_message("cam"), PlayOk)
    host.take(), guest.take()
    return host, guest, session


async def test_a_viewer_offer_with_another_certificate_is_another_transport(world):
    _, guest, _ = await on_air(world)
    former = guest.connection.member.viewer.session
    await guest.expect(ViewerOffer(guest.next_seq(), viewer_offer("22")), ViewerAnswer)
    (ended,) = guest.take()
    assert isinstance(ended, PlayerStateNotice)
    assert (ended.stream_id, ended.state, ended.code) == ("cam", 0, 1004020)
    assert former not in world.native.sessions
    assert (await guest.expect(guest.play_message("cam"), PlayOk)).slot == 0
    assert world.rooms.counts()["viewers"] == 2


async def test_a_later_viewer_offer_with_the_same_certificate_is_the_same_transport(world):
    _, guest, _ = await on_air(world)
    former = guest.connection.member.viewer.session
    await guest.expect(ViewerOffer(guest.next_seq(), viewer_offer("11")), ViewerAnswer)
    assert guest.take() == []
    assert guest.connection.member.viewer.session == former


async def test_a_viewer_that_was_lost_is_made_anew(world):
    _, guest, _ = await on_air(world)
    world.native.lose(guest.connection.member.viewer.session)
    await world.settle()
    assert [m.code for m in guest.take()] == [1004020]
    await guest.expect(ViewerOffer(guest.next_seq(), viewer_offer("22")), ViewerAnswer)
    await guest.expect(guest.play_message("cam"), PlayOk)


async def test_a_publisher_gets_another_transport_and_its_players_go_along(world):
    host, guest, session = await on_air(world)
    offer = signed(make_offer(), "BB")
    reply = await host.expect(host.publish_message("cam", offer=offer, renew=True), PublishOk)
    assert reply.answer.startswith("v=0")
    await world.settle()
    (moved,) = guest.take()
    assert moved == PlayMoved("cam", 0, "0", "1", reply.tracks)
    renewed = host.connection.member.publications[0].handle.session
    assert renewed != session
    assert session not in world.native.sessions
    viewer = guest.connection.member.viewer.session
    assert world.native.bound_streams(viewer) == [renewed]
    world.native.connect(renewed)
    world.native.flow(viewer, renewed, "1", "video", 77)
    await world.settle()
    (state,) = host.take()
    assert state == PublisherStateNotice("cam", 2)
    assert guest.take()[0] == SlotBound("cam", "1", "video", 77)
    # Its end is told as ever.
    world.native.lose(renewed)
    await world.settle()
    assert guest.take()[0].state == 0
    for client in (host, guest):
        await client.drop()
    await world.assert_empty()


async def test_who_plays_after_the_change_gets_the_new_transport(world):
    host, guest, _ = await on_air(world)
    await host.expect(host.publish_message("cam", offer=signed(make_offer(), "BB"), renew=True), PublishOk)
    late = world.client("late")
    login = await late.login(host.connection.member.project)
    assert [s.stream_id for s in login.streams] == ["cam"]
    await late.expect(late.play_message("cam"), PlayOk)
    renewed = host.connection.member.publications[0].handle.session
    assert world.native.bound_streams(late.connection.member.viewer.session) == [renewed]
    assert guest.connection.logged_in


async def test_the_same_certificate_is_an_ice_restart(world):
    host, guest, session = await on_air(world)
    offer = signed(make_offer(), "AA")
    await host.expect(host.publish_message("cam", offer=offer, renew=True), PublishOk)
    assert guest.take() == []
    assert host.connection.member.publications[0].handle.session == session


async def test_renewing_what_has_ended_publishes_it(world):
    host, guest, session = await on_air(world)
    world.native.lose(session)
    await world.settle()
    guest.take()
    await host.publish_live("cam", offer=signed(make_offer(), "BB"), renew=True)
    assert [m.update for m in guest.take()] == [0]


@pytest.mark.parametrize(
    ("fields", "code"), [({"stream_id": "other"}, 1003023), ({"offer": "nonsense", "renew": True}, 1003001)]
)
async def test_a_renewal_that_cannot_be_leaves_the_stream_alone(world, fields, code):
    host, guest, session = await on_air(world)
    message = host.publish_message(
        **{"stream_id": "cam", "offer": signed(make_offer(), "BB"), "renew": True, **fields}
    )
    await host.expect_error(message, code)
    assert guest.take() == []
    assert world.native.bound_streams(guest.connection.member.viewer.session) == [session]


async def test_without_the_wish_a_second_publish_is_refused(world):
    host, _, _ = await on_air(world)
    await host.expect_error(host.publish_message("cam", offer=signed(make_offer(), "BB")), 1003023)

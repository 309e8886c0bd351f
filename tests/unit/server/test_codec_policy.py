from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.errors import ErrorCode, PublishError, SanderlingError
from sanderling.server.rooms.codecs import choose_codecs, video_codecs
from sanderling.signaling.messages import Play, PublishOk, StopPublish
from sanderling.testing.fake_engine import make_offer

VECTORS = Path(__file__).resolve().parents[3] / "vectors/sdp"
ALL = frozenset({"VP8", "VP9", "AV1", "H264"})
NO_H264 = frozenset({"VP8", "VP9", "AV1"})


@pytest.mark.parametrize(
    ("offered", "decoders", "chosen"),
    [
        (("VP8", "VP9"), [], "VP8"),
        (("H264", "VP8"), [], "H264"),
        (("H264", "VP8"), [ALL, ALL], "H264"),
        (("H264", "VP8"), [ALL, NO_H264], "VP8"),
        (("AV1", "VP9", "VP8"), [NO_H264, frozenset({"VP8"})], "VP8"),
        # Without VP8 the first that everybody decodes, and when there is none the publisher's own choice.
        (("H264", "VP9"), [ALL, NO_H264], "VP9"),
        (("H264",), [NO_H264], "H264"),
        (("VP8",), [frozenset({"H264"})], "VP8"),
    ],
)
def test_vp8_unless_everybody_decodes_the_other(offered, decoders, chosen):
    assert choose_codecs(offered, decoders)[0] == chosen


def test_a_project_may_fix_the_codec():
    assert choose_codecs(("VP8", "H264"), [NO_H264], fixed="H264") == ("H264",)
    with pytest.raises(PublishError) as refused:
        choose_codecs(("VP8", "VP9"), [], fixed="H264")
    assert refused.value.code is ErrorCode.ENCODER_UNSUPPORTED
    assert "H264" in refused.value.message and "VP8, VP9" in refused.value.message
    assert "video_codec" in refused.value.hint


def test_a_stream_without_pictures_has_no_video_codec():
    assert choose_codecs((), [ALL], fixed="H264") == ()


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("chromium-publisher", ("VP8", "H264", "AV1", "VP9")),
        ("chromium-viewer", ("VP8", "VP9", "H264", "AV1")),
        ("wrtc-publisher", ("VP8", "VP9", "AV1")),
        ("wrtc-viewer", ("VP8", "VP9", "AV1")),
    ],
)
def test_codecs_are_read_off_real_offers(name, codecs):
    text = (VECTORS / f"{name}.sdp").read_text()
    assert set(video_codecs(text)) == set(codecs)
    assert video_codecs(text)[0] == codecs[0]


def test_the_m_line_orders_and_h264_needs_fragments():
    offer = (
        "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 103 102 96 99\r\na=rtpmap:96 vp8/90000\r\na=rtpmap:102 H264/90000\r\n"
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1\r\na=rtpmap:103 H264/90000\r\n"
        "a=fmtp:103 packetization-mode=0\r\na=rtpmap:99 rtx/90000\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 45\r\na=rtpmap:45 AV1/90000\r\n"
    )
    assert video_codecs(offer) == ("H264", "VP8")
    assert video_codecs(offer.replace("\r\n", "\n")) == ("H264", "VP8")
    for junk in ("", "hello", "v=0\r\nm=video \r\na=rtpmap:\r\na=fmtp\r\n", make_offer(video=0)):
        assert video_codecs(junk) == ()


async def published(world, alice, *codecs):
    reply = await alice.request(alice.publish_message("cam", offer=make_offer(video_codecs=codecs)))
    return reply.tracks[1].codec if isinstance(reply, PublishOk) else reply


async def test_a_member_who_cannot_decode_it_makes_the_room_use_vp8(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project, viewer_offer=make_offer("recvonly", video_codecs=("VP8", "H264")))
    assert await published(world, alice, "H264", "VP8") == "H264"
    await alice.request(StopPublish(alice.next_seq(), "cam"))
    await bob.login(project, viewer_offer=make_offer("recvonly", video_codecs=("VP8", "VP9")))
    assert await published(world, alice, "H264", "VP8") == "VP8"
    # A member without a viewer transport plays nothing, and has no say.
    await alice.request(StopPublish(alice.next_seq(), "cam"))
    await bob.logout()
    carol = world.client("carol")
    await carol.login(project, viewer_offer="")
    assert await published(world, alice, "H264", "VP8") == "H264"


async def test_a_viewer_who_comes_later_is_told_both_sides_and_the_remedy(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project, viewer_offer="")
    assert await published(world, alice, "H264", "VP8") == "H264"
    await bob.login(project, viewer_offer=make_offer("recvonly", video_codecs=("VP8", "VP9")))
    refused = await bob.request(Play(bob.next_seq(), "cam"))
    assert refused.code == ErrorCode.DECODER_UNSUPPORTED
    assert "H264" in refused.message and "VP8" in refused.message and "VP9" in refused.message
    assert "VP8" in refused.hint


async def test_the_projects_codec_counts_for_every_publish(world):
    project = await world.project()
    alice = world.client("alice")
    await alice.login(project)
    await world.storage.update_project(project.app_id, settings={"video_codec": "VP9"})
    refused = await published(world, alice, "VP8", "H264")
    assert (refused.code, "VP9" in refused.message) == (ErrorCode.ENCODER_UNSUPPORTED, True)
    # Nothing is left of it: the streamID is free, the offer that has the codec is taken.
    assert await published(world, alice, "VP8", "VP9") == "VP9"
    with pytest.raises(SanderlingError, match="video_codec"):
        await world.storage.update_project(project.app_id, settings={"video_codec": "VP10"})
    await alice.drop()
    await world.assert_empty()

"""Edits of session descriptions."""

from __future__ import annotations

from sanderling.sdk.webrtc.sdp import has_codec, with_fmtp

SDP = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
""".replace("\n", "\r\n")


def test_parameters_are_added_and_others_kept() -> None:
    edited = with_fmtp(SDP, "opus", {"stereo": "1", "useinbandfec": "0"})
    assert "a=fmtp:111 minptime=10;useinbandfec=0;stereo=1\r\n" in edited
    assert edited.replace("minptime=10;useinbandfec=0;stereo=1", "minptime=10;useinbandfec=1") == SDP


def test_a_codec_without_a_line_gets_one_behind_its_name() -> None:
    edited = with_fmtp(SDP, "vp8", {"x-google-start-bitrate": "1500"})
    assert "a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=1500\r\na=rtpmap:97" in edited


def test_an_absent_codec_changes_nothing() -> None:
    assert with_fmtp(SDP, "AV1", {"profile": "0"}) == SDP
    assert has_codec(SDP, "VP8")
    assert not has_codec(SDP, "AV1")

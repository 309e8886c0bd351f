"""Offers of any kind are read for their codecs, and a choice is always one of what was offered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sanderling.server.rooms.codecs import choose_codecs, video_codecs

KNOWN = ("VP8", "VP9", "AV1", "H264")
LINES = st.sampled_from(
    [
        "v=0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "m=video",
        "m=video 9 X 96 96",
        "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 h264/90000",
        "a=rtpmap:96",
        "a=rtpmap: /",
        "a=fmtp:97 packetization-mode=1",
        "a=fmtp:97 a;packetization-mode = 1;b",
        "a=fmtp:",
        "",
        "\x00",
    ]
)
OFFERS = st.one_of(
    st.text(max_size=200), st.builds("\r\n".join, st.lists(LINES)), st.builds("\n".join, st.lists(LINES))
)
CODECS = st.lists(st.sampled_from(KNOWN), unique=True).map(tuple)
ROOMS = st.lists(st.frozensets(st.sampled_from(KNOWN)), max_size=4)


@given(OFFERS)
def test_every_offer_is_read(offer: str) -> None:
    codecs = video_codecs(offer)
    assert set(codecs) <= set(KNOWN)
    assert len(set(codecs)) == len(codecs)


@given(CODECS, ROOMS)
def test_the_choice_is_offered_and_fair(offered: tuple[str, ...], room: list[frozenset[str]]) -> None:
    chosen = choose_codecs(offered, room)
    assert set(chosen) <= set(offered)
    assert bool(chosen) == bool(offered)
    if not chosen:
        return
    # What not everybody decodes is chosen only when it is VP8, or nothing offered would do.
    if not all(chosen[0] in decoder for decoder in room) and chosen[0] != "VP8":
        assert "VP8" not in offered
        assert not any(all(name in decoder for decoder in room) for name in offered)

"""Data inside pictures: whatever goes in comes out, and what is none is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.sdk.rate import Rate
from sanderling.sdk.side_data import CARRIERS, MAX_SEI, embed, embed_in_opus, extract, extract_from_opus

PIECES = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=5)
NASTY = [b"\x00" * 300, b"\x00\x00\x01\x06", b"\x00\x00\x03", b"\x80", b"x\x00\x00", b"\xff" * MAX_SEI]

H264 = b"\x00\x00\x00\x01\x67\x42\x00\x1f" + b"\x00\x00\x00\x01\x65\x88\x84\x00\x00\x03\x01"
AV1 = b"\x12\x00" + b"\x32\x03abc"


def picture_of(mime_type: str) -> bytes:
    return {"video/VP8": b"\x10\x02\x00\x9d\x01\x2a" * 40, "video/H264": H264, "video/AV1": AV1}[mime_type]


@pytest.mark.parametrize("mime_type", CARRIERS)
@given(pieces=PIECES)
def test_what_goes_in_comes_out(mime_type: str, pieces: list[bytes]) -> None:
    carrier = embed(picture_of(mime_type), pieces, mime_type)
    assert extract(carrier, mime_type)[1] == tuple(pieces)


@pytest.mark.parametrize("mime_type", CARRIERS)
@pytest.mark.parametrize("piece", NASTY, ids=range(len(NASTY)))
def test_bytes_that_look_like_something_else(mime_type: str, piece: bytes) -> None:
    carrier = embed(picture_of(mime_type), [piece], mime_type)
    assert extract(carrier, mime_type)[1] == (piece,)


@pytest.mark.parametrize("mime_type", [*CARRIERS, "video/VP9"])
@given(data=st.binary(max_size=200))
def test_anything_can_be_looked_into(mime_type: str, data: bytes) -> None:
    picture, pieces = extract(data, mime_type)
    assert data.startswith(picture)
    assert all(isinstance(piece, bytes) for piece in pieces)


def test_a_vp8_picture_comes_back_as_it_was() -> None:
    picture = picture_of("video/VP8")
    carrier = embed(picture, [b"a", b"bc"], "video/VP8")
    assert extract(carrier, "video/VP8") == (picture, (b"a", b"bc"))
    assert extract(carrier[:-1], "video/VP8") == (carrier[:-1], ())


def test_no_start_code_appears_in_an_h264_message() -> None:
    carrier = embed(H264, [b"\x00\x00\x01\x00\x00\x00\x02" * 20], "video/H264")
    message = carrier[4 : -len(H264)]
    assert b"\x00\x00\x00" not in message
    assert b"\x00\x00\x01" not in message


def test_vp9_has_no_place() -> None:
    assert embed(b"picture", [b"x"], "video/VP9") == b"picture"


def test_a_rate_gives_its_number_at_once_and_then_waits() -> None:
    rate = Rate(2)
    assert [rate.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert rate.take(10.5) == 0.0
    assert rate.take(10.5) > 0


OPUS = [
    b"\x78" + b"one frame",
    b"\x79" + b"twotwo",
    b"\x7a" + b"\x03" + b"onetwo",
    b"\x7b\x03" + b"threethreethree",
    b"\x7b\x82\x01" + b"abc",
]
"""One frame; two of one size; two of two sizes; three; two of two sizes in the form for any number."""


@pytest.mark.parametrize("packet", OPUS, ids=range(len(OPUS)))
@given(piece=st.binary(min_size=1, max_size=1023))
def test_what_goes_into_sound_comes_out(packet: bytes, piece: bytes) -> None:
    carrier = embed_in_opus(packet, piece)
    assert carrier[0] >> 2 == packet[0] >> 2  # the configuration stays
    assert extract_from_opus(carrier) == piece
    assert extract_from_opus(packet) is None
    # A packet takes one piece.
    assert embed_in_opus(carrier, b"more") == carrier


@given(data=st.binary(max_size=60))
def test_any_packet_can_be_looked_into(data: bytes) -> None:
    piece = extract_from_opus(data)
    assert piece is None or piece in data


@pytest.mark.parametrize("length", [1, 244, 245, 246, 247, 499, 500, 501, 1023])
def test_the_padding_has_the_length_it_says(length: int) -> None:
    carrier = embed_in_opus(b"\x78sound", b"x" * length)
    size, at = 0, 2
    while carrier[at] == 255:
        size, at = size + 254, at + 1
    size += carrier[at]
    assert carrier[at + 1 : len(carrier) - size] == b"sound"

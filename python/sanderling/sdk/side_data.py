"""Data inside encoded pictures and sound, so that it arrives with what it was sent with.

Each codec has a place that decoders pass over, also those of players that know nothing of this:

* H.264: an SEI message of type 5, user data unregistered (ITU-T H.264 annex D.2.6), under this product's UUID;
* AV1: a metadata OBU of a type for private use (AV1 specification section 6.7.1);
* VP8: bytes behind the last partition, which no decoder reads (RFC 6386 section 9.5), with their length and a mark.

VP9 decoders take whatever follows a picture for another one. Sound carries data in the padding of an Opus packet, whose
value decoders must not look at (RFC 6716 section 3.2.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = [
    "CARRIERS",
    "MAX_AUDIO_SIDE_INFO",
    "MAX_SEI",
    "OPUS",
    "embed",
    "embed_in_opus",
    "extract",
    "extract_from_opus",
    "leb128",
    "obus",
]

MAX_SEI = 4096
"""Bytes of one piece of data (product-facts 1.11)."""

MAX_AUDIO_SIDE_INFO = 1023
"""Bytes of one piece of data with sound (product-facts 1.11: below 1024)."""

OPUS = "audio/opus"

CARRIERS = ("video/VP8", "video/H264", "video/AV1")

_MARK = b"SndrlSei"
_UUID = bytes.fromhex("5a0e4c5b7d614d5f9a62c4a4a1c8e6d3")
_START = b"\x00\x00\x00\x01"
_SEI_NAL = 6
_USER_DATA = 5
_METADATA_OBU = 5
_FRAME_OBUS = (3, 6)
_PRIVATE_METADATA = 25
_HAS_SIZE, _HAS_EXTENSION = 0x02, 0x04


def embed(picture: bytes, pieces: Sequence[bytes], mime_type: str) -> bytes:
    """Return ``picture`` with ``pieces`` in it; unchanged for a codec that has no place for them."""
    match mime_type:
        case "video/VP8":
            body = b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)
            return picture + body + len(body).to_bytes(4, "big") + _MARK
        case "video/H264":
            return b"".join(_sei(piece) for piece in pieces) + picture
        case "video/AV1":
            # Before the frame: decoders stop reading once they have it.
            at = next((at for kind, at, _, _ in obus(picture) if kind in _FRAME_OBUS), len(picture))
            return picture[:at] + b"".join(_obu(piece) for piece in pieces) + picture[at:]
        case _:
            return picture


def extract(picture: bytes, mime_type: str) -> tuple[bytes, tuple[bytes, ...]]:
    """Return what a decoder is to get and the pieces that were in it. Whatever cannot be read is left alone."""
    match mime_type:
        case "video/VP8":
            return _from_vp8(picture)
        case "video/H264":
            return picture, _from_h264(picture)
        case "video/AV1":
            return picture, _from_av1(picture)
        case _:
            return picture, ()


# ---------------------------------------------------------------------------------------------------- VP8


def _from_vp8(picture: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    tail = len(_MARK) + 4
    if len(picture) < tail or not picture.endswith(_MARK):
        return picture, ()
    size = int.from_bytes(picture[-tail : -len(_MARK)], "big")
    start = len(picture) - tail - size
    if start < 0:
        return picture, ()
    body = picture[start : len(picture) - tail]
    pieces = []
    at = 0
    while at + 2 <= len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        if end > len(body):
            return picture, ()
        pieces.append(body[at + 2 : end])
        at = end
    return picture[:start], tuple(pieces)


# --------------------------------------------------------------------------------------------------- H.264


def _sei(piece: bytes) -> bytes:
    payload = _UUID + piece
    sizes = b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255])
    return _START + bytes([_SEI_NAL]) + _protected(bytes([_USER_DATA]) + sizes + payload + b"\x80")


def _protected(data: bytes) -> bytes:
    """With emulation prevention: no start code inside (ITU-T H.264 section 7.4.1)."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _plain(data: bytes) -> bytes:
    """Without emulation prevention."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _from_h264(picture: bytes) -> tuple[bytes, ...]:
    pieces: list[bytes] = []
    at = picture.find(b"\x00\x00\x01")
    while at >= 0:
        begin = at + 3
        at = picture.find(b"\x00\x00\x01", begin)
        unit = picture[begin : at if at >= 0 else len(picture)]
        if not unit:
            continue
        kind = unit[0] & 0x1F
        if kind in (1, 5):
            break  # the picture itself, and no SEI behind it
        if kind == _SEI_NAL:
            pieces += _messages(_plain(unit[1:].rstrip(b"\x00")))
    return tuple(pieces)


def _messages(data: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at + 2 < len(data):
        numbers = []
        for _ in range(2):
            value = 0
            while at < len(data) and data[at] == 255:
                value, at = value + 255, at + 1
            if at >= len(data):
                return pieces
            numbers.append(value + data[at])
            at += 1
        kind, size = numbers
        payload, at = data[at : at + size], at + size
        if kind == _USER_DATA and len(payload) == size and payload.startswith(_UUID):
            pieces.append(payload[len(_UUID) :])
    return pieces


# ----------------------------------------------------------------------------------------------------- AV1


def _obu(piece: bytes) -> bytes:
    payload = bytes([_PRIVATE_METADATA]) + _UUID + piece + b"\x80"
    return bytes([_METADATA_OBU << 3 | _HAS_SIZE]) + leb128(len(payload)) + payload


def leb128(value: int) -> bytes:
    """``value`` as AV1 writes sizes (AV1 specification section 4.10.5)."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def obus(picture: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Of each OBU: its type, where it begins, and where its payload begins and ends."""
    at = 0
    while at < len(picture):
        begin, first = at, picture[at]
        at += 2 if first & _HAS_EXTENSION else 1
        size = len(picture) - at
        if first & _HAS_SIZE:
            size, shift = 0, 0
            while at < len(picture) and shift < 56:
                byte = picture[at]
                at += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
        yield first >> 3 & 0x0F, begin, at, min(at + max(size, 0), len(picture))
        at += max(size, 0)


def _from_av1(picture: bytes) -> tuple[bytes, ...]:
    head = bytes([_PRIVATE_METADATA]) + _UUID
    payloads = [picture[begin:end] for kind, _, begin, end in obus(picture) if kind == _METADATA_OBU]
    return tuple(
        payload[len(head) :].rstrip(b"\x00")[:-1] for payload in payloads if payload.startswith(head)
    )


# ---------------------------------------------------------------------------------------------------- Opus

_PADDED, _VARIABLE = 0x40, 0x80


def embed_in_opus(packet: bytes, piece: bytes) -> bytes:
    """Return ``packet`` with ``piece`` in its padding; unchanged when it has padding already, or is none."""
    if not packet:
        return packet
    kind, head, frames = packet[0] & 3, bytes([packet[0] | 3]), packet[1:]
    if kind == 3:
        if not frames or frames[0] & _PADDED:
            return packet
        count, frames = frames[0], frames[1:]
    else:
        # One frame; two of one size; two with the size of the first in front, as in a packet of any number.
        count = {0: 1, 1: 2, 2: 2 | _VARIABLE}[kind]
    padding = _MARK + piece
    size = b"\xff" * ((len(padding) - 1) // 254) + bytes([(len(padding) - 1) % 254 + 1])
    return head + bytes([count | _PADDED]) + size + frames + padding


def extract_from_opus(packet: bytes) -> bytes | None:
    """Return the piece that is in ``packet``, if any. A decoder takes the packet as it is."""
    if len(packet) < 3 or packet[0] & 3 != 3 or not packet[1] & _PADDED:
        return None
    size, at = 0, 2
    while at < len(packet) and packet[at] == 255:
        size, at = size + 254, at + 1
    if at >= len(packet):
        return None
    size += packet[at]
    padding = packet[len(packet) - size :] if at + 1 + size <= len(packet) else b""
    return padding[len(_MARK) :] if padding.startswith(_MARK) else None

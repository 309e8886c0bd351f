"""Encoded pictures and sound under a key that the server does not have (SFrame, RFC 9605).

A sealed frame is what the server has to see of it, an SFrame header, and the whole frame under AES-GCM. What the server
has to see is made such that a decoder without the key refuses the frame instead of showing or sounding noise:

* VP8: the frame header with the key-frame bit and, of key frames, the size (RFC 6386 section 9.1), but with a first
  partition that is longer than any frame;
* VP9: nothing; the first byte of the SFrame header is no frame marker (VP9 specification section 6.2);
* AV1: a copy of the sequence header of key frames; the sealed frame is the payload of one frame OBU;
* Opus: a packet of no frames, which is no packet (RFC 6716 section 3.4).

Every track of every publisher seals under a key of its own, derived from the stream's key and a random key ID that
travels with each frame: one key may serve any number of streams without a counter ever being used twice.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from sanderling.sdk.side_data import OPUS, leb128, obus

__all__ = ["DecryptionError", "FrameOpener", "FrameSealer", "SealedCodecError", "derive"]

_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KNOWN_IDS = 16
"""Key IDs remembered by an opener: the publisher draws a new one with every key and every new publishing."""

_SEQUENCE_HEADER_OBU, _FRAME_OBU, _OBU_HAS_SIZE = 1, 6, 0x02
_LONGEST_PARTITION = 0x7FFFF
_VP8_KEY_HEADER, _VP8_HEADER = 10, 3

_SUITES: dict[int, tuple[int, type[HashAlgorithm]]] = {
    16: (0x0004, SHA256),  # AES_128_GCM_SHA256_128
    24: (0xF018, SHA512),  # private use: RFC 9605 registers no suite with AES-192
    32: (0x0005, SHA512),  # AES_256_GCM_SHA512_128
}


class DecryptionError(Exception):
    """The frame is not sealed, was changed on its way, or was sealed under another key."""


class SealedCodecError(Exception):
    """There is no way to seal frames of this codec."""


def derive(key: bytes, key_id: int) -> tuple[bytes, bytes]:
    """The AES key and the salt that belong to ``key_id`` (RFC 9605 section 4.4.2). ``key``: 16, 24 or 32 bytes."""
    suite, algorithm = _SUITES[len(key)]
    secret = _hmac(algorithm, bytes(algorithm().digest_size), key)
    about = key_id.to_bytes(_KEY_ID_BYTES, "big") + suite.to_bytes(2, "big")
    # One block of HKDF-Expand (RFC 5869 section 2.3) is longer than either.
    sealing = _hmac(algorithm, secret, b"SFrame 1.0 Secret key " + about + b"\x01")
    salt = _hmac(algorithm, secret, b"SFrame 1.0 Secret salt " + about + b"\x01")
    return sealing[: len(key)], salt[:_NONCE_BYTES]


class FrameSealer:
    """Seals the frames of one track. ``key``: 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        # Always eight bytes long on the wire, so that nothing tells one publisher from another by length.
        self._key_id = secrets.randbits(8 * _KEY_ID_BYTES) | 1 << 8 * _KEY_ID_BYTES - 1
        sealing, self._salt = derive(key, self._key_id)
        self._aead = AESGCM(sealing)
        self._counter = 0

    def seal(self, frame: bytes, mime_type: str) -> bytes:
        """Return what to send in place of ``frame``; :class:`SealedCodecError` for a codec without a way."""
        header = _header(self._key_id, self._counter)
        nonce = _nonce(self._salt, self._counter)
        self._counter += 1
        match mime_type:
            case "video/VP8":
                shown = _vp8_shown(frame)
            case "video/VP9":
                shown = b""
            case "video/AV1":
                body = header + self._aead.encrypt(nonce, frame, header)
                sequence = b"".join(
                    frame[begin:end] for kind, begin, _, end in obus(frame) if kind == _SEQUENCE_HEADER_OBU
                )
                return sequence + bytes([_FRAME_OBU << 3 | _OBU_HAS_SIZE]) + leb128(len(body)) + body
            case _ if mime_type == OPUS:
                shown = bytes([(frame[0] if frame else 0) | 3, 0])
            case _:
                raise SealedCodecError(f"frames of {mime_type or 'an unknown codec'} cannot be encrypted")
        return shown + header + self._aead.encrypt(nonce, frame, header + shown)


class FrameOpener:
    """Opens the frames of one track under the newest of several keys that fits."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[bytes, AESGCM, bytes]] = OrderedDict()

    def open(self, sealed: bytes, mime_type: str, keys: Sequence[bytes]) -> tuple[bytes, bytes]:
        """Return the frame, and which of ``keys`` it was sealed under; :class:`DecryptionError` for none of them."""
        shown, body = _split(sealed, mime_type)
        key_id, counter, header = _read_header(body)
        known = self._known.get(key_id)
        if known is not None and known[0] in keys:
            self._known.move_to_end(key_id)
            return self._try(known, shown, header, counter, body), known[0]
        for key in keys:
            sealing, salt = derive(key, key_id)
            candidate = (key, AESGCM(sealing), salt)
            try:
                frame = self._try(candidate, shown, header, counter, body)
            except DecryptionError:
                continue
            self._known[key_id] = candidate
            if len(self._known) > _KNOWN_IDS:
                self._known.popitem(last=False)
            return frame, key
        raise DecryptionError("no key fits")

    def _try(
        self, by: tuple[bytes, AESGCM, bytes], shown: bytes, header: bytes, counter: int, body: bytes
    ) -> bytes:
        _, aead, salt = by
        try:
            return aead.decrypt(_nonce(salt, counter), body[len(header) :], header + shown)
        except InvalidTag:
            raise DecryptionError("the frame does not fit the key") from None


# ------------------------------------------------------------------------------------------------- SFrame


def _hmac(algorithm: type[HashAlgorithm], key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, algorithm())
    mac.update(data)
    return mac.finalize()


def _nonce(salt: bytes, counter: int) -> bytes:
    return (int.from_bytes(salt, "big") ^ counter).to_bytes(_NONCE_BYTES, "big")


def _header(key_id: int, counter: int) -> bytes:
    """Configuration byte, key ID, counter (RFC 9605 section 4.3)."""
    key_bytes = key_id.to_bytes(_KEY_ID_BYTES, "big")
    if counter < 8:
        return bytes([0x80 | (_KEY_ID_BYTES - 1) << 4 | counter]) + key_bytes
    count = counter.to_bytes((counter.bit_length() + 7) // 8, "big")
    return bytes([0x88 | (_KEY_ID_BYTES - 1) << 4 | len(count) - 1]) + key_bytes + count


def _read_header(body: bytes) -> tuple[int, int, bytes]:
    """Key ID, counter and the header itself."""
    if not body:
        raise DecryptionError("the frame is not encrypted")
    first, at = body[0], 1
    numbers = []
    for long, value in ((first & 0x80, first >> 4 & 7), (first & 0x08, first & 7)):
        if long:
            numbers.append(int.from_bytes(body[at : at + value + 1], "big"))
            at += value + 1
        else:
            numbers.append(value)
    if len(body) < at + _TAG_BYTES:
        raise DecryptionError("the frame is not encrypted")
    return numbers[0], numbers[1], body[:at]


# ------------------------------------------------------------------------------------ what the server sees


def _vp8_shown(frame: bytes) -> bytes:
    """The frame header, with the size after the start code when it is a key frame, and an impossible partition."""
    is_key = bool(frame) and not frame[0] & 1
    tag = (frame[0] & 0x1F if frame else 1) | _LONGEST_PARTITION << 5
    return tag.to_bytes(3, "little") + (frame[_VP8_HEADER:_VP8_KEY_HEADER] if is_key else b"")


def _split(sealed: bytes, mime_type: str) -> tuple[bytes, bytes]:
    """What was shown to the server and is authentic, and the SFrame ciphertext."""
    match mime_type:
        case "video/VP8":
            size = _VP8_KEY_HEADER if sealed and not sealed[0] & 1 else _VP8_HEADER
        case "video/VP9":
            size = 0
        case "video/AV1":
            return b"", next((sealed[at:end] for kind, _, at, end in obus(sealed) if kind == _FRAME_OBU), b"")
        case _ if mime_type == OPUS:
            size = 2
        case _:
            raise DecryptionError(f"frames of {mime_type or 'an unknown codec'} are never encrypted")
    return sealed[:size], sealed[size:]

"""Token04: making, checking and explaining the product's tokens (product-facts section 3).

Layout, big-endian: expire (8 bytes, signed) · IV length (2) · IV · ciphertext length (2) · ciphertext · mode byte
(absent or 0 = AES-CBC, 1 = AES-GCM), in Base64 behind the two characters ``04``. The key is the 32 ASCII
characters of the ServerSecret. CBC carries no integrity tag and the outer expiry is not encrypted, so a server
checks both expiries and refuses a token in which they differ.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import string
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sanderling.errors import ErrorCode, TokenError

__all__ = [
    "EnvelopeMode",
    "Envelope",
    "Privileges",
    "Token",
    "TokenFields",
    "generate",
    "open_envelope",
    "parse",
    "privilege_payload",
    "read_fields",
    "unpack",
    "verify",
]

VERSION = "04"
IV_ALPHABET = string.digits + string.ascii_lowercase
IV_LENGTH = 16
GCM_IV_LENGTH = 12
GCM_TAG_LENGTH = 16
MAX_TOKEN_LENGTH = 16 * 1024
"""Characters. A payload with 100 streamIDs of full length makes a token of 36 000; rooms need far fewer."""

LOGIN = "1"
PUBLISH = "2"


class EnvelopeMode(IntEnum):
    """How the ciphertext was made."""

    CBC = 0
    GCM = 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """The packed, still encrypted form."""

    expire: int
    """Outer expiry, Unix seconds; anybody can change it."""
    iv: bytes
    ciphertext: bytes
    mode: EnvelopeMode


@dataclass(frozen=True, slots=True)
class Privileges:
    """What the payload of a strict token allows. Without a payload everything is allowed."""

    room_id: str = ""
    """The only room the token is valid in; "" = any."""
    can_login: bool = True
    can_publish: bool = True
    stream_ids: tuple[str, ...] = ()
    """The only streamIDs that may be published; empty = any."""

    def allows_stream(self, stream_id: str) -> bool:
        """Whether ``stream_id`` may be published."""
        return self.can_publish and (not self.stream_ids or stream_id in self.stream_ids)


@dataclass(frozen=True, slots=True)
class TokenFields:
    """The plaintext, each field of the right type."""

    app_id: int
    user_id: str
    nonce: int
    ctime: int
    expire: int
    payload: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was found valid."""

    app_id: int
    user_id: str
    created: int
    """Unix seconds."""
    expire: int
    """Unix seconds; the token is valid up to and including this second."""
    mode: EnvelopeMode
    privileges: Privileges = field(default_factory=Privileges)

    def expired(self, now: float) -> bool:
        """Whether the token is no longer valid at ``now`` (Unix seconds)."""
        return self.expire < now


# ------------------------------------------------------------------------------------------------- making


def privilege_payload(
    room_id: str, *, can_login: bool = True, can_publish: bool = True, stream_ids: Sequence[str] = ()
) -> str:
    """Return the payload of a strict token: valid in one room, with the two privileges spelled out."""
    document = {
        "room_id": room_id,
        "privilege": {LOGIN: int(can_login), PUBLISH: int(can_publish)},
        "stream_id_list": list(stream_ids) or None,
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def generate(
    app_id: int,
    user_id: str,
    secret: str,
    effective_s: int,
    payload: str = "",
    *,
    now: float,
    mode: EnvelopeMode = EnvelopeMode.CBC,
    nonce: int | None = None,
    iv: bytes | None = None,
) -> str:
    """Return a token for ``user_id``, valid ``effective_s`` seconds from ``now`` (Unix seconds).

    ``secret`` is the project's ServerSecret. ``nonce`` and ``iv`` are drawn at random unless given (for vectors).
    Raises ValueError, without the secret in its text, when an argument cannot make a valid token.
    """
    if not 0 < app_id < 2**32:
        raise ValueError("app_id must be a number from 1 to 4294967295")
    if not user_id:
        raise ValueError("user_id must not be empty")
    if effective_s <= 0:
        raise ValueError("effective_s must be more than 0 seconds")
    key = _key(secret)
    created = int(now)
    expire = created + effective_s
    document = {
        "app_id": app_id,
        "user_id": user_id,
        "nonce": secrets.randbelow(2**32) - 2**31 if nonce is None else nonce,
        "ctime": created,
        "expire": expire,
        "payload": payload,
    }
    plain = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    if mode is EnvelopeMode.GCM:
        iv = secrets.token_bytes(GCM_IV_LENGTH) if iv is None else iv
        ciphertext = AESGCM(key).encrypt(iv, plain, None)
    else:
        iv = "".join(secrets.choice(IV_ALPHABET) for _ in range(IV_LENGTH)).encode() if iv is None else iv
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    packed = struct.pack(">qH", expire, len(iv)) + iv + struct.pack(">H", len(ciphertext)) + ciphertext
    if mode is EnvelopeMode.GCM:
        packed += bytes([mode])
    token = VERSION + base64.b64encode(packed).decode()
    if len(token) > MAX_TOKEN_LENGTH:
        raise ValueError(f"the payload is too long: the token would have {len(token)} characters")
    return token


def _key(secret: str) -> bytes:
    # Used as raw characters although it looks like hex (product-facts 3.2).
    key = secret.encode("ascii", errors="replace")
    if len(key) != 32:
        raise ValueError("the ServerSecret must have 32 characters")
    return key


# ------------------------------------------------------------------------------------------------ reading


def _refuse(
    step: str, why: str, code: ErrorCode = ErrorCode.AUTHENTICATION_FAILED, hint: str = ""
) -> TokenError:
    return TokenError(code, f"token: {why}", hint=hint or f"failed at: {step}", context={"step": step})


def unpack(token: str) -> Envelope:
    """Take a token apart without decrypting it.

    1002067 when empty, 1002079 for another version, 1002033 (the hint names the step) when it is damaged.
    """
    if not token:
        raise TokenError(
            ErrorCode.TOKEN_MISSING,
            "neither a token nor an AppSign was supplied",
            hint="make one with `sanderling token create`",
            context={"step": "presence"},
        )
    if len(token) > MAX_TOKEN_LENGTH:
        raise _refuse("length", f"it has {len(token)} characters, {MAX_TOKEN_LENGTH} allowed")
    if token[:2] != VERSION:
        raise _refuse(
            "prefix",
            f"it begins with {token[:2]!r}, version {VERSION!r} expected",
            ErrorCode.TOKEN_VERSION_WRONG,
            hint="only Token04 is accepted; pass the whole token, without quotes or spaces",
        )
    try:
        packed = base64.b64decode(token[2:].encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise _refuse(
            "base64", "what follows the prefix is not Base64", hint="failed at: base64; was it cut?"
        ) from None
    if base64.b64encode(packed).decode() != token[2:]:
        raise _refuse("base64", "its Base64 is not canonical (stray bits in the last character)")
    return _unpack_binary(packed)


def _unpack_binary(packed: bytes) -> Envelope:
    def take(offset: int, size: int, what: str) -> bytes:
        part = packed[offset : offset + size]
        if len(part) != size:
            raise _refuse("unpack", f"it ends inside the {what}", hint="failed at: unpack; the token was cut")
        return part

    (expire,) = struct.unpack(">q", take(0, 8, "expiry"))
    (iv_length,) = struct.unpack(">H", take(8, 2, "IV length"))
    iv = take(10, iv_length, "IV")
    at = 10 + iv_length
    (length,) = struct.unpack(">H", take(at, 2, "ciphertext length"))
    ciphertext = take(at + 2, length, "ciphertext")
    rest = packed[at + 2 + length :]
    if len(rest) > 1 or (rest and rest[0] > 1):
        raise _refuse("unpack", "it has more bytes than its lengths say, or an unknown mode byte")
    mode = EnvelopeMode(rest[0]) if rest else EnvelopeMode.CBC
    return Envelope(expire, iv, ciphertext, mode)


def open_envelope(envelope: Envelope, secret: str) -> bytes:
    """Return the plaintext; 1002033 when it cannot be decrypted with this secret, 1002074 when that is no secret."""
    wrong = "failed at: decrypt; is the ServerSecret that of this AppID?"
    try:
        key = _key(secret)
    except ValueError as error:
        raise _refuse("secret", str(error), ErrorCode.TOKEN_INTERNAL_ERROR) from None
    if envelope.mode is EnvelopeMode.GCM:
        if len(envelope.iv) < 8 or len(envelope.ciphertext) < GCM_TAG_LENGTH:
            raise _refuse("decrypt", "its nonce or ciphertext is too short for GCM")
        try:
            return AESGCM(key).decrypt(envelope.iv, envelope.ciphertext, None)
        except (InvalidTag, ValueError):
            raise _refuse("decrypt", "it cannot be decrypted with this ServerSecret", hint=wrong) from None
    if len(envelope.iv) != IV_LENGTH or not envelope.ciphertext or len(envelope.ciphertext) % 16:
        raise _refuse("decrypt", "its IV or ciphertext has an impossible length for CBC")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(envelope.iv)).decryptor()
    padded = decryptor.update(envelope.ciphertext) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise _refuse("decrypt", "it cannot be decrypted with this ServerSecret", hint=wrong) from None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(document: dict[str, Any], key: str, code: ErrorCode, bits: int) -> int:
    value = document.get(key)
    if not _is_int(value) or not -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1):  # type: ignore[arg-type]  # _is_int checked
        raise _refuse(key, f"its {key} is missing or not a whole number of {bits} bits", code)
    return int(value)  # type: ignore[arg-type]  # _is_int checked


def decode_document(plain: bytes) -> dict[str, Any]:
    """Return the decrypted bytes as a JSON object; 1002033 when they are none."""
    try:
        document = json.loads(plain)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _refuse(
            "json",
            "what it holds is not a JSON object",
            hint="failed at: json; wrong ServerSecret, or damaged",
        )
    return document


def read_fields(document: dict[str, Any]) -> TokenFields:
    """Check presence and types: 1002076 app_id, 1002077 user_id, 1002080 nonce, 1002078 times, 1002075 payload."""
    app_id = document.get("app_id")
    if not _is_int(app_id) or not 0 < int(app_id) < 2**32:  # type: ignore[arg-type]  # _is_int checked
        raise _refuse(
            "app_id", "its app_id is missing or not a 32-bit number", ErrorCode.TOKEN_APP_ID_MISMATCH
        )
    user_id = document.get("user_id")
    if not isinstance(user_id, str) or not user_id:
        raise _refuse("user_id", "its user_id is missing or not text", ErrorCode.TOKEN_USER_ID_MISMATCH)
    nonce = _number(document, "nonce", ErrorCode.TOKEN_NONCE_WRONG, 32)
    ctime = _number(document, "ctime", ErrorCode.TOKEN_EXPIRED, 64)
    expire = _number(document, "expire", ErrorCode.TOKEN_EXPIRED, 64)
    payload = document.get("payload", "")
    if not isinstance(payload, str):
        raise _refuse("payload", "its payload is not text", ErrorCode.TOKEN_PAYLOAD_NOT_JSON)
    assert isinstance(app_id, int)
    return TokenFields(app_id, user_id, nonce, ctime, expire, payload)


def read_privileges(payload: str) -> Privileges:
    """Return what a payload allows; 1002075 when it is not the JSON it should be. "" allows everything."""
    if not payload:
        return Privileges()

    def wrong(why: str) -> TokenError:
        return _refuse("payload", f"its payload {why}", ErrorCode.TOKEN_PAYLOAD_NOT_JSON)

    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        raise wrong("is not JSON") from None
    if not isinstance(document, dict):
        raise wrong("is not a JSON object")
    room_id = document.get("room_id", "")
    privilege = document.get("privilege", {})
    streams = document.get("stream_id_list") or []
    if not isinstance(room_id, str):
        raise wrong("has a room_id that is not text")
    if not isinstance(privilege, dict) or any(not _is_int(v) or v not in (0, 1) for v in privilege.values()):
        raise wrong("has a privilege that is not an object of 0 and 1")
    if not isinstance(streams, list) or any(not isinstance(item, str) for item in streams):
        raise wrong("has a stream_id_list that is not a list of text")
    if privilege and not room_id:
        raise wrong("has privileges but no room_id")
    return Privileges(
        room_id=room_id,
        # A privilege that is left out is not given.
        can_login=not privilege or privilege.get(LOGIN, 0) == 1,
        can_publish=not privilege or privilege.get(PUBLISH, 0) == 1,
        stream_ids=tuple(streams),
    )


def check_expiry(outer: int, inner: int, now: float) -> None:
    """1002078 when the token is over, or its two expiries differ; the last second still counts."""
    if outer != inner:
        raise _refuse(
            "expire",
            "its outer and inner expiry differ; it was changed after it was made",
            ErrorCode.TOKEN_EXPIRED,
        )
    if inner < now:
        raise _refuse(
            "expire",
            f"it expired {int(now) - inner} s ago",
            ErrorCode.TOKEN_EXPIRED,
            hint="get a new token and log in again",
        )


def parse(token: str, secret: str, *, now: float) -> Token:
    """Return what a valid token says; TokenError with the code of the first thing that is wrong."""
    envelope = unpack(token)
    fields = read_fields(decode_document(open_envelope(envelope, secret)))
    check_expiry(envelope.expire, fields.expire, now)
    privileges = read_privileges(fields.payload)
    return Token(fields.app_id, fields.user_id, fields.ctime, fields.expire, envelope.mode, privileges)


def verify(token: str, secret: str, *, app_id: int, user_id: str | None, now: float) -> Token:
    """``parse``, and the token must be for this AppID (1002076) and this user (1002077); None: whoever it names."""
    parsed = parse(token, secret, now=now)
    if parsed.app_id != app_id:
        raise _refuse(
            "app_id", f"it is for AppID {parsed.app_id}, not {app_id}", ErrorCode.TOKEN_APP_ID_MISMATCH
        )
    if user_id is not None and parsed.user_id != user_id:
        raise _refuse(
            "user_id",
            f"it is for user {parsed.user_id!r}, not {user_id!r}",
            ErrorCode.TOKEN_USER_ID_MISMATCH,
            hint="a token belongs to one user; make one for this userID",
        )
    return parsed

"""Identifiers: their types, lengths and allowed characters (product-facts section 5.6)."""

from __future__ import annotations

import re
from typing import NewType

from sanderling.errors import ErrorCode, RoomError, SanderlingError

__all__ = [
    "AppId",
    "RoomId",
    "StreamId",
    "UserId",
    "parse_app_id",
    "parse_room_id",
    "parse_stream_id",
    "parse_user",
]

AppId = NewType("AppId", int)
RoomId = NewType("RoomId", str)
UserId = NewType("UserId", str)
StreamId = NewType("StreamId", str)

_PUNCTUATION = "~`!@#$%^&*()_+=-;',.<>\\"
_ID = re.compile(rf"[0-9A-Za-z{re.escape(_PUNCTUATION)}]+", re.ASCII)
_STREAM_ID = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

MAX_ROOM_ID = 127
MAX_USER_ID = 63
MAX_USER_NAME = 255
MAX_STREAM_ID = 255


def parse_app_id(value: int) -> AppId:
    """Return ``value`` as an AppID (uint32, not 0); 1001000 when 0, 1001004 when out of range."""
    if value == 0:
        raise RoomError(
            ErrorCode.APP_ID_ZERO, "AppID is 0", hint="use the AppID that `sanderling project list` shows"
        )
    if not 0 < value < 2**32:
        raise RoomError(ErrorCode.APP_ID_INCORRECT, f"AppID {value} is not a 32-bit number")
    return AppId(value)


def parse_room_id(value: str) -> RoomId:
    """Return ``value`` as a roomID; 1002011 empty, 1002013 128 bytes or more, 1002012 bad character."""
    if not value:
        raise RoomError(
            ErrorCode.ROOM_ID_EMPTY, "roomID is empty", hint="pass the name of the room to log in to"
        )
    if len(value.encode()) > MAX_ROOM_ID:
        raise RoomError(ErrorCode.ROOM_ID_TOO_LONG, f"roomID has {len(value.encode())} bytes, {MAX_ROOM_ID} allowed",
                        hint="a token pasted in place of the roomID gives this error")  # fmt: skip
    if not _ID.fullmatch(value):
        raise RoomError(ErrorCode.ROOM_ID_INVALID_CHARACTER, "roomID has a character that is not allowed",
                        hint=f"digits, letters and {_PUNCTUATION} are allowed")  # fmt: skip
    return RoomId(value)


def parse_user(user_id: str, user_name: str) -> UserId:
    """Check a user's ID and name; 1002005–1002010. Returns the userID."""
    if not user_id:
        raise RoomError(
            ErrorCode.USER_ID_EMPTY,
            "userID is empty",
            hint="make the user with an ID: User('alice', 'Alice')",
        )
    if len(user_id.encode()) > MAX_USER_ID:
        raise RoomError(
            ErrorCode.USER_ID_TOO_LONG, f"userID has {len(user_id.encode())} bytes, {MAX_USER_ID} allowed"
        )
    if not _ID.fullmatch(user_id):
        raise RoomError(ErrorCode.USER_ID_INVALID_CHARACTER, "userID has a character that is not allowed",
                        hint=f"digits, letters and {_PUNCTUATION} are allowed")  # fmt: skip
    if not user_name:
        raise RoomError(
            ErrorCode.USER_NAME_EMPTY,
            "userName is empty",
            hint="make the user with a name: User('alice', 'Alice')",
        )
    if len(user_name.encode()) > MAX_USER_NAME:
        raise RoomError(
            ErrorCode.USER_NAME_TOO_LONG,
            f"userName has {len(user_name.encode())} bytes, {MAX_USER_NAME} allowed",
        )
    if _CONTROL.search(user_name):
        raise RoomError(ErrorCode.USER_NAME_INVALID_CHARACTER, "userName has a control character")
    return UserId(user_id)


def parse_stream_id(value: str) -> StreamId:
    """Return ``value`` as a streamID; 1000015 empty, 1000014 256 bytes or more, 1000016 bad character."""
    if not value:
        raise SanderlingError(ErrorCode.STREAM_ID_EMPTY, "streamID is empty")
    if len(value.encode()) > MAX_STREAM_ID:
        raise SanderlingError(
            ErrorCode.STREAM_ID_TOO_LONG, f"streamID has {len(value.encode())} bytes, {MAX_STREAM_ID} allowed"
        )
    if not _STREAM_ID.fullmatch(value):
        raise SanderlingError(ErrorCode.STREAM_ID_INVALID_CHARACTER, "streamID has a character that is not allowed",
                              hint="digits, letters, _ and - are allowed")  # fmt: skip
    return StreamId(value)

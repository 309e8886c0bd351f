"""The values inside messages, and the base of both."""

from __future__ import annotations

import msgspec

__all__ = [
    "ClientInfo",
    "IceServer",
    "Message",
    "PathChoice",
    "RoomConfig",
    "RoomExtraInfo",
    "SessionKey",
    "Stream",
    "Track",
    "User",
    "Value",
]


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Base of everything on the wire: one JSON object with a ``type``."""


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of the values inside messages."""


class User(Value, frozen=True):
    """A member of a room."""

    user_id: str = ""
    user_name: str = ""


class Track(Value, frozen=True):
    """One track of a stream: ``kind`` is "audio" or "video", ``codec`` as in SDP (VP8, VP9, AV1, H264, opus)."""

    kind: str
    codec: str = ""


class Stream(Value, frozen=True):
    """A published stream as the room sees it."""

    stream_id: str
    user: User
    extra_info: str = ""
    tracks: tuple[Track, ...] = ()
    delete_reason: int = 0
    """StreamDeleteReason in a DELETE notice, else 0."""
    camera: int = 0
    """RemoteDeviceState of its picture: 0 open, 9 disabled, 10 muted, others faults."""
    microphone: int = 0
    """RemoteDeviceState of its sound."""
    custom_reason: str = ""
    """What the server's operator gave as the reason, in a DELETE notice with reason 4 or 6."""


class RoomConfig(Value, frozen=True):
    """What the first login of a room decides, and what this user wants to hear."""

    max_member_count: int = 0
    """0 = unlimited."""
    is_user_status_notify: bool = False
    custom_data: str = ""
    """For the operator's server, at most 128 bytes; the room does not see it."""


class IceServer(Value, frozen=True):
    """A TURN server for clients that reach the node no other way; fields as in a browser's RTCIceServer."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""

    def __repr__(self) -> str:
        # Without the credential: this text may reach a log.
        return f"IceServer(urls={self.urls!r})"


class ClientInfo(Value, frozen=True):
    """Which software is asking; for the operator's eyes only."""

    sdk: str = ""
    version: str = ""
    platform: str = ""


class SessionKey(Value, frozen=True):
    """Proof that a session is one's own: its name and the secret of its login_ok."""

    session_id: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        # Without the secret: this text may reach a log.
        return f"SessionKey(session_id={self.session_id!r})"


class RoomExtraInfo(Value, frozen=True):
    """The room's one key and its value; the last writer wins."""

    key: str
    value: str
    user: User
    """Who wrote it last."""
    updated_ms: int
    """Unix milliseconds."""


class PathChoice(Value, frozen=True):
    """Resource mode CUSTOM: the path (ResourceType: 0 CDN, 1 RTC, 2 L3) by whether this user publishes."""

    before_publish: int = 1
    publishing: int = 1
    after_publish: int = 1

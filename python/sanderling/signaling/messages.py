"""Every signalling message, declared once (protocol version 1, docs/protocol.md).

The JSON schema (``schema/signaling.schema.json``) and the TypeScript types are generated from this module.
A request carries ``seq``, a number the client chooses; its reply carries the same one. A notice has none.
Unknown fields are ignored, so that either side may be newer; unknown message types are an error.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "ClientMessage",
    "Error",
    "Heartbeat",
    "HeartbeatOk",
    "IceServer",
    "Kicked",
    "Login",
    "LoginOk",
    "Logout",
    "Ok",
    "Play",
    "PlayOk",
    "PlayerStateNotice",
    "Publish",
    "PublishOk",
    "PublisherStateNotice",
    "RoomConfig",
    "ServerMessage",
    "SlotBound",
    "StopPlay",
    "StopPublish",
    "Stream",
    "StreamNotice",
    "Track",
    "User",
    "UserNotice",
    "ViewerAnswer",
    "ViewerOffer",
]

PROTOCOL_VERSION = 1


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


class RoomConfig(Value, frozen=True):
    """What the first login of a room decides, and what this user wants to hear."""

    max_member_count: int = 0
    """0 = unlimited."""
    is_user_status_notify: bool = False


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


# ---------------------------------------------------------------------------------------- client → server


class Login(Message, frozen=True, tag="login"):
    """Log in to a room; the first message of a connection. Reply: LoginOk or Error."""

    seq: int
    app_id: int
    room_id: str
    user: User = User()
    version: int = PROTOCOL_VERSION
    token: str = ""
    app_sign: str = ""
    config: RoomConfig = RoomConfig()
    viewer_offer: str = ""
    """SDP offer of the receive-only viewer transport; empty when this client never plays."""
    client: ClientInfo = ClientInfo()


class Logout(Message, frozen=True, tag="logout"):
    """Leave the room: publishing and playing stop. Reply: Ok; then the server closes the connection."""

    seq: int


class Publish(Message, frozen=True, tag="publish"):
    """Publish a stream over its own transport. Reply: PublishOk or Error."""

    seq: int
    stream_id: str
    offer: str
    """SDP offer, send-only, at most one audio and one video media section."""
    channel: int = 0
    extra_info: str = ""


class StopPublish(Message, frozen=True, tag="stop_publish"):
    """End a published stream. Reply: Ok."""

    seq: int
    stream_id: str


class Play(Message, frozen=True, tag="play"):
    """Bind a stream to a free slot of the viewer transport. Reply: PlayOk or Error.

    The viewer transport must have a free slot; a client whose pool is too small sends ViewerOffer first.
    """

    seq: int
    stream_id: str
    resource_mode: int = 0
    audio: bool = True
    video: bool = True


class StopPlay(Message, frozen=True, tag="stop_play"):
    """Free the slot of a played stream. Reply: Ok."""

    seq: int
    stream_id: str


class ViewerOffer(Message, frozen=True, tag="viewer_offer"):
    """Make the viewer transport, or grow its pool of slots. Reply: ViewerAnswer or Error."""

    seq: int
    offer: str


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Sign of life, every ``LoginOk.heartbeat_ms``. Reply: HeartbeatOk."""

    seq: int
    client_ms: int = 0
    """Client's Unix time in milliseconds, returned unchanged."""


# ---------------------------------------------------------------------------------------- server → client


class LoginOk(Message, frozen=True, tag="login_ok"):
    """Logged in. ``users`` and ``streams`` are those present before (streams: others' only)."""

    seq: int
    session_id: str
    server_ms: int
    heartbeat_ms: int
    max_plays: int
    users: tuple[User, ...] = ()
    streams: tuple[Stream, ...] = ()
    viewer_answer: str = ""
    ice_servers: tuple[IceServer, ...] = ()
    """TURN servers to use from now on: for publishers at once, for the viewer transport by an ICE restart."""


class Ok(Message, frozen=True, tag="ok"):
    """The request was carried out."""

    seq: int


class PublishOk(Message, frozen=True, tag="publish_ok"):
    """The stream ID is taken and the transport negotiated; PUBLISHING follows when media can flow."""

    seq: int
    stream_id: str
    answer: str
    tracks: tuple[Track, ...] = ()


class PlayOk(Message, frozen=True, tag="play_ok"):
    """The stream is bound. Mids name the media sections of the viewer transport that carry it; "" = no such track."""

    seq: int
    stream_id: str
    slot: int
    resource_mode: int
    """The path the server chose: 2 = L3, 3 = RTC."""
    audio_mid: str = ""
    video_mid: str = ""
    tracks: tuple[Track, ...] = ()


class ViewerAnswer(Message, frozen=True, tag="viewer_answer"):
    """SDP answer to ViewerOffer."""

    seq: int
    answer: str


class HeartbeatOk(Message, frozen=True, tag="heartbeat_ok"):
    """Reply to Heartbeat, with both clocks (Unix milliseconds)."""

    seq: int
    client_ms: int
    server_ms: int


class Error(Message, frozen=True, tag="error"):
    """A request failed (``seq`` > 0) or the connection did (``seq`` 0; the server closes it)."""

    code: int
    message: str
    seq: int = 0
    hint: str = ""
    retry_after_ms: int = 0


class UserNotice(Message, frozen=True, tag="user_notice"):
    """Users came (update 0) or went (update 1)."""

    update: int
    users: tuple[User, ...]


class StreamNotice(Message, frozen=True, tag="stream_notice"):
    """Streams of others came (update 0) or went (update 1)."""

    update: int
    streams: tuple[Stream, ...]


class PublisherStateNotice(Message, frozen=True, tag="publisher_state"):
    """State of an own published stream: 2 when its transport is up, 0 with a code when it ended."""

    stream_id: str
    state: int
    code: int = 0
    message: str = ""


class PlayerStateNotice(Message, frozen=True, tag="player_state"):
    """State of an own played stream: 2 when its first media was sent, 0 (with a code or none) when it ended."""

    stream_id: str
    state: int
    code: int = 0
    message: str = ""


class SlotBound(Message, frozen=True, tag="slot_bound"):
    """First media of a bound stream left the server. Frames of this mid before ``rtp_timestamp`` are of an
    earlier stream and must not be shown.
    """

    stream_id: str
    mid: str
    kind: str
    rtp_timestamp: int


class Kicked(Message, frozen=True, tag="kicked"):
    """The server ends this session; the connection closes after it."""

    code: int
    message: str
    origin: str = ""
    """Where the other session came from, for 1002050."""


ClientMessage = Login | Logout | Publish | StopPublish | Play | StopPlay | ViewerOffer | Heartbeat
ServerMessage = (
    LoginOk
    | Ok
    | PublishOk
    | PlayOk
    | ViewerAnswer
    | HeartbeatOk
    | Error
    | UserNotice
    | StreamNotice
    | PublisherStateNotice
    | PlayerStateNotice
    | SlotBound
    | Kicked
)

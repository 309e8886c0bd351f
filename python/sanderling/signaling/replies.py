"""What a server sends: replies to requests, and notices, which have no ``seq``."""

from __future__ import annotations

from sanderling.signaling.values import IceServer, Message, RoomExtraInfo, Stream, Track, User

__all__ = [
    "BarrageNotice",
    "BroadcastNotice",
    "CommandNotice",
    "DataNotice",
    "DeviceStateNotice",
    "Error",
    "HeartbeatOk",
    "Kicked",
    "LoginOk",
    "MessageSent",
    "NetworkQualityNotice",
    "Ok",
    "OnlineCountNotice",
    "PlayMoved",
    "PlayOk",
    "PlayerStateNotice",
    "PublishOk",
    "PublisherStateNotice",
    "ResourceNotice",
    "ResumeOk",
    "RoomExtraInfoNotice",
    "ServerMessage",
    "SlotBound",
    "StreamExtraInfoNotice",
    "StreamListOk",
    "StreamNotice",
    "TokenWillExpire",
    "TransparentNotice",
    "UserNotice",
    "ViewerAnswer",
]


# ------------------------------------------------------------------------------------------------- replies


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
    secret: str = ""
    """Opens this session again (Resume), or another room beside it (Login.beside)."""
    resume_ms: int = 0
    """How long after the loss of this connection the session can be resumed; 0 = not at all."""
    online: int = 0
    """Users in the room, this one included."""
    room_extra_info: tuple[RoomExtraInfo, ...] = ()
    settle_ms: int = 0
    """The server has just started: for so long the lists may lack those who are about to return."""
    token_expires_ms: int = 0
    """When the token ends, Unix milliseconds; 0 = there is none."""
    switched_off: tuple[str, ...] = ()
    """Features that the project does not allow, by the names of their settings; clients obey."""

    def __repr__(self) -> str:
        # Without the secret: this text may reach a log.
        return f"LoginOk(seq={self.seq}, session_id={self.session_id!r})"


class ResumeOk(Message, frozen=True, tag="resume_ok"):
    """The session goes on. What the client missed follows, in order, as it would have come."""

    seq: int
    taken: int
    """Highest seq of a request that the server has: those above it have to be sent again."""
    server_ms: int
    heartbeat_ms: int
    missed: int = 0
    """How many messages follow that were meant for the connection that was lost."""
    ice_servers: tuple[IceServer, ...] = ()


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
    camera: int = 0
    """RemoteDeviceState, also for a stream of another room."""
    microphone: int = 0


class StreamListOk(Message, frozen=True, tag="stream_list_ok"):
    """Live streams of the room by streamID. ``more``: ask again with ``after`` the last one."""

    seq: int
    streams: tuple[Stream, ...] = ()
    more: bool = False


class MessageSent(Message, frozen=True, tag="message_sent"):
    """The message is on its way to the others."""

    seq: int
    message_id: int
    """Of this message in this AppID; later ones have higher ones."""
    sent_ms: int
    """Unix milliseconds, the server's clock."""


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


# ---------------------------------------------------------------------------------------- notices: the room


class UserNotice(Message, frozen=True, tag="user_notice"):
    """Users came (update 0) or went (update 1)."""

    update: int
    users: tuple[User, ...]
    reason: int = 0
    """Why they went, as in Stream.delete_reason; 0 when they came."""


class OnlineCountNotice(Message, frozen=True, tag="online_count"):
    """How many users are in the room; every 30 s when it changed."""

    online: int


class StreamNotice(Message, frozen=True, tag="stream_notice"):
    """Streams of others came (update 0) or went (update 1)."""

    update: int
    streams: tuple[Stream, ...]


class StreamExtraInfoNotice(Message, frozen=True, tag="stream_extra_info"):
    """Extra infos of others' streams changed."""

    streams: tuple[Stream, ...]


class DeviceStateNotice(Message, frozen=True, tag="device_state"):
    """Camera or microphone of another's stream changed (RemoteDeviceState)."""

    stream_id: str
    camera: int = 0
    microphone: int = 0


class RoomExtraInfoNotice(Message, frozen=True, tag="room_extra_info"):
    """Another user wrote the room's extra info."""

    infos: tuple[RoomExtraInfo, ...]


class TokenWillExpire(Message, frozen=True, tag="token_will_expire"):
    """The token ends soon: send RenewToken."""

    remaining_s: int


class Kicked(Message, frozen=True, tag="kicked"):
    """The server ends this session; the connection closes after it."""

    code: int
    message: str
    origin: str = ""
    """Where the other session came from, for 1002050."""
    custom_reason: str = ""
    """What the server's operator gave as the reason, for 1002055."""


# ------------------------------------------------------------------------------------ notices: own transports


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


class PlayMoved(Message, frozen=True, tag="play_moved"):
    """The publisher of a played stream has a new transport: the stream comes by this slot now; SlotBound follows."""

    stream_id: str
    slot: int
    audio_mid: str = ""
    video_mid: str = ""
    tracks: tuple[Track, ...] = ()


class ResourceNotice(Message, frozen=True, tag="resource"):
    """A running play goes by another path now: 2 = L3, 3 = RTC."""

    stream_id: str
    resource_mode: int


class NetworkQualityNotice(Message, frozen=True, tag="network_quality"):
    """How good the network of a user is whose stream is played (StreamQualityLevel)."""

    user_id: str
    up: int
    down: int
    rtt_ms: int = 0
    """As in ReportQuality: what lies before the server on the way of this user's streams."""
    lost_permille: int = 0


# ----------------------------------------------------------------------------------------- notices: messages


class BroadcastNotice(Message, frozen=True, tag="broadcast_notice"):
    """A broadcast of another user."""

    message_id: int
    text: str
    sent_ms: int
    user: User


class BarrageNotice(Message, frozen=True, tag="barrage_notice"):
    """A barrage message of another user."""

    message_id: int
    text: str
    sent_ms: int
    user: User


class CommandNotice(Message, frozen=True, tag="command_notice"):
    """A custom command of another user."""

    message_id: int
    text: str
    sent_ms: int
    user: User


class TransparentNotice(Message, frozen=True, tag="transparent_notice"):
    """A transparent message of another user."""

    message_id: int
    content: bytes
    sent_ms: int
    user: User


class DataNotice(Message, frozen=True, tag="data_notice"):
    """Sequential data of a subscribed stream."""

    stream_id: str
    content: bytes


ServerMessage = (
    LoginOk
    | ResumeOk
    | Ok
    | PublishOk
    | PlayOk
    | StreamListOk
    | MessageSent
    | ViewerAnswer
    | HeartbeatOk
    | Error
    | UserNotice
    | OnlineCountNotice
    | StreamNotice
    | StreamExtraInfoNotice
    | DeviceStateNotice
    | RoomExtraInfoNotice
    | TokenWillExpire
    | PublisherStateNotice
    | PlayerStateNotice
    | SlotBound
    | PlayMoved
    | ResourceNotice
    | NetworkQualityNotice
    | BroadcastNotice
    | BarrageNotice
    | CommandNotice
    | TransparentNotice
    | DataNotice
    | Kicked
)

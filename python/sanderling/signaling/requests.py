"""What a client sends: requests, each with a ``seq`` that its one reply carries too."""

from __future__ import annotations

from sanderling.signaling.values import ClientInfo, Message, PathChoice, RoomConfig, SessionKey, User

__all__ = [
    "PROTOCOL_VERSION",
    "Barrage",
    "Broadcast",
    "ClientMessage",
    "Command",
    "Heartbeat",
    "Login",
    "Logout",
    "Play",
    "Publish",
    "RenewToken",
    "ReportQuality",
    "Resume",
    "SetDeviceState",
    "SetRoomExtraInfo",
    "SetStreamExtraInfo",
    "SetVideoType",
    "StopPlay",
    "StopPublish",
    "StreamData",
    "StreamList",
    "SubscribeData",
    "SwitchResource",
    "SwitchRoom",
    "Transparent",
    "ViewerOffer",
]

PROTOCOL_VERSION = 1


# --------------------------------------------------------------------------------------------- the session


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
    resumable: bool = False
    """Keep the session for a while when this connection is lost; the client knows Resume."""
    beside: SessionKey = SessionKey()
    """A live session of the same user in another room that goes on (multi-room). Without it, it is replaced."""


class Resume(Message, frozen=True, tag="resume"):
    """Take a session over on a new connection, in place of a login. Reply: ResumeOk or Error (1002057: log in)."""

    seq: int
    session_id: str
    secret: str
    received: int
    """How many messages of the session arrived after login_ok; see docs/protocol.md section 3.4."""

    def __repr__(self) -> str:
        # Without the secret: this text may reach a log.
        return f"Resume(seq={self.seq}, session_id={self.session_id!r}, received={self.received})"


class Logout(Message, frozen=True, tag="logout"):
    """Leave the room: publishing and playing stop. Reply: Ok; then the server closes the connection."""

    seq: int


class SwitchRoom(Message, frozen=True, tag="switch_room"):
    """Leave the room for another one; the viewer transport stays. Reply: LoginOk (no viewer_answer) or Error."""

    seq: int
    room_id: str
    token: str = ""
    """"" = the token of the login."""
    config: RoomConfig = RoomConfig()


class RenewToken(Message, frozen=True, tag="renew_token"):
    """Replace the session's token by a newer one of the same user. Reply: Ok or Error."""

    seq: int
    token: str


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Sign of life, every ``LoginOk.heartbeat_ms``. Reply: HeartbeatOk."""

    seq: int
    client_ms: int = 0
    """Client's Unix time in milliseconds, returned unchanged."""
    received: int = 0
    """As in Resume: what the server need not keep for this session any more."""


class ReportQuality(Message, frozen=True, tag="report_quality"):
    """Tell those who play this user's streams how good its network is (StreamQualityLevel). Reply: Ok."""

    seq: int
    up: int
    down: int
    rtt_ms: int = 0
    """Round trip of published media between this user and the server, 0 to 60000 ms; 0 = unknown."""
    lost_permille: int = 0
    """Packets of it that were lost on the way to the server, of a thousand."""


# ------------------------------------------------------------------------------------------------- streams


class Publish(Message, frozen=True, tag="publish"):
    """Publish a stream over its own transport. Reply: PublishOk or Error."""

    seq: int
    stream_id: str
    offer: str
    """SDP offer, send-only, at most one audio and one video media section."""
    channel: int = 0
    extra_info: str = ""
    camera: int = 0
    """RemoteDeviceState from the start."""
    microphone: int = 0
    renew: bool = False
    """A transport in place of the one this session has for this stream; its players go on."""


class StopPublish(Message, frozen=True, tag="stop_publish"):
    """End a published stream. Reply: Ok."""

    seq: int
    stream_id: str


class SetStreamExtraInfo(Message, frozen=True, tag="set_stream_extra_info"):
    """Change the extra info of an own stream. Reply: Ok; the others get StreamExtraInfoNotice."""

    seq: int
    stream_id: str
    extra_info: str


class SetDeviceState(Message, frozen=True, tag="set_device_state"):
    """Tell the room what camera and microphone of an own stream do. Reply: Ok; the others get DeviceStateNotice."""

    seq: int
    stream_id: str
    camera: int = 0
    microphone: int = 0


class StreamList(Message, frozen=True, tag="stream_list"):
    """Ask for the live streams of the room. Reply: StreamListOk."""

    seq: int
    own: bool = False
    """Own ones too."""
    after: str = ""
    """Only streamIDs behind this one: the next part of a long list."""


class Play(Message, frozen=True, tag="play"):
    """Bind a stream to a free slot of the viewer transport. Reply: PlayOk or Error.

    The viewer transport must have a free slot; a client whose pool is too small sends ViewerOffer first.
    """

    seq: int
    stream_id: str
    resource_mode: int = 0
    audio: bool = True
    video: bool = True
    custom: PathChoice = PathChoice()
    """For mode CUSTOM."""
    switch_mode: int = 0
    """ResourceSwitchMode of mode DEFAULT: 0 and 1 RTC while this user publishes, 2 keep what was chosen."""
    when_stop_publish: int = 0
    """For mode DEFAULT, the path after this user published: 0 as before, 1 CDN, 2 L3."""
    video_type: int = 0
    """VideoStreamType: the layer wanted of a stream with several; 0 = what the network carries."""


class StopPlay(Message, frozen=True, tag="stop_play"):
    """Free the slot of a played stream. Reply: Ok."""

    seq: int
    stream_id: str


class SwitchResource(Message, frozen=True, tag="switch_resource"):
    """Move a running play to another path (ResourceType: 0 CDN, 1 RTC, 2 L3). Reply: Ok; then ResourceNotice."""

    seq: int
    stream_id: str
    resource: int


class SetVideoType(Message, frozen=True, tag="set_video_type"):
    """Choose the video layer of a running play (VideoStreamType: 0 by the network, 1 small, 2 big). Reply: Ok.

    The change shows at the next key frame of that layer, which the server asks for; until then the former goes on.
    """

    seq: int
    stream_id: str
    video_type: int


class ViewerOffer(Message, frozen=True, tag="viewer_offer"):
    """Make the viewer transport, grow its pool of slots or replace it. Reply: ViewerAnswer or Error.

    An offer with another certificate fingerprint is a new transport: plays on the former one end.
    """

    seq: int
    offer: str


# ------------------------------------------------------------------------------------------------ messages


class SetRoomExtraInfo(Message, frozen=True, tag="set_room_extra_info"):
    """Write the room's key and value. Reply: Ok; the others get RoomExtraInfoNotice."""

    seq: int
    key: str
    value: str


class Broadcast(Message, frozen=True, tag="broadcast"):
    """Reliable text to the room. Reply: MessageSent; the others get BroadcastNotice."""

    seq: int
    text: str


class Barrage(Message, frozen=True, tag="barrage"):
    """Text to the room that may be dropped. Reply: MessageSent; the others get BarrageNotice."""

    seq: int
    text: str


class Command(Message, frozen=True, tag="command"):
    """Reliable text to some users of the room, or to all of them. Reply: MessageSent; they get CommandNotice."""

    seq: int
    text: str
    to: tuple[str, ...] = ()
    """UserIDs; none = the room."""


class Transparent(Message, frozen=True, tag="transparent"):
    """Bytes to some users of the room, or to all of them. Reply: MessageSent; they get TransparentNotice."""

    seq: int
    content: bytes
    """Base64 in JSON."""
    to: tuple[str, ...] = ()
    """UserIDs; none = the room."""
    mode: int = 0
    """0 clients, 1 the server, 2 both."""


class SubscribeData(Message, frozen=True, tag="subscribe_data"):
    """Hear the sequential data of a stream, or no longer. Reply: Ok; then DataNotice."""

    seq: int
    stream_id: str
    on: bool = True


class StreamData(Message, frozen=True, tag="stream_data"):
    """Bytes to the subscribers of an own stream's data, in order. Reply: Ok."""

    seq: int
    stream_id: str
    content: bytes


ClientMessage = (
    Login
    | Resume
    | Logout
    | SwitchRoom
    | RenewToken
    | Heartbeat
    | ReportQuality
    | Publish
    | StopPublish
    | SetStreamExtraInfo
    | SetDeviceState
    | StreamList
    | Play
    | StopPlay
    | SwitchResource
    | SetVideoType
    | ViewerOffer
    | SetRoomExtraInfo
    | Broadcast
    | Barrage
    | Command
    | Transparent
    | SubscribeData
    | StreamData
)

"""Where a session stands and what comes of the requests in it (see :mod:`sanderling.signaling.client`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.signaling import messages

__all__ = [
    "ClientEvent",
    "ClientState",
    "Ended",
    "Failed",
    "Interrupted",
    "Notice",
    "Noticed",
    "Replied",
    "Reply",
    "Resumed",
    "timeout_code",
]


class ClientState(Enum):
    """Where the session stands."""

    NEW = "new"
    LOGGING_IN = "logging_in"
    LOGGED_IN = "logged_in"
    INTERRUPTED = "interrupted"
    RESUMING = "resuming"
    LOGGING_OUT = "logging_out"
    ENDED = "ended"


Reply = (
    messages.LoginOk
    | messages.ResumeOk
    | messages.Ok
    | messages.PublishOk
    | messages.PlayOk
    | messages.StreamListOk
    | messages.MessageSent
    | messages.ViewerAnswer
    | messages.HeartbeatOk
)
Notice = (
    messages.UserNotice
    | messages.OnlineCountNotice
    | messages.StreamNotice
    | messages.StreamExtraInfoNotice
    | messages.DeviceStateNotice
    | messages.RoomExtraInfoNotice
    | messages.TokenWillExpire
    | messages.PublisherStateNotice
    | messages.PlayerStateNotice
    | messages.SlotBound
    | messages.PlayMoved
    | messages.ResourceNotice
    | messages.NetworkQualityNotice
    | messages.BroadcastNotice
    | messages.BarrageNotice
    | messages.CommandNotice
    | messages.TransparentNotice
    | messages.DataNotice
)

_TIMEOUT_CODES: dict[type[messages.ClientMessage], ErrorCode] = {
    messages.Login: ErrorCode.LOGIN_TIMEOUT,
    messages.Resume: ErrorCode.LOGIN_TIMEOUT,
    messages.Logout: ErrorCode.LOGIN_TIMEOUT,
    messages.SwitchRoom: ErrorCode.LOGIN_TIMEOUT,
    messages.Publish: ErrorCode.PUBLISH_FAILED,
    messages.StopPublish: ErrorCode.PUBLISH_FAILED,
    messages.SetStreamExtraInfo: ErrorCode.STREAM_EXTRA_INFO_FAILED,
    messages.SetDeviceState: ErrorCode.PUBLISH_FAILED,
    messages.Play: ErrorCode.PLAY_FAILED,
    messages.StopPlay: ErrorCode.PLAY_FAILED,
    messages.SwitchResource: ErrorCode.PLAY_FAILED,
    messages.SetVideoType: ErrorCode.PLAY_FAILED,
    messages.ViewerOffer: ErrorCode.PLAY_FAILED,
    messages.Broadcast: ErrorCode.MESSAGE_SEND_FAILED,
    messages.Barrage: ErrorCode.MESSAGE_SEND_FAILED,
    messages.Command: ErrorCode.MESSAGE_SEND_FAILED,
    messages.Transparent: ErrorCode.MESSAGE_SEND_FAILED,
    messages.StreamData: ErrorCode.SEQUENTIAL_DATA_SEND_FAILED,
}


@dataclass(frozen=True, slots=True)
class Replied:
    """The request ``seq`` was carried out."""

    seq: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ``seq`` failed."""

    seq: int
    error: SanderlingError


@dataclass(frozen=True, slots=True)
class Noticed:
    """The server reports a change."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is gone, the session is not: ``resume()`` within ``seconds``."""

    error: SanderlingError
    seconds: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session goes on over the new connection."""

    reply: messages.ResumeOk


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over: ``error`` is None after a logout that the server confirmed; ``kicked`` when the server
    ended it, ``origin`` and ``custom_reason`` as it gave them.
    """

    error: SanderlingError | None
    kicked: bool = False
    origin: str = ""
    custom_reason: str = ""


ClientEvent = Replied | Failed | Noticed | Interrupted | Resumed | Ended


def timeout_code(request: messages.ClientMessage) -> ErrorCode:
    """What ``request`` fails with when it is not answered in time."""
    return _TIMEOUT_CODES.get(type(request), ErrorCode.ROOM_INTERNAL_ERROR)

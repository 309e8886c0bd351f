"""A connection, the member it logs in as, and what a member holds: publications, plays, a viewer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from sanderling.bridge import SessionHandle
from sanderling.bridge.events import Flowing
from sanderling.server.bus import Subscription
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import PlayOk, ServerMessage, Stream, User
from sanderling.tokens import Token

if TYPE_CHECKING:
    from sanderling.server.rooms.room import Room

__all__ = ["Connection", "Member", "MemberState", "Outbox", "PlayRecord", "Publication"]


class Outbox(Protocol):
    """Where messages to one client go. Neither method blocks or raises."""

    def send(self, data: bytes) -> None:
        """Queue one encoded message."""

    def close(self, reason: str) -> None:
        """Close the connection once everything queued before has gone out."""


class MemberState(Enum):
    """JOINING → JOINED → LEFT, or JOINING → LEFT; LEFT is final."""

    JOINING = "joining"
    JOINED = "joined"
    LEFT = "left"


@dataclass(slots=True, eq=False)
class Publication:
    """A stream being published: claimed, then ``answered``, then ``live``."""

    channel: int
    stream: Stream
    handle: SessionHandle
    answered: bool = False
    """PublishOk was sent; notices about the stream may follow."""
    connected: bool = False
    live: bool = False
    """The room was told."""
    ended: bool = False


@dataclass(slots=True, eq=False)
class PlayRecord:
    """A stream being played: looked up, then bound (``ok`` holds the reply)."""

    stream_id: str
    publisher: SessionHandle
    subscription: Subscription | None = None
    ok: PlayOk | None = None
    flowing: bool = False
    early: list[Flowing] = field(default_factory=list)
    """What flowed before the reply was sent; at most one event per track."""
    ended: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A user in a room, by one session."""

    app_id: int
    room_id: str
    user: User
    session_id: str
    origin: str
    outbox: Outbox
    token: Token | None
    """None when the login used the AppSign."""
    notify: bool
    """is_user_status_notify: hears of users, and is announced to those who want to hear."""
    state: MemberState = MemberState.JOINING
    announced: bool = False
    room: Room | None = None
    viewer: SessionHandle | None = None
    decodes: frozenset[str] = frozenset()
    """Video codecs of its viewer transport."""
    publications: dict[int, Publication] = field(default_factory=dict)
    plays: dict[str, PlayRecord] = field(default_factory=dict)
    kick_subscription: Subscription | None = None

    @property
    def left(self) -> bool:
        """Whether the session is over."""
        return self.state is MemberState.LEFT

    @property
    def publishing(self) -> bool:
        """Whether the user itself publishes in the room."""
        return any(publication.answered for publication in self.publications.values())

    def send(self, message: ServerMessage) -> None:
        """Queue a message to this member's client."""
        self.outbox.send(encode(message))


@dataclass(slots=True, eq=False)
class Connection:
    """One signalling connection, logged in or not."""

    outbox: Outbox
    origin: str
    member: Member | None = None
    closed: bool = False

    @property
    def logged_in(self) -> bool:
        """Whether a login was completed and the session goes on."""
        return self.member is not None and self.member.state is MemberState.JOINED

    def send(self, message: ServerMessage) -> None:
        """Queue a message to this client."""
        self.outbox.send(encode(message))

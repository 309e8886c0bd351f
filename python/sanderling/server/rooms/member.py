"""A connection, the member it logs in as, and what a member holds: publications, plays, a viewer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sanderling.bridge import SessionHandle
from sanderling.bridge.events import Flowing
from sanderling.enums import VideoStreamType
from sanderling.server.bus import Subscription
from sanderling.server.rooms.agenda import Appointment
from sanderling.server.rooms.mailbox import Mailbox, Outbox
from sanderling.server.storage import Project
from sanderling.server.token_bucket import TokenBucket
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import Play, PlayOk, ServerMessage, Stream, User
from sanderling.tokens import Token

if TYPE_CHECKING:
    from sanderling.server.rooms.room import Room

__all__ = ["Connection", "Member", "MemberState", "Outbox", "PlayRecord", "Publication"]


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
    fingerprint: str = ""
    """Of the certificate in its offer: another one is another transport."""
    answered: bool = False
    """PublishOk was sent; notices about the stream may follow."""
    connected: bool = False
    live: bool = False
    """Media may flow; players find it."""
    told: bool = False
    """The room was told."""
    ended: bool = False
    since: float = 0.0
    """When it was published, in Unix seconds."""


@dataclass(slots=True, eq=False)
class PlayRecord:
    """A stream being played: looked up, then bound (``ok`` holds the reply)."""

    stream_id: str
    publisher: SessionHandle
    request: Play
    """What was asked for, without its number and stream: all plays that ask for the same have it in common."""
    ok: PlayOk | None = None
    flowing: bool = False
    early: tuple[Flowing, ...] = ()
    """What flowed before the reply was sent; at most one event per track."""
    ended: bool = False
    layer: VideoStreamType = VideoStreamType.DEFAULT
    fixed: bool = False
    """Its path was switched by hand, and no longer follows what the user does."""


@dataclass(slots=True, eq=False)
class Member:
    """A user in a room, by one session."""

    project: Project
    """As it was at the login."""
    room_id: str
    user: User
    session_id: str
    secret: str = field(repr=False)
    """Opens the session on another connection."""
    origin: str
    mailbox: Mailbox
    token: Token | None
    """None when the login used the AppSign."""
    notify: bool
    """is_user_status_notify: hears of users, and is announced to those who want to hear."""
    custom_data: str = ""
    """What the client gave at its login for the operator's server."""
    resumable: bool = False
    state: MemberState = MemberState.JOINING
    seen: int = 0
    """The last change of who is announced that it found in its view of the room (``RoomView.seen``)."""
    present: bool = False
    """Whether the others see it: not while it is joining, nor while it is away."""
    connection: Connection | None = None
    room: Room | None = None
    viewer: SessionHandle | None = None
    decodes: frozenset[str] = frozenset()
    """Video codecs of its viewer transport."""
    viewer_fingerprint: str = ""
    publications: dict[int, Publication] = field(default_factory=dict)
    plays: dict[str, PlayRecord] = field(default_factory=dict)
    data_subscriptions: dict[str, Subscription] = field(default_factory=dict)
    """By streamID."""
    has_published: bool = False
    session_subscription: Subscription | None = None
    taken: int = 0
    """Highest seq of a request that was begun."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a request is carried out: one after the other, over all connections of the session."""
    heard: float = 0.0
    """When a message of its connection arrived last, steady seconds."""
    media_heard: float = 0.0
    """When one of its transports was heard last, steady seconds."""
    lost_at: float | None = None
    """When its connection was lost, steady seconds; None while it has one."""
    watch: Appointment | None = None
    token_due: Appointment | None = None
    rates: dict[str, TokenBucket] = field(default_factory=dict)

    @property
    def app_id(self) -> int:
        """AppID of its project."""
        return self.project.app_id

    @property
    def left(self) -> bool:
        """Whether the session is over."""
        return self.state is MemberState.LEFT

    @property
    def publishing(self) -> bool:
        """Whether the user itself publishes in the room."""
        return any(publication.answered for publication in self.publications.values())

    def send(self, message: ServerMessage) -> None:
        """Send a message that counts (docs/protocol.md section 3.4) to this member's client."""
        self.mailbox.send(encode(message))

    def send_uncounted(self, message: ServerMessage) -> None:
        """Send one that does not: lost with the connection."""
        self.mailbox.send_uncounted(encode(message))


@dataclass(slots=True, eq=False)
class Connection:
    """One signalling connection, logged in or not."""

    outbox: Outbox
    origin: str
    member: Member | None = None
    closed: bool = False
    kept: bool = False
    """Closed, but its session may be resumed on another one."""

    @property
    def logged_in(self) -> bool:
        """Whether a login was completed and the session goes on."""
        return self.member is not None and self.member.state is MemberState.JOINED

    def send(self, message: ServerMessage) -> None:
        """Queue a message to this client, outside of any session's count."""
        self.outbox.send(encode(message))

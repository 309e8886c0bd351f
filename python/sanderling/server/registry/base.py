"""The interface of the registry. Implementations: ``inprocess``.

Users and streamIDs are unique in an AppID. A user has one session, or several in different rooms when each was
opened beside another one. A stream claim belongs to a session and is valid only as long as that session is, so a
login that replaces a session frees its streamIDs in the same step. What a room holds, who is in it and what is
published there, is known here alone: a node knows only the members that are connected to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from sanderling.bridge import SessionHandle
from sanderling.signaling.messages import RoomExtraInfo, Stream, User

__all__ = ["Admission", "Refusal", "Registry", "RoomView", "SessionEntry", "StreamEntry"]


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A session of a user."""

    app_id: int
    user_id: str
    session_id: str
    room_id: str
    origin: str
    """Where the connection comes from, for the other session's eyes."""
    node: str
    user_name: str = ""
    key: str = field(default="", repr=False)
    """What has to be shown to open another session beside this one."""
    since: float = 0.0
    """When it logged in, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """A streamID that is taken; playable once ``publisher`` is known, seen in its room once it is ``live``."""

    app_id: int
    stream_id: str
    session_id: str
    room_id: str
    node: str
    publisher: SessionHandle | None = None
    stream: Stream | None = None
    live: bool = False
    since: float = 0.0
    """When it was published, in Unix seconds."""


class Refusal(Enum):
    """Why a session was not let in."""

    FULL = "full"
    PROJECT_FULL = "project_full"
    """It would make one room more than the project may have."""
    BESIDE_GONE = "beside_gone"
    """The session it names is not there, or its key is another one."""
    BESIDE_OTHER_USER = "beside_other_user"
    SAME_ROOM = "same_room"
    """The user is in that room by the session it names, or by another beside that one."""
    ONE_ROOM_ONLY = "one_room_only"
    TOO_MANY_ROOMS = "too_many_rooms"


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a claim: ``refused``, or else in, with the sessions it ``replaced``, whose claims are void."""

    refused: Refusal | None = None
    replaced: tuple[SessionEntry, ...] = ()
    departures: tuple[int, ...] = ()
    """The number of each replaced session's departure; 0 where nobody had been told of it."""
    limit: int = 0
    """Members the room may have; 0 = any number."""


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room as one of its sessions finds it."""

    users: tuple[User, ...]
    """Announced ones, others only."""
    streams: tuple[Stream, ...]
    """Live ones of others."""
    online: int
    """Users present, the asker included."""
    extra_info: tuple[RoomExtraInfo, ...]
    announced: bool
    """Whether the others are told of the asker."""
    seen: int
    """The last change of who is announced that this view holds: later ones are news to the asker."""
    arrival: int
    """The number of the asker's arrival; 0 when nobody is to be told: it is not announced, or was there already."""


class Registry(Protocol):
    """Every method is one atomic step.

    In each room the changes of who is announced, arrivals and departures, are numbered 1, 2, 3, …, as long as the room
    lives. Who made a change tells the others of it with its number; who has seen that number is not told again.
    """

    async def claim_user(
        self,
        entry: SessionEntry,
        *,
        beside: tuple[str, str] | None = None,
        max_rooms: int = 1,
        limit: int = 0,
        room_limit: int = 0,
    ) -> Admission:
        """Give ``entry`` its place in its room, unseen as yet, in place of its user's sessions.

        ``beside``: a session of the same user, and its key, that stays with all that are beside it; at most
        ``max_rooms`` together. ``limit`` counts when this claim makes the room; ``room_limit`` is for the AppID.
        """

    async def arrive(self, session_id: str, *, notify: bool, notice_members: int) -> RoomView | None:
        """Make a session present in its room; None when it is no longer there.

        It is announced when it wants to be (``notify``) and the room had at most ``notice_members`` with it when it
        arrived for the first time.
        """

    async def depart(self, session_id: str) -> int:
        """Make a session absent: not listed and not counted, but its place and userID are kept. Idempotent.

        Returns the number of the departure; 0 when nobody is to be told: it was not announced, or not there.
        """

    async def claim_stream(self, entry: StreamEntry) -> StreamEntry | None:
        """Take a streamID. Returns None when it was free, else the entry that holds it."""

    async def set_stream(self, entry: StreamEntry) -> bool:
        """Replace an entry by one of the same session; False when that session no longer holds it."""

    async def stream(self, app_id: int, stream_id: str) -> StreamEntry | None:
        """Return who holds a streamID."""

    async def room_streams(self, app_id: int, room_id: str, *, after: str, limit: int) -> list[StreamEntry]:
        """Return up to ``limit`` live streams of a room in the order of their IDs, from behind ``after`` on."""

    async def set_room_info(self, app_id: int, room_id: str, info: RoomExtraInfo) -> bool:
        """Write the room's extra info; False when it holds another key, or there is no such room."""

    async def online(self, app_id: int, room_id: str) -> int:
        """Users present in a room."""

    async def sessions(self, app_id: int, user_id: str) -> tuple[SessionEntry, ...]:
        """The sessions of a user."""

    async def rooms(self, app_id: int, *, after: str, limit: int) -> list[str]:
        """Up to ``limit`` rooms with a session in them, in the order of their IDs, from behind ``after`` on."""

    async def room_sessions(
        self, app_id: int, room_id: str, *, present: bool = False
    ) -> tuple[SessionEntry, ...]:
        """The sessions in a room, in the order of their logins; ``present``: those that ``online`` counts."""

    async def ban(self, app_id: int, what: str, until: float, *, now: float, limit: int) -> bool:
        """Shut something out until a Unix time in seconds: "user:ID" or "stream:ID". Up to ``now`` it lifts it.

        False when ``limit`` others of its kind are shut out. Those whose time is over take no place.
        """

    async def banned(self, app_id: int, what: str, now: float) -> bool:
        """Whether something is shut out at ``now``."""

    async def release_stream(self, app_id: int, stream_id: str, session_id: str) -> None:
        """Free a streamID if this session holds it."""

    async def release_session(self, app_id: int, user_id: str, session_id: str) -> int:
        """Drop a session, its place and every claim of it, if it is still there; returns what ``depart`` would."""

    async def aclose(self) -> None:
        """Release everything. Idempotent."""

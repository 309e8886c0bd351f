"""The registry of a node alone: dictionaries. Nothing here awaits, so every method is atomic on the loop."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from sanderling.server.registry.base import Admission, Refusal, RoomView, SessionEntry, StreamEntry
from sanderling.signaling.messages import RoomExtraInfo, User

__all__ = ["InProcessRegistry"]

Key = tuple[int, str]
"""AppID and an ID that is unique in it."""


@dataclass(slots=True)
class _Held:
    entry: SessionEntry
    room: _Room
    present: bool = False
    announced: bool | None = None
    """None until it arrived for the first time."""
    streams: set[Key] | None = None


@dataclass(slots=True)
class _Room:
    limit: int
    sessions: dict[str, SessionEntry] = field(default_factory=dict)
    present: int = 0
    changes: int = 0
    """Of ``announced``, so far."""
    announced: dict[str, User] = field(default_factory=dict)
    live: dict[str, StreamEntry] = field(default_factory=dict)
    info: RoomExtraInfo | None = None


class InProcessRegistry:
    """See ``Registry``."""

    def __init__(self) -> None:
        self._users: dict[Key, tuple[SessionEntry, ...]] = {}
        self._sessions: dict[str, _Held] = {}
        self._streams: dict[Key, StreamEntry] = {}
        self._rooms: dict[Key, _Room] = {}
        self._bans: dict[Key, dict[str, float]] = {}
        """Until when, by AppID and kind, and what."""
        self._room_count: dict[int, int] = {}
        """By AppID."""

    @property
    def users(self) -> int:
        """Users with a session; 0 once everything was released."""
        return len(self._users)

    @property
    def streams(self) -> int:
        """StreamIDs held; 0 once everything was released."""
        return len(self._streams)

    # ------------------------------------------------------------------------------------------ sessions

    async def claim_user(
        self,
        entry: SessionEntry,
        *,
        beside: tuple[str, str] | None = None,
        max_rooms: int = 1,
        limit: int = 0,
        room_limit: int = 0,
    ) -> Admission:
        """See ``Registry.claim_user``."""
        user_key = (entry.app_id, entry.user_id)
        present = self._users.get(user_key, ())
        kept: tuple[SessionEntry, ...] = ()
        if beside is not None:
            refused = self._refuse_beside(entry, beside, present, max_rooms)
            if refused is not None:
                return Admission(refused)
            kept = present
        room_key = (entry.app_id, entry.room_id)
        room = self._rooms.get(room_key)
        replaced = () if kept else present
        if room is not None and room.limit:
            own = sum(former.session_id in room.sessions for former in replaced)
            if len(room.sessions) - own >= room.limit:
                return Admission(Refusal.FULL, limit=room.limit)
        if room is None and room_limit and self._room_count.get(entry.app_id, 0) >= room_limit:
            return Admission(Refusal.PROJECT_FULL, limit=room_limit)
        departures = tuple(self._drop(former.session_id) for former in replaced)
        # The room may have gone with the session that was replaced.
        room = self._rooms.get(room_key)
        if room is None:
            room = self._rooms[room_key] = _Room(limit)
            self._room_count[entry.app_id] = self._room_count.get(entry.app_id, 0) + 1
        room.sessions[entry.session_id] = entry
        self._sessions[entry.session_id] = _Held(entry, room)
        self._users[user_key] = (*kept, entry)
        return Admission(None, replaced, departures, room.limit)

    def _refuse_beside(
        self,
        entry: SessionEntry,
        beside: tuple[str, str],
        present: tuple[SessionEntry, ...],
        max_rooms: int,
    ) -> Refusal | None:
        session_id, key = beside
        held = self._sessions.get(session_id)
        if held is None or held.entry.app_id != entry.app_id or held.entry.key != key:
            return Refusal.BESIDE_GONE
        if held.entry.user_id != entry.user_id:
            return Refusal.BESIDE_OTHER_USER
        if max_rooms <= 1:
            return Refusal.ONE_ROOM_ONLY
        if any(other.room_id == entry.room_id for other in present):
            return Refusal.SAME_ROOM
        if len(present) >= max_rooms:
            return Refusal.TOO_MANY_ROOMS
        return None

    async def arrive(self, session_id: str, *, notify: bool, notice_members: int) -> RoomView | None:
        """See ``Registry.arrive``."""
        held = self._sessions.get(session_id)
        if held is None:
            return None
        room, entry = held.room, held.entry
        came = not held.present
        if came:
            held.present = True
            room.present += 1
        if held.announced is None:
            held.announced = notify and room.present <= notice_members
        others = tuple(user for other, user in room.announced.items() if other != session_id)
        came = came and held.announced
        if came:
            room.announced[session_id] = User(entry.user_id, entry.user_name)
            room.changes += 1
        return RoomView(
            users=others,
            streams=tuple(
                live.stream for live in room.live.values() if live.session_id != session_id and live.stream
            ),
            online=room.present,
            extra_info=(room.info,) if room.info is not None else (),
            announced=held.announced,
            seen=room.changes,
            arrival=room.changes if came else 0,
        )

    async def depart(self, session_id: str) -> int:
        """See ``Registry.depart``."""
        held = self._sessions.get(session_id)
        return self._hide(held) if held is not None else 0

    def _hide(self, held: _Held) -> int:
        room = held.room
        if not held.present:
            return 0
        held.present = False
        room.present -= 1
        if room.announced.pop(held.entry.session_id, None) is None:
            return 0
        room.changes += 1
        return room.changes

    async def online(self, app_id: int, room_id: str) -> int:
        """See ``Registry.online``."""
        room = self._rooms.get((app_id, room_id))
        return room.present if room is not None else 0

    async def sessions(self, app_id: int, user_id: str) -> tuple[SessionEntry, ...]:
        """See ``Registry.sessions``."""
        return self._users.get((app_id, user_id), ())

    async def rooms(self, app_id: int, *, after: str, limit: int) -> list[str]:
        """See ``Registry.rooms``."""
        behind = (room_id for app, room_id in self._rooms if app == app_id and room_id > after)
        return heapq.nsmallest(limit, behind)

    async def room_sessions(
        self, app_id: int, room_id: str, *, present: bool = False
    ) -> tuple[SessionEntry, ...]:
        """See ``Registry.room_sessions``."""
        room = self._rooms.get((app_id, room_id))
        if room is None:
            return ()
        if not present:
            return tuple(room.sessions.values())
        return tuple(entry for key, entry in room.sessions.items() if self._sessions[key].present)

    async def release_session(self, app_id: int, user_id: str, session_id: str) -> int:
        """See ``Registry.release_session``."""
        held = self._sessions.get(session_id)
        if held is not None and (held.entry.app_id, held.entry.user_id) == (app_id, user_id):
            return self._drop(session_id)
        return 0

    def _drop(self, session_id: str) -> int:
        held = self._sessions.pop(session_id, None)
        if held is None:
            return 0
        departure = self._hide(held)
        for key in held.streams or ():
            self._forget_stream(key)
        entry = held.entry
        held.room.sessions.pop(session_id, None)
        if not held.room.sessions and self._rooms.pop((entry.app_id, entry.room_id), None) is not None:
            self._room_count[entry.app_id] -= 1
            if not self._room_count[entry.app_id]:
                del self._room_count[entry.app_id]
        user_key = (entry.app_id, entry.user_id)
        left = tuple(e for e in self._users.get(user_key, ()) if e.session_id != session_id)
        if left:
            self._users[user_key] = left
        else:
            self._users.pop(user_key, None)
        return departure

    # ------------------------------------------------------------------------------------------- streams

    async def claim_stream(self, entry: StreamEntry) -> StreamEntry | None:
        """See ``Registry.claim_stream``."""
        owner = self._sessions.get(entry.session_id)
        if owner is None:
            # The session was replaced or released while its request was under way: it may hold nothing.
            return entry
        key = (entry.app_id, entry.stream_id)
        held = self._streams.get(key)
        if held is not None:
            return held
        self._streams[key] = entry
        if owner.streams is None:
            owner.streams = set()
        owner.streams.add(key)
        return None

    async def set_stream(self, entry: StreamEntry) -> bool:
        """See ``Registry.set_stream``."""
        key = (entry.app_id, entry.stream_id)
        held = self._streams.get(key)
        if held is None or held.session_id != entry.session_id:
            return False
        self._streams[key] = entry
        room = self._sessions[entry.session_id].room
        if entry.live:
            room.live[entry.stream_id] = entry
        else:
            room.live.pop(entry.stream_id, None)
        return True

    async def stream(self, app_id: int, stream_id: str) -> StreamEntry | None:
        """See ``Registry.stream``."""
        return self._streams.get((app_id, stream_id))

    async def room_streams(self, app_id: int, room_id: str, *, after: str, limit: int) -> list[StreamEntry]:
        """See ``Registry.room_streams``."""
        room = self._rooms.get((app_id, room_id))
        if room is None:
            return []
        behind = (stream_id for stream_id in room.live if stream_id > after)
        return [room.live[stream_id] for stream_id in heapq.nsmallest(limit, behind)]

    async def release_stream(self, app_id: int, stream_id: str, session_id: str) -> None:
        """See ``Registry.release_stream``."""
        key = (app_id, stream_id)
        held = self._streams.get(key)
        if held is not None and held.session_id == session_id:
            self._forget_stream(key)
            owner = self._sessions.get(session_id)
            if owner is not None and owner.streams is not None:
                owner.streams.discard(key)

    def _forget_stream(self, key: Key) -> None:
        entry = self._streams.pop(key, None)
        if entry is None:
            return
        room = self._rooms.get((entry.app_id, entry.room_id))
        if room is not None:
            room.live.pop(entry.stream_id, None)

    # ---------------------------------------------------------------------------------------- room, bans

    async def set_room_info(self, app_id: int, room_id: str, info: RoomExtraInfo) -> bool:
        """See ``Registry.set_room_info``."""
        room = self._rooms.get((app_id, room_id))
        if room is None or (room.info is not None and room.info.key != info.key):
            return False
        room.info = info
        return True

    async def ban(self, app_id: int, what: str, until: float, *, now: float, limit: int) -> bool:
        """See ``Registry.ban``."""
        kind = (app_id, what.partition(":")[0])
        bans = self._bans.get(kind, {})
        if until <= now:
            bans.pop(what, None)
        elif what in bans or len(bans) < limit:
            self._bans.setdefault(kind, bans)[what] = until
        else:
            bans = {held: end for held, end in bans.items() if end > now}
            if len(bans) >= limit:
                return False
            bans[what] = until
            self._bans[kind] = bans
        if not bans:
            self._bans.pop(kind, None)
        return True

    async def banned(self, app_id: int, what: str, now: float) -> bool:
        """See ``Registry.banned``."""
        bans = self._bans.get((app_id, what.partition(":")[0]))
        return bans is not None and bans.get(what, now) > now

    async def aclose(self) -> None:
        """See ``Registry.aclose``."""
        self._users.clear()
        self._sessions.clear()
        self._streams.clear()
        self._rooms.clear()
        self._bans.clear()
        self._room_count.clear()

"""The registry of a node alone: dictionaries. Nothing here awaits, so every method is atomic on the loop."""

from __future__ import annotations

from sanderling.server.registry.base import SessionEntry, StreamEntry

__all__ = ["InProcessRegistry"]


class InProcessRegistry:
    """See ``Registry``."""

    def __init__(self) -> None:
        self._users: dict[tuple[int, str], SessionEntry] = {}
        self._streams: dict[tuple[int, str], StreamEntry] = {}
        self._streams_of: dict[str, set[tuple[int, str]]] = {}

    @property
    def users(self) -> int:
        """Sessions held; 0 once everything was released."""
        return len(self._users)

    @property
    def streams(self) -> int:
        """StreamIDs held; 0 once everything was released."""
        return len(self._streams)

    async def claim_user(self, entry: SessionEntry) -> SessionEntry | None:
        """See ``Registry.claim_user``."""
        key = (entry.app_id, entry.user_id)
        previous = self._users.get(key)
        self._users[key] = entry
        self._streams_of.setdefault(entry.session_id, set())
        if previous is not None:
            self._drop_streams(previous.session_id)
        return previous

    async def claim_stream(self, entry: StreamEntry) -> StreamEntry | None:
        """See ``Registry.claim_stream``."""
        owned = self._streams_of.get(entry.session_id)
        if owned is None:
            # The session was replaced or released while its request was under way: it may hold nothing.
            return entry
        key = (entry.app_id, entry.stream_id)
        held = self._streams.get(key)
        if held is not None:
            return held
        self._streams[key] = entry
        owned.add(key)
        return None

    async def set_stream(self, entry: StreamEntry) -> bool:
        """See ``Registry.set_stream``."""
        key = (entry.app_id, entry.stream_id)
        held = self._streams.get(key)
        if held is None or held.session_id != entry.session_id:
            return False
        self._streams[key] = entry
        return True

    async def stream(self, app_id: int, stream_id: str) -> StreamEntry | None:
        """See ``Registry.stream``."""
        return self._streams.get((app_id, stream_id))

    async def release_stream(self, app_id: int, stream_id: str, session_id: str) -> None:
        """See ``Registry.release_stream``."""
        key = (app_id, stream_id)
        held = self._streams.get(key)
        if held is not None and held.session_id == session_id:
            del self._streams[key]
            self._streams_of.get(session_id, set()).discard(key)

    async def release_session(self, app_id: int, user_id: str, session_id: str) -> None:
        """See ``Registry.release_session``."""
        self._drop_streams(session_id)
        held = self._users.get((app_id, user_id))
        if held is not None and held.session_id == session_id:
            del self._users[app_id, user_id]

    def _drop_streams(self, session_id: str) -> None:
        for key in self._streams_of.pop(session_id, set()):
            self._streams.pop(key, None)

    async def aclose(self) -> None:
        """See ``Registry.aclose``."""
        self._users.clear()
        self._streams.clear()
        self._streams_of.clear()

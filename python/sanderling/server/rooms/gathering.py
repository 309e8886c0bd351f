"""Users who came or went within a short while, gathered into one notice.

A notice costs some ten microseconds for each member that hears it, nearly all of it the write to its socket: two
hundred logins a second into a room of a thousand would take two cores. Small rooms do not gather: there everybody is
told at once. The larger the room the longer it gathers, so that the notices take a limited share of a core however many
come.
"""

from __future__ import annotations

from collections.abc import Callable

from sanderling.server.rooms.events import UserChange, UserChanges

__all__ = ["GATHER_FROM", "LONGEST_S", "MOST_CHANGES", "Gathering", "wait_s"]

GATHER_FROM = 50
"""Members of a room from which on it gathers. Lower delays notices where they cost little; higher costs CPU."""
WAIT_PER_MEMBER_S = 50e-6
"""With the cost of a notice, the share of a core that a storm of logins takes for its notices: a fifth."""
LONGEST_S = 0.5
"""Higher shows users later in rooms of more than ten thousand; lower costs CPU there."""
MOST_CHANGES = 200
"""In one notice: at most 64 KB with the longest IDs and names."""


def wait_s(members: int) -> float:
    """How long a room with so many members gathers, in seconds."""
    return min(LONGEST_S, members * WAIT_PER_MEMBER_S) if members >= GATHER_FROM else 0.0


class Gathering:
    """One room's. Changes of different users have no order among each other, those of one user keep theirs.

    ``publish``: takes what was gathered; ``later``: calls back after so many seconds.
    """

    def __init__(
        self,
        publish: Callable[[UserChanges], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._publish = publish
        self._later = later
        self._changes: dict[tuple[int, int], list[UserChange]] = {}
        """By update and reason."""
        self._users: set[str] = set()
        """Each has one change here."""
        self._sessions: set[str] = set()
        self._round = 0
        """Counts what was published, so that a call for an earlier round is known as such."""

    def __contains__(self, session_id: str) -> bool:
        """Whether a change of the session waits."""
        return session_id in self._sessions

    def add(self, update: int, change: UserChange, *, reason: int = 0, members: int) -> None:
        """Tell the others of a change in a room of so many members, now or soon."""
        if change.user.user_id in self._users:
            self.flush()
        wait = wait_s(members)
        if not wait and not self._users:
            self._publish(UserChanges(update, (change,), reason))
            return
        first = not self._users
        self._users.add(change.user.user_id)
        self._sessions.add(change.session_id)
        self._changes.setdefault((update, reason), []).append(change)
        if len(self._users) >= MOST_CHANGES or not wait:
            self.flush()
        elif first:
            this = self._round
            self._later(wait, lambda: self._due(this))

    def _due(self, number: int) -> None:
        if number == self._round:
            self.flush()

    def flush(self) -> None:
        """Publish what waits."""
        if not self._users:
            return
        gathered, self._changes = self._changes, {}
        self._users = set()
        self._sessions = set()
        self._round += 1
        for (update, reason), changes in gathered.items():
            self._publish(UserChanges(update, tuple(changes), reason))

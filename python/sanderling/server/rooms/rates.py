"""How often things may happen in a room and in a project (docs/protocol.md section 6.2). Times in steady seconds.

Counted per node: a room that spans nodes allows each its share of what comes in there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sanderling.errors import ErrorCode, RateLimited
from sanderling.server.rooms.member import Member
from sanderling.server.storage import Project
from sanderling.server.token_bucket import TokenBucket

__all__ = ["Rates"]

LARGEST_TABLE = 100_000
"""Buckets remembered, some 20 MB; beyond it the one longest unused is forgotten, which forgives it what it did."""
STREAM_CHANGES_PER_S = 10
"""Extra infos and device states of one session's streams."""
ROOM_INFO_PER_S = 10
QUALITY_REPORTS_PER_S = 1


class Rates:
    """Token buckets by what, AppID and room or user."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._buckets: OrderedDict[tuple[str, int, str], TokenBucket] = OrderedDict()

    def check_login(self, project: Project, room_id: str) -> None:
        """1002072 when too many log in to the room, 1002071 to the project."""
        settings = project.settings
        self._room("login", project.app_id, room_id, settings.room_logins_per_s, "logins to the room")
        wait = self._take("login", project.app_id, "", settings.app_logins_per_s)
        if wait:
            raise RateLimited(
                ErrorCode.RATE_LIMITED_APP,
                f"more than {settings.app_logins_per_s} logins a second to the project",
                retry_after=wait,
                hint="wait retry_after_ms",
            )

    def check_broadcast(self, member: Member) -> None:
        """1009015 when the user or the room broadcasts too often."""
        settings = member.project.settings
        user_rate = settings.user_broadcasts_per_s
        wait = self._of_member(member, "broadcast", user_rate) or self._take(
            "broadcast", member.app_id, member.room_id, settings.broadcasts_per_s
        )
        if wait:
            raise RateLimited(
                ErrorCode.BROADCAST_TOO_OFTEN,
                f"more than {user_rate} broadcasts a second of one user, or {settings.broadcasts_per_s} in the room",
                retry_after=wait,
                hint="wait retry_after_ms, or send a barrage message",
            )

    def check_barrage(self, member: Member) -> None:
        """1002072 when the room has too many."""
        rate = member.project.settings.barrages_per_s
        self._room("barrage", member.app_id, member.room_id, rate, "barrage messages in the room")

    def check_command(self, member: Member, receivers: int) -> None:
        """1002072 when the room has too many; ``receivers`` 1, or else more or the whole room."""
        settings = member.project.settings
        if receivers == 1:
            what, rate = "messages to one user", settings.commands_per_s
        else:
            what, rate = "messages to several users", settings.group_commands_per_s
        self._room(what, member.app_id, member.room_id, rate, f"{what} in the room")

    def check_room_info(self, member: Member) -> None:
        """1002072 when the room's extra info changes too often."""
        self._room("info", member.app_id, member.room_id, ROOM_INFO_PER_S, "changes of the room's extra info")

    def check_stream_change(self, member: Member) -> None:
        """1002073 when a session's streams change their extra info or device states too often."""
        self._signalling(member, "stream", STREAM_CHANGES_PER_S, "changes of streams")

    def check_quality(self, member: Member) -> None:
        """1002073 when a session reports its network too often."""
        self._signalling(member, "quality", QUALITY_REPORTS_PER_S, "quality reports")

    def _signalling(self, member: Member, what: str, rate: int, text: str) -> None:
        if wait := self._of_member(member, what, rate):
            raise RateLimited(
                ErrorCode.RATE_LIMITED_SIGNALLING,
                f"more than {rate} {text} a second",
                retry_after=wait,
                hint="wait retry_after_ms",
            )

    def _room(self, what: str, app_id: int, room_id: str, rate: int, text: str) -> None:
        if wait := self._take(what, app_id, room_id, rate):
            raise RateLimited(
                ErrorCode.RATE_LIMITED_ROOM,
                f"more than {rate} {text} a second",
                retry_after=wait,
                hint="wait retry_after_ms",
            )

    def _of_member(self, member: Member, what: str, rate: int) -> float:
        bucket = member.rates.get(what)
        if bucket is None:
            bucket = member.rates[what] = TokenBucket(rate, rate)
        return bucket.take(self._steady())

    def _take(self, what: str, app_id: int, of: str, rate: int) -> float:
        key = (what, app_id, of)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= LARGEST_TABLE:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = TokenBucket(rate, rate)
        elif bucket.rate != rate:
            # The setting was changed, and members who came before and after it take turns: the level stays.
            bucket.rate = bucket.burst = rate
        self._buckets.move_to_end(key)
        return bucket.take(self._steady())

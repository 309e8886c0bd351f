"""Whether to try again after a failure, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable

from sanderling.errors import ErrorCode, SanderlingError

__all__ = ["Backoff", "is_passing"]

FIRST_DELAY = 0.1
"""Seconds before the second attempt; the first is made at once, because most interruptions are a moved address."""

EAGER_SECONDS = 30.0
EAGER_DELAY = 1.0
"""Longest delay in the first ``EAGER_SECONDS``: somebody is looking at a frozen picture."""

LONGEST_DELAY = 15.0
"""Longest delay afterwards: the network is gone, and a radio that wakes up every second drains a battery."""


_PASSING_CODES = frozenset(
    {
        ErrorCode.LOGIN_FAILED,
        ErrorCode.LOGIN_TIMEOUT,
        ErrorCode.CONNECTION_INTERRUPTED,
        ErrorCode.CONNECTION_LOST,
        ErrorCode.SESSION_ERROR,
        ErrorCode.ROOM_INTERNAL_ERROR,
        ErrorCode.INTERNAL_ERROR,
        ErrorCode.RATE_LIMITED_APP,
        ErrorCode.RATE_LIMITED_ROOM,
        ErrorCode.RATE_LIMITED_SIGNALLING,
    }
)


def is_passing(error: SanderlingError) -> bool:
    """Whether what failed may well succeed a little later: the network, or a server that is starting or busy."""
    return error.code in _PASSING_CODES


class Backoff:
    """Delays that double, up to a ceiling, each drawn from its upper half so that clients of one server that went
    down do not come back in step. ``limit`` is the time in seconds after which there are no more attempts.
    """

    def __init__(self, limit: float, *, now: float, draw: Callable[[], float] = random.random) -> None:
        self._since = now
        self._limit = limit
        self._draw = draw
        self._delay = 0.0

    def over(self, now: float) -> bool:
        """Whether the time for attempts is up."""
        return now - self._since >= self._limit

    def eager(self, now: float) -> bool:
        """Whether somebody may still be looking."""
        return now - self._since < EAGER_SECONDS

    def next(self, now: float, *, at_least: float = 0.0) -> float:
        """Seconds to wait before the next attempt, not beyond the limit. ``at_least``: what a server asked for."""
        delay = self._delay * (0.5 + 0.5 * self._draw())
        ceiling = EAGER_DELAY if self.eager(now) else LONGEST_DELAY
        self._delay = min(max(self._delay * 2, FIRST_DELAY), ceiling)
        left = max(0.0, self._limit - (now - self._since))
        return min(max(delay, at_least), left)

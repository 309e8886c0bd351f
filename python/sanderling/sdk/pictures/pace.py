"""Rates of pictures: fewer of them, and whether work on them keeps up."""

from __future__ import annotations

__all__ = ["Pace", "Strain"]

WINDOW = 30
"""Pictures over which work is compared with the time there is for it."""
LIMIT = 0.9
"""Share of that time from which work counts as too slow: the rest is for taking and encoding the picture. A source that
waits for the work never shows a share above 1."""


class Pace:
    """Lets at most so many pictures a second pass, evenly, out of those of a faster source."""

    def __init__(self) -> None:
        self._fps = 0.0
        self._due_ns = 0

    def take(self, captured_ns: int, fps: float) -> bool:
        """Whether the picture taken at ``captured_ns`` is one of ``fps`` a second."""
        interval_ns = round(1e9 / fps)
        early_ns = interval_ns // 4  # a source of that very rate is not quite even
        if fps == self._fps and captured_ns < self._due_ns - early_ns:
            return False
        if fps != self._fps or captured_ns > self._due_ns + interval_ns:
            self._due_ns = captured_ns
        self._fps = fps
        self._due_ns += interval_ns
        return True


class Strain:
    """Compares the time that work on a picture takes with the time between two pictures."""

    def __init__(self) -> None:
        self._worked = 0
        self._came = 0
        self._spent_ns = 0
        self._first_ns = 0

    def add(self, spent_ns: int, at_ns: int, came: int = 1) -> float | None:
        """A picture taken at ``at_ns`` took ``spent_ns``. Every :data:`WINDOW` pictures: the share of time spent.

        ``came``: pictures that came since the last one worked on, this one included.
        """
        if self._worked == 0:
            self._first_ns = at_ns
        else:
            self._came += came
        self._worked += 1
        self._spent_ns += spent_ns
        if self._worked <= WINDOW:
            return None
        between_ns = (at_ns - self._first_ns) / self._came
        share = self._spent_ns / self._worked / between_ns if between_ns > 0 else 0.0
        self._worked = self._came = self._spent_ns = 0
        return share

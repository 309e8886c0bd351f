"""How often something may be done."""

from __future__ import annotations

__all__ = ["Rate"]


class Rate:
    """Up to ``per_second`` at once, and as many in every second. Times in seconds of one clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._since: float | None = None

    def take(self, now: float) -> float:
        """Take one: 0.0 when it may be done, else the seconds to wait."""
        if self._since is not None:
            self._left = min(self._per_second, self._left + (now - self._since) * self._per_second)
        self._since = now
        if self._left < 1:
            return (1 - self._left) / self._per_second
        self._left -= 1
        return 0.0

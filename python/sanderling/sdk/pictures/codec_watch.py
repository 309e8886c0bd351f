"""Notices from the counters that an encoder or a decoder fails, which neither says."""

from __future__ import annotations

from sanderling.sdk.quality import Counters

__all__ = ["CodecWatch", "number"]

LOOKS = 2
"""Looks in a row without a picture until the codec counts as failed: of 3 seconds each, so that no key frame that is on
its way and no encoder that just begins is taken for one."""
ENOUGH = 3
"""Pictures that went in between two looks, for the look to count."""


class CodecWatch:
    """Of one encoder or decoder: ``look`` at it at regular times."""

    def __init__(self) -> None:
        self._put_in = 0.0
        self._came_out = 0.0
        self._without = 0

    def look(self, put_in: float, came_out: float) -> bool:
        """Totals of pictures that went in and came out; True when it has just been found to have failed."""
        more_in, more_out = put_in - self._put_in, came_out - self._came_out
        self._put_in, self._came_out = put_in, came_out
        if more_out != 0 or more_in < 0:  # negative: another transport counts from 0
            self._without = 0
        elif more_in >= ENOUGH:
            self._without += 1
            return self._without == LOOKS
        return False


def number(counters: Counters, name: str) -> float:
    """The counter of that name; 0 while it is not there."""
    value = counters.get(name, 0.0)
    return value if isinstance(value, float) else 0.0

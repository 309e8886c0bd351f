"""What is sent while the network carries less than the least bitrate that a program wants for its pictures."""

from __future__ import annotations

from sanderling.enums import TrafficControlMinVideoBitrateMode

__all__ = ["LeastBitrate", "fps_limit"]

REST = 10.0
"""Seconds of few or no pictures before it is tried with all of them again: only what is sent shows what can be."""
TRIAL = 10.0
"""Seconds of a trial: an estimate grows by 8 % in one of them, so that it doubles within this time."""
REPORTED = 5 / 6
"""Share of the bitrate it gives to the encoder that the engine reports at least (measured)."""
LOW_FPS = 2.0
"""Pictures a second in mode ULTRA_LOW_FPS (product-facts 5.8)."""


class LeastBitrate:
    """Looks at the bitrate that the bandwidth estimate leaves to the picture. Time is an argument."""

    def __init__(self) -> None:
        self._low = False
        self._since: float | None = None

    def look(self, target_kbps: float, least_kbps: int, now: float) -> bool:
        """Whether pictures have to be held back from now on. ``now`` in seconds."""
        if target_kbps >= least_kbps * REPORTED:
            self._low, self._since = False, None
        elif self._since is None:
            self._low, self._since = True, now
        elif now - self._since >= (REST if self._low else TRIAL):
            self._low, self._since = not self._low, now
        return self._low


def fps_limit(mode: TrafficControlMinVideoBitrateMode) -> float:
    """Pictures a second while they are held back; 0 = none."""
    return LOW_FPS if mode is TrafficControlMinVideoBitrateMode.ULTRA_LOW_FPS else 0.0

"""Finding the highest load a server carries, in few trials. Pure: names the next rate and is told how it went."""

from __future__ import annotations

__all__ = ["MOST_GATHERED", "LoadSearch", "gathers"]

MOST_GATHERED = 1.1
"""Bursts have gathered when more than this times their packets leave together."""


def gathers(packets_per_flush: float | None, burst: int) -> bool:
    """Whether bursts have gathered: the figures would be those of a larger one. Unknown counts as not."""
    return packets_per_flush is not None and packets_per_flush > MOST_GATHERED * burst


class LoadSearch:
    """Doubles a rate until a trial fails (or halves it until one is good), then goes half-way, geometrically.

    ``first``: rate of the first trial. ``trials``: how many there are at most. ``precise``: the search ends when the
    highest good rate and the lowest bad one are closer than this factor. Use: while ``rate`` is not None, try it and
    call ``good`` or ``bad``.
    """

    def __init__(self, first: float, *, trials: int, precise: float = 1.15) -> None:
        if first <= 0 or trials < 1 or precise <= 1:
            raise ValueError("a search needs a rate above 0, a trial at least and a factor above 1")
        self._next: float | None = first
        self._left = trials
        self._precise = precise
        self.best: float | None = None
        """The highest rate that was good."""
        self._worst: float | None = None

    @property
    def rate(self) -> float | None:
        """Rate of the next trial; None when the search is over."""
        return self._next

    def good(self, *, last: bool = False) -> None:
        """The trial was good; ``last``: a higher load cannot be made, so the search is over."""
        assert self._next is not None
        self.best = max(self.best or 0.0, self._next)
        self._advance(over=last)

    def bad(self) -> None:
        """The server did not carry this rate."""
        assert self._next is not None
        self._worst = min(self._worst or self._next, self._next)
        self._advance(over=False)

    def _advance(self, *, over: bool) -> None:
        self._left -= 1
        if over or self._left <= 0:
            self._next = None
        elif self._worst is None:
            assert self.best is not None
            self._next = self.best * 2
        elif self.best is None:
            self._next = self._worst / 2
        elif self._worst / self.best < self._precise:
            self._next = None
        else:
            self._next = (self.best * self._worst) ** 0.5

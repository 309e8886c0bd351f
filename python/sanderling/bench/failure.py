"""Why a measurement could not be made, with what to do about it."""

from __future__ import annotations

__all__ = ["BenchFailed"]


class BenchFailed(Exception):
    """A measurement cannot go on. The text is one sentence; ``remedy`` says what to do, or is empty."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.remedy = remedy

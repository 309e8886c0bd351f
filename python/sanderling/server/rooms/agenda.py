"""What has to happen at a time: one heap for a node. Time is an argument; who owns the clock calls ``run``."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

__all__ = ["Agenda", "Appointment"]

COMPACT_FROM = 1024
"""Entries from which on cancelled ones are swept out once they are the greater part."""


class Appointment:
    """One entry; ``cancel`` lets go of what it would call."""

    __slots__ = ("_agenda", "call", "due")

    def __init__(self, agenda: Agenda, due: float, call: Callable[[], None]) -> None:
        self._agenda = agenda
        self.due = due
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Take it off the agenda. Idempotent."""
        if self.call is not None:
            self.call = None
            self._agenda.cancelled()


class Agenda:
    """Calls in the order of their times; those of one time in the order they were made."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Appointment]] = []
        self._numbers = itertools.count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, due: float, call: Callable[[], None]) -> Appointment:
        """Call ``call`` once ``due`` (steady seconds) has passed."""
        appointment = Appointment(self, due, call)
        heapq.heappush(self._heap, (due, next(self._numbers), appointment))
        return appointment

    def run(self, now: float) -> None:
        """Carry out what is due at ``now``."""
        while self._heap and self._heap[0][0] <= now:
            appointment = heapq.heappop(self._heap)[2]
            call, appointment.call = appointment.call, None
            if call is None:
                self._cancelled -= 1
            else:
                call()

    def cancelled(self) -> None:
        """An entry was cancelled (called by it)."""
        self._cancelled += 1
        if len(self._heap) >= COMPACT_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

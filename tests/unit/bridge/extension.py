"""An extension's engine for tests: started on loopback, its events waited for, closed at the end."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator
from typing import Any

from sanderling import _engine

LIMIT_S = 20.0
"""How long a machine may be busy with something else before a test gives up. No test waits for it to pass."""

Event = tuple[Any, ...]


class Running:
    """A running engine and the events that were taken from it."""

    def __init__(self, **arguments: Any) -> None:
        self.engine = _engine.Engine(**{"listen": ["127.0.0.1"], **arguments})
        self.events: list[Event] = []

    def wait(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event that ``wanted`` accepts; it is taken out of those seen."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            for index, event in enumerate(self.events):
                if wanted(event):
                    return self.events.pop(index)
            left = deadline - time.monotonic()
            assert left > 0, f"the event did not come; these did: {[event[:3] for event in self.events]}"
            select.select([self.engine.wake_fd()], [], [], left)
            self.events += self.engine.take_events(100)

    def answer(self, ticket: int) -> Event:
        """The event that answers a command."""
        kinds = ("answered", "bound", "done", "failed", "snapshot")
        return self.wait(lambda event: event[0] in kinds and event[1] == ticket)

    def port(self, worker: int = 0) -> int:
        """Number of a worker's UDP and TCP port."""
        return int(self.engine.candidates[worker][0].split()[2])


@contextlib.contextmanager
def running(**arguments: Any) -> Iterator[Running]:
    """Start an engine with these arguments and close it at the end."""
    started = Running(**arguments)
    try:
        yield started
    finally:
        started.engine.close()

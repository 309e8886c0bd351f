"""An iterator that is worked off ahead of time on a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from typing import Generic, TypeVar

__all__ = ["ReadAhead"]

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Holds up to ``limit`` items of ``items`` ready, so that a slow one does not hold its reader up.

    Iterate from one thread; ``close`` from any. An exception of ``items`` is raised to the reader after the items
    before it.
    """

    def __init__(self, items: Generator[T, None, None], *, limit: int, name: str) -> None:
        self._items = items
        self._limit = limit
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._done = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> ReadAhead[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._done or self._closed)
            if self._closed:
                raise StopIteration
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise StopIteration

    def close(self) -> None:
        """End both sides; returns at once. What ``items`` holds is released by its own thread."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the thread has ended (after ``close``, or the end of the items)."""
        self._thread.join()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            for item in self._items:
                if not self._offer(item):
                    break
        except Exception as raised:  # noqa: BLE001 - handed to the reader, which raises it
            error = raised
        finally:
            self._items.close()
            with self._changed:
                self._error = error
                self._done = True
                self._changed.notify_all()

    def _offer(self, item: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._limit or self._closed)
            if self._closed:
                return False
            self._ready.append(item)
            self._changed.notify_all()
            return True

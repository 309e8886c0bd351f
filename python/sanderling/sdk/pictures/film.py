"""A film as a background: the picture of the moment, from the beginning again at its end."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from sanderling.errors import SanderlingError
from sanderling.sdk.file_source import Picture, timeline
from sanderling.sdk.pictures.planes import Planes, Unreadable, local_path

__all__ = ["Film"]

log = logging.getLogger("sanderling.sdk")

BEHIND_NS = 1_000_000_000
"""A film that is so far behind goes on from where it is: decoding what nobody saw would take long."""


class Film:
    """Decodes as far as it is asked for, in the thread that asks. Blocks when made: it reads the first picture."""

    def __init__(self, url: str) -> None:
        path: Path = local_path(url)
        if not path.is_file():
            raise Unreadable(f"there is no file {path}")
        self._lock = threading.Lock()
        self._items = timeline(path, loop=True, video=True, audio=False)
        self._begun_ns: int | None = None
        self._stopped = False
        try:
            self._now, _ = self._decode()
            self._next, self._next_ns = self._decode()
        except (SanderlingError, StopIteration) as error:
            raise Unreadable(f"{path.name} is no film: {error}") from None

    def at(self, time_ns: int) -> Planes:
        """The picture of that moment; the film begins with the first one asked for. Not to be written to."""
        with self._lock:
            if self._begun_ns is None:
                self._begun_ns = time_ns
            if time_ns - self._begun_ns - self._next_ns > BEHIND_NS:
                self._begun_ns = time_ns - self._next_ns
            while not self._stopped and time_ns - self._begun_ns >= self._next_ns:
                self._now = self._next
                try:
                    self._next, self._next_ns = self._decode()
                except SanderlingError as error:
                    # The file went away or is damaged further on: its last picture stays.
                    log.warning("the film in the background stands still: %s", error)
                    self._stopped = True
            return self._now

    def _decode(self) -> tuple[Planes, int]:
        item = next(item for item in self._items if isinstance(item, Picture))
        return Planes(item.width, item.height, item.data), item.time_ns

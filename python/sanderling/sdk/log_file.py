"""The SDK's log in files: rotated, and written by a thread of its own, so that no disk ever holds up the program."""

from __future__ import annotations

import atexit
import errno
import logging
import logging.handlers
import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.events import (
    DebugError,
    Event,
    PlayerStateUpdate,
    PublisherStateUpdate,
    RoomStateChanged,
    RoomStreamUpdate,
)

__all__ = ["LOG_NAME", "LogConfig", "note_event", "set_log_config"]

LOG_NAME = "sanderling-sdk.log"
"""The newest file; older ones have ``.1``, ``.2`` … behind it."""

MAX_PATH = 2047
"""Bytes of the folder's path (product-facts 1.14: 2048 with the terminating one)."""
MAX_SIZE = 100 * 1024 * 1024
"""Bytes of a file (product-facts 1.1)."""
WAITING_LINES = 10_000
"""Lines that wait for a slow disk; beyond it lines are lost, and their number is written once it keeps up again."""

_sdk = logging.getLogger("sanderling.sdk")
_events = logging.getLogger("sanderling.sdk.events")
_lock = threading.Lock()
_current: _LogFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """``path``: folder, made when it is not there; one process writes there. ``size``: bytes of one file, 1024 to
    100 MiB. ``count``: files, 3 to 20. ``level``: as in :mod:`logging`; INFO has changes of states and failed calls.
    """

    path: str | Path
    size: int = 5 * 1024 * 1024
    count: int = 3
    level: int = logging.INFO

    def __post_init__(self) -> None:
        if not 1024 <= self.size <= MAX_SIZE:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"size is {self.size} bytes, 1024 to {MAX_SIZE} allowed"
            )
        if not 3 <= self.count <= 20:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"count is {self.count} files, 3 to 20 allowed"
            )


def set_log_config(config: LogConfig | None) -> None:
    """Write the SDK's log to files from now on, for all engines of this process; None: no longer.

    Opens a file: call it before the event loop runs, or in a thread. Program and log go on when a disk is full.
    1001015 for too long a path, 1001014 for one that cannot be written.
    """
    global _current
    opened = None if config is None else _LogFile(config)
    with _lock:
        former, _current = _current, opened
        if former is not None:
            former.close()
        if opened is not None:
            opened.start()


def note_event(event: Event) -> None:
    """Log a change of a state or a failed call; nothing of what users say or send."""
    if not _events.isEnabledFor(logging.INFO):
        return
    match event:
        case RoomStateChanged():
            _events.info("room %s: %s, code %d", event.room_id, event.reason.name, event.error_code)
        case RoomStreamUpdate():
            names = ", ".join(stream.stream_id for stream in event.streams)
            _events.info("room %s: streams %s %s", event.room_id, event.update_type.name, names)
        case PublisherStateUpdate() | PlayerStateUpdate():
            _events.info("stream %s: %s, code %d", event.stream_id, event.state.name, event.error_code)
        case DebugError():
            _events.info("%s failed: %s", event.function, event.info)


class _LogFile:
    def __init__(self, config: LogConfig) -> None:
        waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING_LINES)
        self._config = config
        self._file = _open(config)
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self._entry = _Entry(waiting)
        self._listener = _Writer(waiting, self._file)
        self._level_before = logging.NOTSET

    def start(self) -> None:
        self._listener.start()
        self._entry.setLevel(self._config.level)
        self._level_before = _sdk.level
        if _sdk.getEffectiveLevel() > self._config.level:
            _sdk.setLevel(self._config.level)
        _sdk.addHandler(self._entry)
        atexit.register(self.close)

    def close(self) -> None:
        """Stop; what was logged so far is in the file."""
        atexit.unregister(self.close)
        _sdk.removeHandler(self._entry)
        _sdk.setLevel(self._level_before)
        self._listener.stop()
        self._file.close()


class _Entry(logging.handlers.QueueHandler):
    """Hands lines over without ever waiting."""

    lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self.lost:
                text = f"{self.lost} lines were lost: the disk was too slow"
                self.queue.put_nowait(
                    logging.LogRecord(record.name, logging.WARNING, "", 0, text, None, None)
                )
                self.lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.lost += 1


class _Writer(logging.handlers.QueueListener):
    """Writes what was handed over."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord | None], handler: logging.Handler) -> None:
        super().__init__(waiting, handler)
        self._waiting = waiting

    def enqueue_sentinel(self) -> None:
        """The end comes behind all lines that wait, also when there is no place for it yet."""
        self._waiting.put(None)


class _Rotated(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (as the base class has it)
        """A full disk costs lines, not the program's standard error."""


def _open(config: LogConfig) -> _Rotated:
    size = len(os.fsencode(config.path))
    if size > MAX_PATH:
        raise _too_long(f"the path of the log folder has {size} bytes, {MAX_PATH} allowed")
    folder = Path(config.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _Rotated(
            folder / LOG_NAME, maxBytes=config.size, backupCount=config.count - 1, encoding="utf-8"
        )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise _too_long("the system does not allow so long a path for the log folder") from None
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SanderlingError(
            ErrorCode.LOG_NOT_WRITABLE,
            f"the log cannot be written to {folder}: {why}",
            hint="choose a folder that this program may write to",
        ) from None


def _too_long(message: str) -> SanderlingError:
    return SanderlingError(ErrorCode.LOG_PATH_TOO_LONG, message, hint="choose a shorter one")

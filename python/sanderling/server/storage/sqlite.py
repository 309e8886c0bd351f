"""Projects in one SQLite file in the state folder; the default storage, needs nothing installed.

The folder is made with mode 0700 and the file with 0600: it holds secrets. WAL lets another process (the command
line) write while the server reads.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Row, create_engine, event, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.ids import AppId
from sanderling.server.storage.base import (
    DEFAULT_MAX_PLAYS,
    Project,
    check_max_plays,
    check_name,
    new_project,
)
from sanderling.server.storage.settings import change_settings, decode_settings, encode_settings
from sanderling.server.storage.tables import projects

__all__ = ["DATABASE", "SqliteStorage", "make_state_folder"]

DATABASE = "sanderling.db"
BUSY_TIMEOUT_MS = 5_000
"""How long a writer waits for another process's transaction before it fails."""
APP_ID_ATTEMPTS = 8
HELD_SECONDS = 0.5
"""How long a project that was read is believed while the files look the same. Their times change with every commit;
the bound is for clocks of file systems too coarse to tell two commits apart. Longer: a switch thrown by the command
line could take longer than the second it may."""
HELD_PROJECTS = 1024


P = ParamSpec("P")
T = TypeVar("T")


def _to_its_end(query: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Carry a query of the storage out even when its caller is cancelled.

    A query that is cut off leaves a thread of the driver at work, which then reports to a loop that may be closed.
    """

    @wraps(query)
    async def carried_out(*args: P.args, **kwargs: P.kwargs) -> T:
        storage = args[0]
        assert isinstance(storage, SqliteStorage)
        task = asyncio.get_running_loop().create_task(query(*args, **kwargs))
        storage.under_way.add(task)
        task.add_done_callback(storage.ended)
        return await asyncio.shield(task)

    return carried_out


def make_state_folder(folder: Path) -> None:
    """Make the folder, for the owner only; 1000017 with a sentence when that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"the state folder {folder} cannot be used: {error.strerror or error}",
            hint="choose another one with --state DIR",
        ) from None


_migrating = threading.Lock()


def _migrate(path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    # Two processes may start on a new folder at once: one migrates, the other waits for it.
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # What runs a migration keeps its context in globals: one at a time in this process, whatever the folder.
        with _migrating, engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        os.close(lock)
        engine.dispose()


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino


_Version = tuple[tuple[int, int, int], ...]


def _version(path: Path) -> _Version:
    """What every commit changes: inode, size and time of the file and its write-ahead log. Some microseconds."""
    found = []
    for name in (f"{path}", f"{path}-wal"):
        try:
            status = os.stat(name)
        except FileNotFoundError:
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _project(row: Row[Any]) -> Project:
    return Project(
        app_id=AppId(row.app_id),
        name=row.name,
        app_sign=row.app_sign,
        server_secret=row.server_secret,
        l3=bool(row.l3),
        max_plays=row.max_plays,
        created=row.created,
        settings=decode_settings(row.settings),
    )


class SqliteStorage:
    """See ``Storage``. ``folder`` is the state folder; ``clock`` gives Unix seconds."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._engine: AsyncEngine | None = None
        self._file: tuple[int, int] = (0, 0)
        self.under_way: set[asyncio.Task[Any]] = set()
        """Queries that have not ended, their callers' or nobody's any more."""
        self._reading = asyncio.Lock()
        self._next_reads: dict[int, asyncio.Task[Project | None]] = {}
        self._held: dict[int, tuple[Project, _Version, float]] = {}

    def ended(self, task: asyncio.Task[Any]) -> None:
        """A query has ended; what it failed with is its caller's affair, if that one still waits."""
        self.under_way.discard(task)
        if not task.cancelled():
            task.exception()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._folder / DATABASE

    async def open(self) -> None:
        """See ``Storage.open``; 1000017 when the folder or file cannot be used."""
        # Making the engine looks at the file system too.
        engine = await asyncio.to_thread(self._prepare)

        @event.listens_for(engine.sync_engine, "connect")
        def set_up(connection: Any, _record: object) -> None:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.close()

        self._engine = engine
        self._file = await asyncio.to_thread(_identity, self.path)

    def _prepare(self) -> AsyncEngine:
        make_state_folder(self._folder)
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.path.chmod(0o600)
            _migrate(self.path)
        except (OSError, DatabaseError) as error:
            why = error.orig if isinstance(error, DatabaseError) else error.strerror
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"the database {self.path} cannot be used: {why}",
                hint="choose another state folder with --state DIR",
            ) from None
        return create_async_engine(f"sqlite+aiosqlite:///{self.path}")

    async def aclose(self) -> None:
        """See ``Storage.aclose``."""
        engine, self._engine = self._engine, None
        if self.under_way:
            await asyncio.wait(self.under_way)
        if engine is not None:
            await engine.dispose()

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise SanderlingError(ErrorCode.INTERNAL_ERROR, "the storage is not open")
        return self._engine

    @_to_its_end
    async def check(self) -> None:
        """See ``Storage.check``. A file that was deleted or replaced can still be read here, but by nobody else."""
        if await asyncio.to_thread(_identity, self.path) != self._file:
            raise FileNotFoundError(f"{self.path} was replaced while it was in use")
        async with self._opened().connect() as connection:
            await connection.execute(select(projects.c.app_id).limit(1))

    async def project(self, app_id: int) -> Project | None:
        """See ``Storage.project``.

        A read is used again while nothing was committed. Reads take turns, and calls that come while one is under way
        share the next: it begins after all of them, so each sees what was committed before it. A thousand users who
        log in at once cost a few reads.
        """
        self._opened()
        if (held := self._held.get(app_id)) is not None:
            project, version, since = held
            if time.monotonic() - since < HELD_SECONDS and _version(self.path) == version:
                return project
        read = self._next_reads.get(app_id)
        if read is None:
            read = asyncio.get_running_loop().create_task(self._read_in_turn(app_id))
            self._next_reads[app_id] = read
            self.under_way.add(read)
            read.add_done_callback(self.ended)
        return await asyncio.shield(read)

    async def _read_in_turn(self, app_id: int) -> Project | None:
        async with self._reading:
            del self._next_reads[app_id]
            # Taken before: a commit in the meantime makes what is read look old, never new.
            version, since = _version(self.path), time.monotonic()
            async with self._opened().connect() as connection:
                found = await connection.execute(select(projects).where(projects.c.app_id == app_id))
                row = found.one_or_none()
        self._held.pop(app_id, None)
        if row is None:
            return None
        if len(self._held) >= HELD_PROJECTS:
            self._held.clear()
        project = _project(row)
        self._held[app_id] = (project, version, since)
        return project

    @_to_its_end
    async def projects(self) -> list[Project]:
        """See ``Storage.projects``."""
        async with self._opened().connect() as connection:
            found = await connection.execute(select(projects).order_by(projects.c.created, projects.c.app_id))
            return [_project(row) for row in found]

    @_to_its_end
    async def create_project(
        self, name: str, *, l3: bool = False, max_plays: int = DEFAULT_MAX_PLAYS
    ) -> Project:
        """See ``Storage.create_project``."""
        for _ in range(APP_ID_ATTEMPTS):
            project = new_project(name, l3=l3, max_plays=max_plays, now=self._clock())
            try:
                async with self._opened().begin() as connection:
                    await connection.execute(
                        insert(projects).values(
                            app_id=project.app_id,
                            name=project.name,
                            app_sign=project.app_sign,
                            server_secret=project.server_secret,
                            l3=project.l3,
                            max_plays=project.max_plays,
                            created=project.created,
                        )
                    )
            except IntegrityError:
                continue  # The random AppID is taken: draw another one.
            return project
        raise SanderlingError(ErrorCode.INTERNAL_ERROR, "no free AppID was found")

    @_to_its_end
    async def update_project(
        self,
        app_id: int,
        *,
        name: str | None = None,
        l3: bool | None = None,
        max_plays: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> Project:
        """See ``Storage.update_project``."""
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = check_name(name)
        if l3 is not None:
            changes["l3"] = l3
        if max_plays is not None:
            changes["max_plays"] = check_max_plays(max_plays)
        if changes or settings:

            def change(connection: Connection) -> None:
                mine = projects.c.app_id == app_id
                if settings:
                    # Written first: the lock this takes keeps another process from changing them in between.
                    connection.execute(update(projects).where(mine).values(settings=projects.c.settings))
                    held = connection.execute(select(projects.c.settings).where(mine)).scalar_one_or_none()
                    if held is not None:
                        changed = change_settings(decode_settings(held), settings)
                        changes["settings"] = encode_settings(changed)
                if changes:
                    connection.execute(update(projects).where(mine).values(**changes))

            async with self._opened().begin() as connection:
                await connection.run_sync(change)
        project = await self.project(app_id)
        if project is None:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT,
                f"there is no project with AppID {app_id}",
                hint="`sanderling project list` shows them",
            )
        return project

"""The parent's side of the demo's server: a child process with a state folder of its own, and its project."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from sanderling import tokens
from sanderling.demo.children import Child, ChildFailed
from sanderling.demo.reports import ServerReady
from sanderling.server.storage import Project, SqliteStorage

__all__ = ["Node"]

READY_SECONDS = 20.0
"""How long the server may take to come up before the demo gives up."""

TOKEN_SECONDS = 24 * 3600
"""Validity of the tokens; a demo that runs longer needs none after its logins."""

PROJECT_NAME = "demo"


class Node:
    """A running server. ``url``: where clients connect; ``media``: the media engine's ports, in words."""

    def __init__(self, child: Child, storage: SqliteStorage, ready: ServerReady) -> None:
        self._child = child
        self._storage = storage
        self.url = ready.url
        ports = sorted({int(candidate.split()[-1]) for worker in ready.media for candidate in worker})
        self.media = (
            ("port " if len(ports) == 1 else "ports ") + ", ".join(map(str, ports)) + " (UDP and TCP)"
        )

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        port: int,
        media_ports: tuple[int, int] | None,
        on_progress: Callable[[str], None],
        on_error_line: Callable[[str], None],
    ) -> AsyncIterator[Self]:
        """Start a server whose state is in ``folder``; stopped at the end. ChildFailed says why it did not start."""
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        arguments = ["--state", str(folder), "--port", str(port)]
        if media_ports is not None:
            arguments += ["--media-ports", f"{media_ports[0]}-{media_ports[1]}"]
        words: list[str] = []

        def on_words(line: str) -> None:
            words.append(line)
            del words[:-3]
            on_error_line(line)

        child = await Child.start(
            "server",
            "sanderling.demo.server",
            arguments,
            on_line=lines.put_nowait,
            on_error_line=on_words,
        )
        on_progress(f"server: started as process {child.pid}")
        storage = SqliteStorage(folder)
        try:
            ready = await _ready(child, lines, words)
            await storage.open()
            yield cls(child, storage, ready)
        finally:
            await storage.aclose()
            await child.stop()

    async def create_project(self) -> Project:
        """Make a project with L3 on."""
        return await self._storage.create_project(PROJECT_NAME, l3=True)

    def token(self, project: Project, user_id: str) -> str:
        """Issue a token with which ``user_id`` may log in and publish."""
        return tokens.generate(project.app_id, user_id, project.server_secret, TOKEN_SECONDS, now=time.time())

    async def wait(self) -> int:
        """Wait until the server has ended; returns its exit code."""
        return await self._child.wait()


async def _ready(child: Child, lines: asyncio.Queue[bytes], words: list[str]) -> ServerReady:
    line = asyncio.create_task(lines.get(), name="server-ready")
    ended = asyncio.create_task(child.wait(), name="server-ended")
    try:
        await asyncio.wait([line, ended], timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if line.done():
            return msgspec.json.decode(line.result(), type=ServerReady)
        if ended.done():
            said = " / ".join(words) or "it said nothing"
            raise ChildFailed(f"the server did not start (code {ended.result()}): {said}")
        raise ChildFailed(f"the server was not ready within {READY_SECONDS:.0f} s")
    except msgspec.DecodeError as error:
        raise ChildFailed(f"the server said something else than that it is ready: {error}") from error
    finally:
        line.cancel()
        ended.cancel()

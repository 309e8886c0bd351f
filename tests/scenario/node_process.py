"""A server of its own process, which a test may kill and start again on the same port and state."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sanderling import tokens
from sanderling.server.storage import Project, SqliteStorage

LIMIT_S = 30.0
"""How long a machine may be busy with something else before a test gives up."""


class NodeProcess:
    """``sanderling serve``; ``kill`` is without warning, ``start`` returns when it serves."""

    def __init__(
        self,
        state: Path,
        project: Project,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.project = project
        self._flags = tuple(flags)
        self._environment = environment
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sanderling.cli.main", "serve", "--state", str(self.state)),
            *("--port", str(self.port), "--media-ports", "0", "--media-listen", "127.0.0.1"),
            "--ready-json",
            *self._flags,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            json.loads(await self.process.stdout.readline())

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def terminate(self) -> None:
        """Ask it to end, as a service manager does, and wait until it has."""
        assert self.process is not None
        self.process.terminate()
        async with asyncio.timeout(LIMIT_S):
            await self.process.wait()

    def token(self, user_id: str) -> str:
        return tokens.generate(
            self.project.app_id, user_id, self.project.server_secret, 3600, "", now=time.time()
        )


@asynccontextmanager
async def node_process(
    state: Path, *flags: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[NodeProcess]:
    """A running server; ``flags`` go to ``sanderling serve``."""
    storage = SqliteStorage(state)
    await storage.open()
    project = await storage.create_project("test", l3=True)
    await storage.aclose()
    node = NodeProcess(state, project, flags, environment)
    await node.start()
    try:
        yield node
    finally:
        await node.kill()

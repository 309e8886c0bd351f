"""A stage for bodies on real sockets: a server process, real media, and a relay to cut for each user."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sanderling import EngineProfile
from scenario.cut_proxy import cut_proxy
from scenario.node_process import NodeProcess, node_process
from scenario.sdk_user import SdkUser

__all__ = ["SocketsStage", "sockets_stage"]


class SocketsStage:
    """See ``bodies.Stage``."""

    def __init__(self, node: NodeProcess, stack: AsyncExitStack) -> None:
        self.node = node
        self._stack = stack

    async def user(self, user_id: str) -> SdkUser:
        proxy = await self._stack.enter_async_context(cut_proxy(self.node.port))

        def cut(away: bool) -> None:
            proxy.refuses = away
            if away:
                proxy.cut()

        profile = EngineProfile(app_id=self.node.project.app_id, server=proxy.url)
        user = SdkUser(user_id, profile, self.node.token(user_id), cut)
        self._stack.push_async_callback(user.aclose)
        return user

    async def kick(self, room: str, user_id: str, reason: str) -> None:
        # By the command line, as operators do.
        command = (sys.executable, "-m", "sanderling.cli.main", "room", "kick", room, user_id)
        where = ("--reason", reason, "--url", self.node.url, "--state", str(self.node.state))
        process = await asyncio.create_subprocess_exec(*command, *where, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    async def restart(self) -> None:
        await self.node.kill()
        await self.node.start()


@asynccontextmanager
async def sockets_stage(state: Path) -> AsyncIterator[SocketsStage]:
    """A running server; ``state`` is its folder."""
    async with node_process(state) as node, AsyncExitStack() as stack:
        yield SocketsStage(node, stack)

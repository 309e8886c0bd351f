"""One user in a process of its own (``room_user.py``), for tests that stop, kill or confuse it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["LIMIT_S", "UserProcess", "user_process"]

LIMIT_S = 30.0
"""How long a machine may be busy with something else before a test gives up."""


class UserProcess:
    """See ``room_user.py``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            return (await self.process.stdout.readline()).decode().strip()

    async def finish(self) -> int:
        """Tell it to end as it was told to: its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()


@asynccontextmanager
async def user_process(
    url: str,
    app_id: int,
    token: str,
    role: str,
    end: str = "stay",
    *,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[UserProcess]:
    """A user "guest" who is in the room "r" and publishes or plays "film"."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("room_user.py")), url, str(app_id)),
        *(token, "guest", role, "film", end),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    user = UserProcess(process)
    try:
        assert await user.says() == "ready"
        yield user
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

"""The parent's side of a child process: start it, read its lines, end it in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence

__all__ = ["Child", "ChildFailed"]

LINE_LIMIT = 1024 * 1024
"""Bytes of one line a child may print: half a second of reports has a few kB."""

STOP_SECONDS = 8.0
"""Time a child gets for its orderly end before it is terminated: longer than an engine's ``destroy`` (5 s)."""

KILL_SECONDS = 2.0
"""Time between SIGTERM and SIGKILL."""


class ChildFailed(Exception):
    """A child could not be started or ended too early; the text is one sentence for the user."""


class Child:
    """One running ``python -m module`` with pipes on all three standard streams.

    It has a process group of its own, so that Ctrl-C in the terminal reaches only the parent, which then ends its
    children in order. Whatever happens to the parent, the child sees the end of its input and stops.
    """

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Task[None]]
    ) -> None:
        self.name = name
        self._process = process
        self._tasks = tasks

    @classmethod
    async def start(
        cls,
        name: str,
        module: str,
        arguments: Sequence[str] = (),
        *,
        first_line: bytes = b"",
        on_line: Callable[[bytes], None],
        on_error_line: Callable[[str], None],
    ) -> Child:
        """Start ``python -m module arguments`` and write ``first_line`` to it.

        ``on_line`` gets each line of its standard output, ``on_error_line`` each one of its standard error.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a file in the working folder must not stand in for a module
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        except OSError as error:
            raise ChildFailed(f"the {name} process did not start: {error}") from error
        assert process.stdout is not None
        assert process.stderr is not None
        tasks = [
            asyncio.create_task(_read(process.stdout, on_line), name=f"{name}-stdout"),
            asyncio.create_task(
                _read(process.stderr, lambda line: on_error_line(line.decode(errors="replace").rstrip())),
                name=f"{name}-stderr",
            ),
        ]
        child = cls(name, process, tasks)
        if first_line:
            child._write(first_line)
        return child

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until it has ended and all its lines were handed over; returns the exit code."""
        # Not gather: giving up waiting must not cancel the reading.
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.result()
        return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, wait, and use force when it does not; returns the exit code."""
        self._write(b"stop\n")
        if self._process.stdin is not None:
            self._process.stdin.close()
        for seconds, force in ((STOP_SECONDS, self._process.terminate), (KILL_SECONDS, self._process.kill)):
            try:
                async with asyncio.timeout(seconds):
                    return await self.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    force()
        return await self.wait()

    def _write(self, data: bytes) -> None:
        # A child that is gone already has nothing to be told; asyncio drops what it cannot write.
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)


async def _read(stream: asyncio.StreamReader, on_line: Callable[[bytes], None]) -> None:
    while line := await stream.readline():
        on_line(line)

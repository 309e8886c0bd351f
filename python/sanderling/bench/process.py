"""A child process of a bench: started, listened to, and ended whatever happens to the parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Self

from sanderling.bench.failure import BenchFailed

__all__ = ["ChildProcess"]

LINE_LIMIT = 1024 * 1024
STOP_SECONDS = 10.0
"""Time for an orderly end after SIGTERM; then it is killed."""
_QUOTED_LINES = 5


class ChildProcess:
    """A running process, in a group of its own: Ctrl-C reaches the parent alone, which ends its children in order."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.name = name
        self._process = process
        self._stdout = process.stdout
        self._words: deque[str] = deque(maxlen=_QUOTED_LINES)
        self._listening = asyncio.create_task(self._listen(process.stderr), name=f"{name}-stderr")

    @classmethod
    @contextlib.asynccontextmanager
    async def run(cls, name: str, command: Sequence[str], *, first_line: bytes = b"") -> AsyncIterator[Self]:
        """Start ``command``, write ``first_line`` to it; at the end it is terminated. BenchFailed if it cannot start.

        The process receives SIGTERM, too, when the parent dies without having ended it.
        """
        # The tool that sets the signal becomes the command (exec), so the process number is the command's.
        guard = shutil.which("setpriv")
        guarded = [guard, "--pdeathsig", "TERM", *command] if guard else list(command)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SANDERLING_")
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *guarded,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
                start_new_session=True,
                env=environment,
            )
        except OSError as error:
            raise BenchFailed(f"the {name} process did not start: {error}") from error
        child = cls(name, process)
        try:
            if first_line:
                child.write(first_line)
            yield child
        finally:
            await asyncio.shield(child.stop())

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        return " / ".join(self._words) or "it said nothing"

    def check(self) -> None:
        """BenchFailed when it has ended by itself."""
        if self._process.returncode is not None:
            raise BenchFailed(
                f"the {self.name} process ended by itself with code {self._process.returncode}: {self.last_words}"
            )

    def write(self, data: bytes) -> None:
        """Write to its standard input; a process that is gone has nothing to be told."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    async def line(self, within: float) -> bytes:
        """Its next line of standard output; BenchFailed when it ends or none comes within so many seconds."""
        try:
            async with asyncio.timeout(within):
                line = await self._stdout.readline()
        except TimeoutError:
            raise BenchFailed(
                f"the {self.name} process said nothing for {within:.0f} s: {self.last_words}"
            ) from None
        if not line:
            code = await self._process.wait()
            await self._listening
            raise BenchFailed(f"the {self.name} process ended with code {code}: {self.last_words}")
        return line

    async def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Terminate it, wait, and kill it when it does not end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for seconds, send in ((STOP_SECONDS, self._process.terminate), (STOP_SECONDS, self._process.kill)):
            with contextlib.suppress(ProcessLookupError):
                send()
            try:
                async with asyncio.timeout(seconds):
                    # Read on: a child that cannot write its last words does not end.
                    await asyncio.gather(self._stdout.read(), self._process.wait(), self._listening)
                    return
            except TimeoutError:
                continue

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._words.append(line.decode(errors="replace").rstrip())

"""Children: lines come, an orderly stop, force when needed, and no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sanderling.demo import children
from sanderling.demo.children import Child

POLITE = """
import sys
print("invited", sys.stdin.readline().strip(), flush=True)
print("to the error stream", file=sys.stderr, flush=True)
print("told", sys.stdin.readline().strip(), flush=True)
"""

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""

UNTIL_TERMINATED = """
import signal
print("ready", flush=True)
signal.pause()
"""


Write = Callable[[str], None]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the module that the test's child runs."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source: str) -> None:
        (tmp_path / "child_under_test.py").write_text(source)

    return write


class Lines:
    """Collects what a child prints."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[bytes] = asyncio.Queue()
        self.errors: list[str] = []

    async def start(self, first_line: bytes = b"") -> Child:
        return await Child.start(
            "child",
            "child_under_test",
            first_line=first_line,
            on_line=self.out.put_nowait,
            on_error_line=self.errors.append,
        )


async def test_lines_both_ways_and_an_orderly_end(write_module: Write) -> None:
    write_module(POLITE)
    lines = Lines()
    child = await lines.start(b"you\n")
    assert await lines.out.get() == b"invited you\n"
    assert await child.stop() == 0
    assert await lines.out.get() == b"told stop\n"
    assert lines.errors == ["to the error stream"]


async def test_every_line_is_there_when_waiting_ends(write_module: Write) -> None:
    write_module("for n in range(20_000): print(n)")
    lines = Lines()
    child = await lines.start()
    assert await child.wait() == 0
    assert lines.out.qsize() == 20_000
    assert await child.stop() == 0, "stopping what has ended is allowed"


@pytest.mark.parametrize(
    ("source", "signal_number"), [(UNTIL_TERMINATED, signal.SIGTERM), (STUBBORN, signal.SIGKILL)]
)
async def test_force_is_used_on_a_child_that_does_not_end(
    write_module: Write, source: str, signal_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(children, "KILL_SECONDS", 0.05)
    write_module(source)
    lines = Lines()
    child = await lines.start()
    assert await lines.out.get() == b"ready\n"
    assert await child.stop() == -signal_number
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


async def test_ctrl_c_in_the_terminal_does_not_reach_a_child(write_module: Write) -> None:
    write_module(UNTIL_TERMINATED)
    lines = Lines()
    child = await lines.start()
    await lines.out.get()
    try:
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        os.kill(child.pid, signal.SIGTERM)
        await child.wait()

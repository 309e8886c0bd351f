"""The README's own programs, run as they stand there against a real server."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sanderling.testing import server

pytestmark = [pytest.mark.processes, pytest.mark.timeout(90)]

ROOT = Path(__file__).resolve().parent.parent.parent
CLIP = ROOT / "python/sanderling/demo/material/bigbuckbunny.mp4"
LIMIT_S = 30.0
PROGRAM_LINES = 14
"""About ten lines, and what asyncio needs around them."""


def programs() -> tuple[str, str]:
    """The two Python blocks: publish, play."""
    publish, play = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return publish, play


@asynccontextmanager
async def running(program: str, **replacements: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program in a process of its own, with the README's stand-ins replaced."""
    for name, value in replacements.items():
        assert name in program, f"the README's program does not name {name}"
        program = program.replace(name, repr(value))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_the_programs_are_about_ten_lines() -> None:
    assert [len(program.split("\n\n", 1)[1].splitlines()) < PROGRAM_LINES for program in programs()] == [
        True,
        True,
    ]


async def test_the_programs_publish_and_play() -> None:
    publish, play = programs()
    address = "ws://127.0.0.1:7700"
    async with server() as host:
        project = await host.create_project(l3=True)

        def adapted(program: str, user: str) -> str:
            program = program.replace(address, f"ws://127.0.0.1:{host.port}").replace(
                '"film.mp4"', repr(str(CLIP))
            )
            return program.replace("TOKEN", repr(host.token(project, user)))

        async with running(adapted(publish, "bob"), APP_ID=project.app_id):
            async with asyncio.timeout(LIMIT_S):
                while not (await host.snapshot())["registry"]["streams"]:
                    await asyncio.sleep(0.05)
            async with running(adapted(play, "alice"), APP_ID=project.app_id) as viewer:
                assert viewer.stdout is not None
                async with asyncio.timeout(LIMIT_S):
                    line = await viewer.stdout.readline()
                    if not line:
                        _, complaint = await viewer.communicate()
                        pytest.fail(complaint.decode())
    assert line == b"(720, 1280, 3)\n"

"""``sanderling room`` against a running server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from sanderling import RoomStateReason
from scenario.town import Town, town

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


async def run(on: Town, *arguments: str, status: int = 0, state: Path | None = None) -> str:
    """What the command prints."""
    where = ("--state", str(state or on.node.state))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sanderling.cli.main", "room", *arguments, "--url", on.node.url, *where),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == status, errors.decode()
    return (output if status == 0 else output + errors).decode()


async def test_an_operator_looks_speaks_and_kicks() -> None:
    async with town() as on:
        assert "nobody" in await run(on, "list")
        _, alice = await on.join("alice")
        _, bob = await on.join("bob")
        assert json.loads(await run(on, "list", "--json")) == [
            {"RoomId": "r", "UserCount": 2, "StreamCount": 0}
        ]
        assert [line.split()[0] for line in (await run(on, "users", "r")).splitlines()] == [
            "userID",
            "alice",
            "bob",
        ]
        assert "nothing" in await run(on, "streams", "r")
        await run(on, "send", "r", "hello")
        await alice.until_call("broadcast", "r", "server", "hello")
        await run(on, "send", "r", "psst", "--from", "prompter", "--to", "bob")
        await bob.until_call("command", "r", "prompter", "psst")
        assert alice.of("command") == []
        assert "not there: carol" in await run(on, "send", "r", "psst", "--to", "carol", status=1)
        await run(on, "kick", "r", "bob", "--reason", "enough")
        await bob.until_call("room", "r", RoomStateReason.KICK_OUT, 1002055)
        await run(on, "shut-out", "bob", "--seconds", "60")
        await run(on, "close", "r")
        await alice.until_call("room", "r", RoomStateReason.KICK_OUT, 1002055)
        assert "(104)" in await run(on, "send", "elsewhere", "hello", status=1)


async def test_mistakes_are_sentences(tmp_path: Path) -> None:
    async with town() as on:
        assert "no project yet" in await run(on, "list", state=tmp_path / "empty", status=1)
        on.node.url = "http://127.0.0.1:1"
        assert "does not answer" in await run(on, "list", status=1)

"""The quickstart's eleven steps (product-facts 0.1): two SDK processes, a real server, every notice in order."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sanderling.testing import server

pytestmark = [pytest.mark.processes, pytest.mark.timeout(90)]

PROGRAM = Path(__file__).with_name("quickstart_user.py")
ROOM, STREAM = "quickstart", "host-film"
SECONDS = 20.0

LOGINING, LOGINED, LOGOUT = 0, 1, 7
ADD, DELETE = 0, 1


class UserProcess:
    """A user in another process: orders in, notices out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.notices: list[list[Any]] = []
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._noticed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def order(self, do: str, **values: object) -> Any:
        """Tell it to do something and return what came of it."""
        await self.begin(do, **values)
        said = await self.outcome()
        assert "done" in said, said
        return said["done"]

    async def begin(self, do: str, **values: object) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        await self._process.stdin.drain()

    async def outcome(self) -> dict[str, Any]:
        """What the oldest unanswered order came to."""
        async with asyncio.timeout(SECONDS):
            return await self._said.get()

    async def until(self, *notice: object) -> None:
        """Wait for a notice."""
        wanted = list(notice)
        try:
            async with asyncio.timeout(SECONDS):
                while wanted not in self.notices:
                    self._noticed.clear()
                    await self._noticed.wait()
        except TimeoutError:
            raise AssertionError(f"no {wanted}; there were {self.notices}") from None

    async def end(self) -> int:
        """Close its input and return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(SECONDS):
            code = await self._process.wait()
            await self._reading
        return code

    async def kill(self) -> None:
        """End it for good if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "notice" in said:
                self.notices.append(said["notice"])
                self._noticed.set()
            else:
                self._said.put_nowait(said)


@asynccontextmanager
async def user_process(app_id: int, url: str) -> AsyncIterator[UserProcess]:
    """A user's process; killed at the end if it did not end by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        str(app_id),
        url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    user = UserProcess(process)
    try:
        yield user
    finally:
        await user.kill()


async def test_the_eleven_steps() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            user_process(project.app_id, node.url) as alice,
            user_process(project.app_id, node.url) as bob,
        ):
            # 1, 2, 3: an engine, a handler, a login by token; the room is made by the first.
            there = await alice.order("login", room=ROOM, user="alice", token=node.token(project, "alice"))
            assert there == {"users": [], "streams": []}
            there = await bob.order("login", room=ROOM, user="bob", token=node.token(project, "bob"))
            assert there["users"] == ["alice"]
            await alice.until("users", ROOM, ADD, ["bob"])
            # 4, 5: bob publishes and alice is told.
            assert await bob.order("publish", stream=STREAM) == STREAM
            await alice.until("streams", ROOM, ADD, [[STREAM, "bob", ""]], {})
            # 6, 7: alice plays it over L3 with the custom renderer, and hears it.
            seen = await alice.order("play", stream=STREAM)
            assert seen["mode"] == "ONLY_L3"
            assert seen["aspect"] == pytest.approx(16 / 9, rel=0.02)
            assert seen["luma"] == pytest.approx(180, abs=4)
            assert await alice.order("hear", stream=STREAM) > 3000
            # 8: what a further user of the room finds (the web page in the quickstart) is what alice found.
            async with user_process(project.app_id, node.url) as carol:
                there = await carol.order(
                    "login", room=ROOM, user="carol", token=node.token(project, "carol")
                )
                assert there == {"users": ["alice", "bob"], "streams": [STREAM]}
                assert (await carol.order("play", stream=STREAM))["luma"] == pytest.approx(180, abs=4)
                # Ended without a logout by its own hand: the engine logs out when it is destroyed.
                assert await carol.end() == 0
            await alice.until("users", ROOM, DELETE, ["carol"])
            # 9: bob stops; alice's play ends by itself.
            await bob.order("stop_publish")
            await alice.until("player", STREAM, 0, 0)
            # 10, 11.
            await bob.order("logout", room=ROOM)
            await alice.until("users", ROOM, DELETE, ["bob"])
            await alice.order("logout", room=ROOM)
            await bob.order("destroy")
            await alice.order("destroy")
            assert await bob.end() == 0
            assert await alice.end() == 0

            assert bob.notices == [
                ["room", ROOM, LOGINING, 0],
                ["room", ROOM, LOGINED, 0],
                ["users", ROOM, ADD, ["alice"]],
                ["publisher", STREAM, 1, 0],
                ["publisher", STREAM, 2, 0],
                ["users", ROOM, ADD, ["carol"]],
                ["users", ROOM, DELETE, ["carol"]],
                ["publisher", STREAM, 0, 0],
                ["room", ROOM, LOGOUT, 0],
            ]
            reason = {"stream_delete_reason": [{"stream_id": STREAM, "code": 1}]}
            ended = [["player", STREAM, 0, 0], ["streams", ROOM, DELETE, [[STREAM, "bob", ""]], reason]]
            at = alice.notices.index(["users", ROOM, DELETE, ["carol"]]) + 1
            # The server may tell of the play's end and of the stream's in either order; both are told once.
            assert sorted(map(str, alice.notices[at : at + 2])) == sorted(map(str, ended))
            assert alice.notices[:at] + alice.notices[at + 2 :] == [
                ["room", ROOM, LOGINING, 0],
                ["room", ROOM, LOGINED, 0],
                ["users", ROOM, ADD, ["bob"]],
                ["streams", ROOM, ADD, [[STREAM, "bob", ""]], {}],
                ["player", STREAM, 1, 0],
                ["player", STREAM, 2, 0],
                ["first frame", STREAM],
                ["first render", STREAM],
                ["users", ROOM, ADD, ["carol"]],
                ["users", ROOM, DELETE, ["carol"]],
                ["users", ROOM, DELETE, ["bob"]],
                ["room", ROOM, LOGOUT, 0],
            ]
        left = await node.snapshot()
        assert left["sessions"] == 0
        assert left["rooms"] in ([], {})


async def test_a_killed_publisher_is_gone_for_the_others() -> None:
    async with server() as node:
        project = await node.create_project(l3=True)
        async with (
            user_process(project.app_id, node.url) as alice,
            user_process(project.app_id, node.url) as bob,
        ):
            await alice.order("login", room=ROOM, user="alice", token=node.token(project, "alice"))
            await bob.order("login", room=ROOM, user="bob", token=node.token(project, "bob"))
            await bob.order("publish", stream=STREAM)
            await alice.order("play", stream=STREAM)
            await bob.kill()
            await alice.until("player", STREAM, 0, 0)
            reason = {"stream_delete_reason": [{"stream_id": STREAM, "code": 5}]}
            await alice.until("streams", ROOM, DELETE, [[STREAM, "bob", ""]], reason)
            await alice.until("users", ROOM, DELETE, ["bob"])
            assert await alice.end() == 0

"""The product's processes on the hosts of a network: a server, the demo's host and the demo's viewer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sanderling import tokens
from sanderling.demo import participant, reports
from sanderling.demo.participant import Invitation
from sanderling.server.storage import Project, SqliteStorage
from scenario.reachability.network import Network

__all__ = [
    "Process",
    "Server",
    "documented",
    "fetch",
    "origin",
    "publisher_paths",
    "start",
    "streaming",
    "viewer_paths",
    "watch",
]

DEPLOY = Path(__file__).resolve().parents[3] / "docs/howto/deploy.md"
LIMIT_S = 30.0
"""How long anything may take before the test fails; nothing is measured with it."""
END_S = 10.0
TOKEN_S = 600
POLL_S = 0.02
LISTENING = "0A"
"""State of a listener in /proc/net/tcp."""
PICTURES = 25
"""Decoded pictures with a readable clock that make a live stream: a second of it."""


class Process:
    """A child with pipes; its last words are kept for the message of a failed test."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.words: deque[str] = deque(maxlen=30)
        assert process.stderr is not None
        self._listening = asyncio.create_task(self._listen(process.stderr))

    async def line(self) -> bytes:
        """The next line of standard output; AssertionError with the last words at its end."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            await self._listening
            raise AssertionError(f"the {self.name} ended early:\n" + "\n".join(self.words))
        return line

    async def listens(self, port: int) -> None:
        """Wait until its network has a TCP listener on ``port``; for programs that do not say so."""
        wanted = f":{port:04X}"
        sockets = Path(f"/proc/{self.process.pid}/net/tcp")
        async with asyncio.timeout(LIMIT_S):
            while True:
                table = await asyncio.to_thread(sockets.read_text)
                rows = (row.split() for row in table.splitlines()[1:])
                if any(row[1].endswith(wanted) and row[3] == LISTENING for row in rows):
                    return
                assert self.process.returncode is None, f"the {self.name} ended early: {list(self.words)}"
                await asyncio.sleep(POLL_S)

    async def write(self, data: bytes) -> None:
        """To standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def end(self) -> None:
        """Ask it to end; kill it when it does not."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        draining = asyncio.create_task(self.process.stdout.read())
        for stop in (self.process.terminate, self.process.kill):
            if self.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    stop()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_S):
                        await self.process.wait()
        await asyncio.gather(draining, self._listening)

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.words.append(line.decode(errors="replace").rstrip())


@contextlib.asynccontextmanager
async def start(name: str, command: Sequence[str]) -> AsyncIterator[Process]:
    """Run ``command`` as long as the block lasts."""
    process = Process(
        name,
        await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        ),
    )
    try:
        yield process
    finally:
        await process.end()


class Server:
    """A running ``sanderling serve`` on a host of the network. ``ready``: what it printed."""

    def __init__(self, network: Network, host: str, project: Project, ready: dict[str, Any]) -> None:
        self._network = network
        self._host = host
        self.project = project
        self.ready = ready

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        network: Network,
        state: Path,
        *arguments: str,
        host: str = "server",
        settings: dict[str, Any] | None = None,
    ) -> AsyncIterator[Server]:
        """Start it with ``arguments``, its state in the folder ``state``; ``settings`` of its project."""
        storage = SqliteStorage(state)
        await storage.open()
        project = await storage.create_project("reach", l3=True)
        if settings:
            project = await storage.update_project(project.app_id, settings=settings)
        await storage.aclose()
        command = [
            sys.executable,
            "-m",
            "sanderling.cli.main",
            "serve",
            "--ready-json",
            "--state",
            str(state),
        ]
        async with start("server", [*network.inside(host), *command, *arguments]) as process:
            async with asyncio.timeout(LIMIT_S):
                ready = json.loads(await process.line())
            yield cls(network, host, project, ready)

    @contextlib.asynccontextmanager
    async def participant(
        self, module: str, where: str, url: str, *, fingerprint: str = ""
    ) -> AsyncIterator[Process]:
        """The demo's ``host`` or ``viewer`` as a process on ``where``."""
        user = {"host": participant.HOST, "viewer": participant.VIEWER}[module]
        token = tokens.generate(
            self.project.app_id, user, self.project.server_secret, TOKEN_S, now=time.time()
        )
        invitation = Invitation(self.project.app_id, url, token, fingerprint)
        command = [*self._network.inside(where), sys.executable, "-P", "-m", f"sanderling.demo.{module}"]
        async with start(module, command) as process:
            await process.write(msgspec.json.encode(invitation) + b"\n")
            yield process

    async def snapshot(self) -> dict[str, Any]:
        """The debug snapshot, asked for on the server's own host."""
        url = f"{self.ready['url']}/debug/snapshot"
        return dict(json.loads(await fetch(self._network, self._host, url)))


def documented(language: str, word: str = "") -> str:
    """The first code block in ``language`` on the page about deployment that holds ``word``."""
    blocks: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```", DEPLOY.read_text(), re.MULTILINE | re.DOTALL
    )
    return next(block for block in blocks if word in block)


async def fetch(network: Network, host: str, url: str) -> str:
    """GET ``url`` from ``host``; the body. AssertionError with what went wrong otherwise."""
    script = (
        "import ssl, sys, urllib.request as r\n"
        "with r.urlopen(sys.argv[1], timeout=10, context=ssl._create_unverified_context()) as reply:\n"
        "    sys.stdout.write(reply.read().decode())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *network.inside(host), sys.executable, "-I", "-c", script, url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        output, words = await process.communicate()
    assert process.returncode == 0, words.decode()
    return output.decode()


async def watch(viewer: Process) -> reports.FirstFrame:
    """Wait until the viewer has shown ``PICTURES`` pictures whose burned-in clock could be read."""
    first: reports.FirstFrame | None = None
    readable = 0
    async with asyncio.timeout(LIMIT_S):
        while first is None or readable < PICTURES:
            report = reports.decode(await viewer.line())
            if isinstance(report, reports.FirstFrame):
                first = report
            elif isinstance(report, reports.Received):
                readable += sum(number is not None for number, _, _ in report.rows)
            elif isinstance(report, reports.Failed):
                raise AssertionError(f"{report}\n" + "\n".join(viewer.words))
    return first


async def streaming(
    server: Server,
    url: str,
    *,
    fingerprint: str = "",
    host_url: str = "",
    host_at: str = "server",
    look: Callable[[dict[str, Any]], None],
) -> None:
    """The whole scene: the host publishes, beside the server or ``host_at``; the viewer on the far side has a picture.

    ``look`` is then given the server's snapshot, while the stream runs.
    """
    async with (
        server.participant("host", host_at, host_url or url, fingerprint=fingerprint) as host,
        server.participant("viewer", "viewer", url, fingerprint=fingerprint) as viewer,
    ):
        try:
            frame = await watch(viewer)
        except TimeoutError:
            words = [*host.words, *viewer.words]
            state = json.dumps(await server.snapshot())
            raise AssertionError("no picture\n" + "\n".join(words) + "\n" + state) from None
        assert frame.width > 0
        look(await server.snapshot())


def viewer_paths(snapshot: dict[str, Any], user_id: str = participant.VIEWER) -> list[dict[str, str]]:
    """Paths of a user's viewer session: protocol, local and remote address."""
    members = [member for room in snapshot["rooms"] for member in room["members"]]
    session = next(member["viewer"] for member in members if member["user_id"] == user_id)
    sessions = [viewer for worker in snapshot["workers"] for viewer in worker["viewers"]]
    return list(next(viewer["paths"] for viewer in sessions if viewer["session"] == session))


def publisher_paths(snapshot: dict[str, Any]) -> list[dict[str, str]]:
    """Paths of the only publisher's media session."""
    (publisher,) = (publisher for worker in snapshot["workers"] for publisher in worker["publishers"])
    return list(publisher["paths"])


def origin(snapshot: dict[str, Any], user_id: str = participant.VIEWER) -> str:
    """Where a user's signalling comes from, as the server sees it."""
    members = [member for room in snapshot["rooms"] for member in room["members"]]
    return str(next(member["origin"] for member in members if member["user_id"] == user_id))

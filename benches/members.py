"""Two thousand real WebSocket members in one room: how fast they log in, how soon they hear a notice, what they cost.

The server is `sanderling serve` in a process of its own; the members are bare sockets in this one, so that what is
measured is the server's work and not a client library's. A notice's delay is from the moment its sender wrote it to the
first byte of it at each other member, on one clock.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from sanderling.server.storage import Project, SqliteStorage

__all__ = ["Members", "measure"]

MEMBERS = 2_000
LOGINS_PER_S = 200.0
NOTICES = 10
HEARTBEAT_S = 10.0
"""How often each member sends a sign of life, as the server asks it to."""
SETTLE_S = 2.0
"""Pause before memory is read, and between notices: the members' own notices have gone out by then."""
LOGIN_LIMIT_S = 60.0
HEARD_LIMIT_S = 30.0
COUNTED = (b'{"type":"user_notice"', b'{"type":"online_count"', b'{"type":"broadcast_notice"')
PING, PONG = 0x89, 0x8A
"""First bytes of control frames (RFC 6455 section 5.5)."""


class Members(msgspec.Struct, frozen=True):
    """Result of the bench."""

    members: int
    deflate: bool
    """Whether the members offered permessage-deflate, as browsers do."""
    login_ms: dict[str, float]
    notice_ms: dict[str, float]
    kib_per_member: float
    """Growth of the server's resident set."""
    cpu_ms_per_login: float
    """Of the server, the notices to those who are there included."""
    cpu_us_per_notice: float
    """Of the server, for one notice to one member, without what it does when nothing is sent."""

    def line(self) -> str:
        """Return the figures as one line."""
        login, notice = self.login_ms, self.notice_ms
        return (
            f"{self.members} members{', deflate' if self.deflate else ''}: login {login['p50']:.0f}/{login['p95']:.0f} "
            f"ms, notice {notice['p50']:.0f}/{notice['p95']:.0f} ms (p50/p95), {self.kib_per_member:.0f} KiB each, "
            f"{self.cpu_ms_per_login:.1f} ms CPU a login, {self.cpu_us_per_notice:.0f} µs CPU a notice and member"
        )


class _Member(asyncio.Protocol):
    """A WebSocket client that only notes when things come (RFC 6455; nothing it sends is long)."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = 0
        """Messages that count (docs/protocol.md section 3.4), so that the server need not keep them."""
        self._next: asyncio.TimerHandle | None = None
        self.opened = asyncio.Event()
        self.logged_in = asyncio.Event()
        self.heard_at = 0.0
        """When the first bytes of a notice came since it was last set to 0."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def upgrade(self, *, deflate: bool) -> None:
        """Ask for a WebSocket."""
        key = base64.b64encode(os.urandom(16)).decode()
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        self._write(
            f"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n".encode()
        )

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message as a masked text frame (the mask is 0)."""
        data = json.dumps(message).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
        self._write(b"\x81" + size + bytes(4) + data)

    def data_received(self, data: bytes) -> None:
        if data[0] == PING:
            size = data[1]
            self._write(bytes((PONG, 0x80 | size)) + bytes(4) + data[2 : 2 + size])
            data = data[2 + size :]
            if not data:
                return
        self._received += sum(data.count(kind) for kind in COUNTED)
        if not self.heard_at and b"broadcast_notice" in data:
            self.heard_at = time.perf_counter()
        if not self.opened.is_set():
            assert data.startswith(b"HTTP/1.1 101"), data[:200]
            self.opened.set()
        elif not self.logged_in.is_set():
            # The first frame behind the handshake is the reply to the login.
            self.logged_in.set()

    def live(self) -> None:
        """Send signs of life from now on."""
        self.send({"type": "heartbeat", "seq": 1_000_000, "received": self._received})
        self._next = asyncio.get_running_loop().call_later(HEARTBEAT_S, self.live)

    def close(self) -> None:
        """Hang up."""
        if self._next is not None:
            self._next.cancel()
        if self._transport is not None:
            self._transport.abort()


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "max": round(max(values), 1)}


class _Server:
    """`sanderling serve` and what the system says of it."""

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int) -> None:
        self.process = process
        self.host, self.port = host, port

    def resident(self) -> int:
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * resource.getpagesize()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _start(state: Path) -> tuple[_Server, Project]:
    storage = SqliteStorage(state)
    await storage.open()
    project = await storage.create_project("bench", l3=True)
    await storage.aclose()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sanderling.cli.main", "serve", "--port", "0", "--media-ports", "0"),
        *("--state", str(state), "--ready-json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "SANDERLING_LOGINS_PER_S": "0", "SANDERLING_LOG_LEVEL": "warning"},
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise OSError(f"the server ended with {await process.wait()} before it began")
    ready = json.loads(line)
    return _Server(process, "127.0.0.1", int(ready["port"])), project


async def _log_in(server: _Server, project: Project, number: int, deflate: bool) -> tuple[_Member, float]:
    loop = asyncio.get_running_loop()
    _, member = await loop.create_connection(_Member, server.host, server.port)
    began = time.perf_counter()
    member.upgrade(deflate=deflate)
    await member.opened.wait()
    member.send(
        {
            "type": "login",
            "seq": 1,
            "app_id": project.app_id,
            "room_id": "room",
            "user": {"user_id": f"user{number}", "user_name": f"User {number}"},
            "app_sign": project.app_sign,
            "config": {"is_user_status_notify": True},
            "resumable": True,
        }
    )
    await member.logged_in.wait()
    member.live()
    return member, (time.perf_counter() - began) * 1000


async def _run(members: int, deflate: bool) -> Members:
    with tempfile.TemporaryDirectory(prefix="sanderling-bench-") as folder:
        server, project = await _start(Path(folder))
        everybody: list[_Member] = []
        try:
            # Once through everything first: what is loaded with the first login is not a member's.
            first, _ = await _log_in(server, project, -1, deflate)
            first.close()
            await asyncio.sleep(SETTLE_S)
            resident, cpu = server.resident(), server.cpu_s()
            loop = asyncio.get_running_loop()
            began, tasks = loop.time(), []
            for number in range(members):
                await asyncio.sleep(max(0.0, began + number / LOGINS_PER_S - loop.time()))
                tasks.append(loop.create_task(_log_in(server, project, number, deflate)))
            async with asyncio.timeout(LOGIN_LIMIT_S):
                logins = await asyncio.gather(*tasks)
            everybody = [member for member, _ in logins]
            await asyncio.sleep(SETTLE_S)
            grown, login_cpu = server.resident() - resident, server.cpu_s() - cpu
            delays, notice_cpu = await _notices(server, everybody)
        finally:
            for member in everybody:
                member.close()
            server.process.terminate()
            await server.process.wait()
    return Members(
        members=members,
        deflate=deflate,
        login_ms=_spread([taken for _, taken in logins]),
        notice_ms=_spread(delays),
        kib_per_member=round(grown / members / 1024, 1),
        cpu_ms_per_login=round(login_cpu / members * 1000, 2),
        cpu_us_per_notice=round(notice_cpu / NOTICES / members * 1e6, 1),
    )


async def _notices(server: _Server, everybody: list[_Member]) -> tuple[list[float], float]:
    """Delays in milliseconds, and the server's CPU for all notices in seconds."""
    sender, *others = everybody
    delays: list[float] = []
    spent = 0.0
    # What the server does anyway, heartbeats among it, is not the notices' cost.
    idle = server.cpu_s()
    await asyncio.sleep(2 * SETTLE_S)
    idle = (server.cpu_s() - idle) / 2
    for number in range(NOTICES):
        for member in others:
            member.heard_at = 0.0
        cpu = server.cpu_s()
        sent = time.perf_counter()
        sender.send({"type": "broadcast", "seq": number + 2, "text": "hello, everybody"})
        await asyncio.sleep(SETTLE_S)
        async with asyncio.timeout(HEARD_LIMIT_S):
            # One look now and then disturbs the server less than two thousand wake-ups here.
            while not all(member.heard_at for member in others):  # noqa: ASYNC110
                await asyncio.sleep(SETTLE_S)
        heard = [member.heard_at for member in others]
        delays += [(at - sent) * 1000 for at in heard]
        spent += server.cpu_s() - cpu - idle
    return delays, spent


def measure(members: int = MEMBERS, *, deflate: bool = False) -> Members:
    """Measure once."""
    return asyncio.run(_run(members, deflate))

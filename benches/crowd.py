"""Members of a room as bare sockets in one loop, so lean that thousands of them do not slow the server beside them.

One `epoll`, one read for what came, and no task for anybody (RFC 6455 for clients, as little as it takes).
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Crowd", "CrowdFailed", "Visitor"]

HEARTBEAT_S = 10.0
"""How often each member sends a sign of life, as the server asks it to."""
COUNTED = (b'{"type":"user_notice"', b'{"type":"online_count"', b'{"type":"broadcast_notice"')
"""Messages that count (docs/protocol.md section 3.4): confirmed, so that the server need not keep them."""
NOTICE = b'{"type":"broadcast_notice"'
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
"""Kinds of frames (RFC 6455 section 5.2)."""
READ_BYTES = 256 * 1024


class CrowdFailed(Exception):
    """A member was refused, or the server hung up."""


class Visitor:
    """One member: a WebSocket client that only notes when things come."""

    __slots__ = (
        "began",
        "heard_at",
        "logged_in_at",
        "login",
        "opened",
        "received",
        "rest",
        "socket",
        "welcome",
    )

    def __init__(self, login: dict[str, Any]) -> None:
        self.login = login
        """Sent once the WebSocket is open."""
        self.socket = socket.socket()
        self.rest = b""
        """Begin of what has not come whole."""
        self.opened = False
        self.received = 0
        """Messages that count."""
        self.began = 0.0
        self.logged_in_at = 0.0
        self.welcome = b""
        """The reply to the login, of those with a viewer offer."""
        self.heard_at = 0.0
        """When the first bytes of a notice came since it was last set to 0."""

    def send(self, message: dict[str, Any]) -> None:
        """Send one message as a masked text frame (the mask is 0)."""
        data = json.dumps(message).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + size + bytes(4) + data)


class Crowd:
    """Visitors of one server. Times are seconds of ``time.perf_counter``.

    ``deflate``: whether they offer permessage-deflate, as browsers do.
    """

    def __init__(self, host: str, port: int, *, deflate: bool) -> None:
        self._address = (host, port)
        self._extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        self._epoll = select.epoll()
        self._by_fd: dict[int, Visitor] = {}
        self._lives: deque[tuple[float, Visitor]] = deque()
        self.members: list[Visitor] = []
        self.unheard = 0
        """Members that have not heard the present notice."""
        self.silent = False
        """No signs of life are sent, for a short while: they are no part of what is measured then."""

    def come(self, login: dict[str, Any]) -> Visitor:
        """Connect one member; its login follows by itself once the socket is open."""
        visitor = Visitor(login)
        visitor.began = time.perf_counter()
        visitor.socket.connect(self._address)
        visitor.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        visitor.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{self._extension}\r\n".encode()
        )
        self._by_fd[visitor.socket.fileno()] = visitor
        self._epoll.register(visitor.socket.fileno(), select.EPOLLIN)
        self.members.append(visitor)
        return visitor

    def leave(self, visitor: Visitor) -> None:
        """Hang up."""
        self._epoll.unregister(visitor.socket.fileno())
        del self._by_fd[visitor.socket.fileno()]
        self.members.remove(visitor)
        visitor.socket.close()

    def close(self) -> None:
        """Hang up for all."""
        for visitor in self.members:
            visitor.socket.close()
        self._epoll.close()

    def expect_notice(self, sender: Visitor) -> None:
        """From now on everybody but ``sender`` is waited for."""
        for member in self.members:
            member.heard_at = 0.0
        sender.heard_at = 1.0
        self.unheard = len(self.members) - 1

    def run(self, until: Callable[[], bool], deadline: float) -> bool:
        """Read and send signs of life until ``until``, looked at after each turn; False at the deadline."""
        while not until():
            now = time.perf_counter()
            if now >= deadline:
                return False
            wake = min(deadline, self._lives[0][0]) if self._lives and not self.silent else deadline
            for fd, _ in self._epoll.poll(max(0.0, wake - now)):
                self._read(self._by_fd[fd])
            if not self.silent:
                self._live(time.perf_counter())
        return True

    def pause(self, seconds: float) -> None:
        """Read for so long."""
        self.run(lambda: False, time.perf_counter() + seconds)

    def _live(self, now: float) -> None:
        while self._lives and self._lives[0][0] <= now:
            _, visitor = self._lives.popleft()
            if visitor.socket.fileno() >= 0:
                self._beat(visitor, now)

    def _beat(self, visitor: Visitor, now: float) -> None:
        visitor.send({"type": "heartbeat", "seq": 1_000_000, "received": visitor.received})
        self._lives.append((now + HEARTBEAT_S, visitor))

    def _read(self, visitor: Visitor) -> None:
        data = visitor.socket.recv(READ_BYTES)
        if not data:
            raise CrowdFailed(f"the server hung up on {visitor.login['user']['user_id']}")
        if data[0] == 0x81 and not visitor.rest and len(data) < 128 and len(data) == data[1] + 2:
            # Nearly always: one short notice.
            self._message(visitor, data, 2)
            return
        data = visitor.rest + data
        if not visitor.opened:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                visitor.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise CrowdFailed(f"no WebSocket: {head[:200]!r}")
            visitor.opened = True
            visitor.send(visitor.login)
        visitor.rest = self._frames(visitor, data)

    def _frames(self, visitor: Visitor, data: bytes) -> bytes:
        """Take what has come whole; the rest is returned."""
        at = 0
        while len(data) - at >= 2:
            size, body = data[at + 1], at + 2
            if size >= 126:
                body += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : body], "big")
            if len(data) < body + size:
                if data[at] == 0x81 and not visitor.heard_at and data.startswith(NOTICE, body):
                    self._heard(visitor)
                break
            kind = data[at] & 0x0F
            payload = data[body : body + size]
            if kind == PING:
                visitor.socket.sendall(bytes((0x80 | PONG, 0x80 | size)) + bytes(4) + payload)
            elif kind == CLOSE:
                raise CrowdFailed(f"the server closed: {payload[2:]!r}")
            elif kind == TEXT:
                if data[at] & 0x40:
                    # RFC 7692 section 7.2.2; no context is taken over.
                    payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
                self._message(visitor, payload, 0)
            at = body + size
        return data[at:]

    def _message(self, visitor: Visitor, data: bytes, at: int) -> None:
        if data.startswith(COUNTED, at):
            visitor.received += 1
            if not visitor.heard_at and data.startswith(NOTICE, at):
                self._heard(visitor)
        elif not visitor.logged_in_at:
            now = visitor.logged_in_at = time.perf_counter()
            if not data.startswith(b'{"type":"login_ok"', at):
                raise CrowdFailed(f"the login was refused: {data[at : at + 300]!r}")
            if "viewer_offer" in visitor.login:
                visitor.welcome = data[at:]
            self._beat(visitor, now)

    def _heard(self, visitor: Visitor) -> None:
        visitor.heard_at = time.perf_counter()
        self.unheard -= 1

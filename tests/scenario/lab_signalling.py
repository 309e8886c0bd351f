"""Signalling in the lab: the SDK's connection and the server's session, with a pair of queues for a network between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from sanderling.errors import ErrorCode
from sanderling.sdk.connection import Connection

__all__ = ["LabConnection", "LabNetwork", "Wire"]

DELAY_S = 0.02
"""One way."""
ABNORMAL = 1006


class Wire:
    """One direction: what is put in comes out after the delay, in order."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()

    def put(self, item: Any, *, after: float = DELAY_S) -> None:
        self._items.put_nowait((asyncio.get_running_loop().time() + after, item))

    async def take(self) -> Any:
        at, item = await self._items.get()
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        return item


class LabSocket:
    """The client's end of a connection: as much of a WebSocket as the SDK uses."""

    def __init__(self, up: Wire, down: Wire) -> None:
        self._up, self._down = up, down
        self._over: ConnectionClosed | None = None
        self.transport = self

    async def recv(self) -> str:
        if self._over is not None:
            raise self._over
        item = await self._down.take()
        if isinstance(item, ConnectionClosed):
            self._over = item
            raise item
        return str(item)

    async def send(self, data: bytes, *, text: bool) -> None:
        if self._over is not None:
            raise self._over
        assert text
        self._up.put({"type": "websocket.receive", "text": data.decode()})

    async def close(self) -> None:
        self._up.put({"type": "websocket.disconnect", "code": 1000})

    def abort(self) -> None:
        self._up.put({"type": "websocket.disconnect", "code": ABNORMAL})

    def break_off(self) -> None:
        """The network takes it away from both ends."""
        self._down.put(ConnectionClosedError(None, None), after=0.0)
        self._up.put({"type": "websocket.disconnect", "code": ABNORMAL}, after=0.0)


class LabNetwork:
    """Ways from hosts to the server. ``serve`` is called with the server's end of every new connection."""

    def __init__(self) -> None:
        self.serve: Callable[[WebSocket], Any] | None = None
        """None while there is no server."""
        self._cut: set[str] = set()
        self._sockets: dict[LabSocket, str] = {}
        self._ports = itertools.count(50_000)
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self, host: str) -> None:
        """Break a host's connections and let none through."""
        self._cut.add(host)
        self.break_off(host)

    def mend(self, host: str) -> None:
        self._cut.discard(host)

    def break_off(self, host: str | None = None) -> None:
        """Break the connections of a host, or all."""
        for socket, of in list(self._sockets.items()):
            if host in (None, of):
                socket.break_off()
                del self._sockets[socket]

    async def connect(self, host: str) -> LabSocket:
        await asyncio.sleep(2 * DELAY_S)
        if self.serve is None or host in self._cut:
            raise ConnectionRefusedError("connection refused")
        up, down = Wire(), Wire()
        socket = LabSocket(up, down)
        self._sockets[socket] = host
        task = asyncio.get_running_loop().create_task(self._serve(self.serve, socket, up, down))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return socket

    async def _serve(
        self, serve: Callable[[WebSocket], Any], socket: LabSocket, up: Wire, down: Wire
    ) -> None:
        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "websocket.send":
                down.put(message["text"])
            elif message["type"] == "websocket.close":
                code = message.get("code", 1000)
                kind = ConnectionClosedOK if code == 1000 else ConnectionClosedError
                down.put(kind(Close(code, message.get("reason") or ""), None))

        scope = {
            "type": "websocket",
            "path": "/ws",
            "headers": [],
            "client": ("192.0.2.1", next(self._ports)),
        }
        up.put({"type": "websocket.connect"})
        await serve(WebSocket(scope, up.take, send))
        self._sockets.pop(socket, None)

    async def aclose(self) -> None:
        self.break_off()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


NETWORKS: dict[str, LabNetwork] = {}
"""By the name of the server; the user's host stands before it: ``http://alice.lab``."""


class LabConnection(Connection):
    """The SDK's connection over the lab's network in place of TCP."""

    async def _connect(self, seconds: float) -> None:
        host, _, server = str(urlsplit(self._url).hostname).partition(".")
        try:
            async with asyncio.timeout(seconds):
                socket: Any = await NETWORKS[server].connect(host)
        except TimeoutError:
            raise self._refused(ErrorCode.LOGIN_TIMEOUT, "nothing answered in time") from None
        except OSError as error:
            raise self._refused(ErrorCode.LOGIN_FAILED, str(error)) from None
        self._socket = socket
        self._spawn(self._receive(socket), "sanderling-receive")
        self._spawn(self._send(socket), "sanderling-send")

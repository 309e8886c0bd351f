"""A UDP relay in front of a server's media ports that delays and loses datagrams, and a transport's way through it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.viewer import ViewerTransport

__all__ = ["LossyPath", "lossy_path"]

CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host.*$", re.IGNORECASE)


class _End(asyncio.DatagramProtocol):
    """A socket of the relay; ``deliver`` gets what arrives."""

    def __init__(self, deliver: Any) -> None:
        self.deliver = deliver

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.deliver(data, address)


class LossyPath:
    """``delay_s`` one way; ``up`` and ``down`` are the shares lost on the way to and from the server."""

    def __init__(self, *, delay_s: float, up: float, down: float) -> None:
        self.delay_s, self.up, self.down = delay_s, up, down
        self.lost = 0
        self._random = random.Random(5)
        self._transports: list[asyncio.DatagramTransport] = []
        self._ports: dict[tuple[str, int], int] = {}

    async def lead(self, sdp: str) -> str:
        """An answer whose candidates are this path's; others than UDP are gone."""
        lines = []
        for line in sdp.splitlines():
            found = CANDIDATE.match(line)
            if found is not None:
                port = await self._port((found[1], int(found[2])))
                line = line.replace(f" {found[2]} typ", f" {port} typ")
            elif line.startswith("a=candidate:"):
                continue
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    async def _port(self, server: tuple[str, int]) -> int:
        if server not in self._ports:
            ways: dict[Any, asyncio.DatagramTransport] = {}
            near = await self._open(lambda data, client: self._out(near, ways, server, data, client))
            self._ports[server] = near.get_extra_info("sockname")[1]
        return self._ports[server]

    async def _open(self, deliver: Any) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _End(deliver), ("127.0.0.1", 0))
        self._transports.append(transport)
        return cast(asyncio.DatagramTransport, transport)

    def _out(
        self, near: Any, ways: dict[Any, Any], server: tuple[str, int], data: bytes, client: Any
    ) -> None:
        far = ways.get(client)
        if far is None:
            # One socket a client: by it the server knows whose the datagrams are.
            ways[client] = asyncio.ensure_future(
                self._open(lambda back, _: self._send(near, back, client, self.down))
            )
        elif isinstance(far, asyncio.Future):
            if far.done():
                ways[client] = far.result()
        else:
            self._send(far, data, server, self.up)

    def _send(self, transport: asyncio.DatagramTransport, data: bytes, to: Any, loss: float) -> None:
        if self._random.random() < loss:
            self.lost += 1
            return
        asyncio.get_running_loop().call_later(self.delay_s, transport.sendto, data, to)

    def close(self) -> None:
        for transport in self._transports:
            transport.abort()


@asynccontextmanager
async def lossy_path(
    patch: pytest.MonkeyPatch, kind: str, *, delay_s: float, up: float = 0.0, down: float = 0.0
) -> AsyncIterator[LossyPath]:
    """The transports of this process that are ``kind`` ("publisher" or "viewer") go this way."""
    path = LossyPath(delay_s=delay_s, up=up, down=down)
    transport = PublisherTransport if kind == "publisher" else ViewerTransport
    set_answer = transport.set_answer

    async def led(self: Any, sdp: str, *rest: Any) -> None:
        await set_answer(self, await path.lead(sdp), *rest)

    with patch.context() as inside:
        inside.setattr(transport, "set_answer", led)
        try:
            yield path
        finally:
            path.close()

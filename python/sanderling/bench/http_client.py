"""An HTTP/1.1 client for WHIP, WHEP and the server's own pages: connections are kept and used again.

No more than the benches need: plain HTTP to one host, answers with a length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

from sanderling.bench.failure import BenchFailed

__all__ = ["HttpClient", "Response"]

TIMEOUT_SECONDS = 20.0
"""How long an answer may take; a busy server queues hundreds of offers."""
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; names of ``headers`` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


class HttpClient:
    """Requests to the host of ``base``, at most ``connections`` at a time; the others wait their turn."""

    def __init__(self, base: str, *, connections: int = 32) -> None:
        parts = urlsplit(base)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{base!r} is no http:// URL")
        self._base = base
        self._host, self._port = parts.hostname, parts.port or 80
        self._turns = asyncio.Semaphore(connections)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the kept connections."""
        writers = [writer for _, writer in self._idle]
        self._idle.clear()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> Response:
        """Send a request; ``path`` may be relative to the base. BenchFailed when no answer comes."""
        target = urlsplit(urljoin(self._base, path))
        data = body.encode()
        lines = [
            f"{method} {target.path or '/'}{'?' + target.query if target.query else ''} HTTP/1.1",
            f"host: {self._host}:{self._port}",
            f"content-length: {len(data)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        async with self._turns:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await self._exchange(head + data)
            except TimeoutError:
                raise BenchFailed(f"{method} {target.path}: no answer in {TIMEOUT_SECONDS:.0f} s") from None
            except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
                raise BenchFailed(
                    f"{method} {target.path}: {type(error).__name__}: {error}", "has the server ended?"
                ) from error

    async def _exchange(self, request: bytes) -> Response:
        while self._idle:
            reader, writer = self._idle.pop()
            if reader.at_eof() or writer.is_closing():
                writer.close()  # the server has closed it in the meantime
                continue
            break
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=_HEAD_LIMIT)
        try:
            writer.write(request)
            await writer.drain()
            response = await _read_response(reader)
        except BaseException:
            writer.close()
            raise
        if response.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return response


async def _read_response(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(status_line.split()[1])
    if status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Response(status, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return body

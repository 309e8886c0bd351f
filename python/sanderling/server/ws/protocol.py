"""uvicorn's protocols with gaps closed: connections that never speak, peers that never read, and what thousands of
connections cost that hear the same.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol

from sanderling.server.ws.gate import Gate
from sanderling.server.ws.handover import Handover

__all__ = ["SHORT", "SHORT_TEXT", "BoundedHttpProtocol", "BoundedWebSocketProtocol"]

REQUEST_TIMEOUT_S = 10.0
"""How long a new connection may take for its first request line and headers. Lower cuts off clients on terrible
links; higher lets idle sockets hold descriptors longer."""
LINGER_S = 5.0
"""How long a closed WebSocket may take to read what is left for it, before it is cut off."""
SHORT = 1024
"""Bytes up to which a message is not worth compressing. Lower costs CPU for each notice, higher bytes on the line."""
SHORT_TEXT = "sanderling.short_text"
"""Name of the ASGI extension by which the application finds ``write_short_text``."""

_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=15,
    client_max_window_bits=15,
    compress_settings={"memLevel": 5},
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection that has not sent a whole request head in time."""

    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Start the clock."""
        super().connection_made(transport)
        self._request_timer = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def on_headers_complete(self) -> None:
        """The head is complete: the connection spoke."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        super().connection_lost(exc)


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Cuts off a peer that does not take what is left for it once the application is done.

    Compression keeps no state between messages: a compressor and a decompressor of its own would more than double
    what an idle connection holds, and what is worth compressing is single long offers.
    """

    _linger_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # What the base uses of a queue and of an event, these have.
        self.queue = cast(asyncio.Queue[Any], Handover[Any]())
        self.writable = cast(asyncio.Event, Gate())
        # The closing handshake is waited for no longer than that either.
        self.close_timeout = LINGER_S
        self.conn = ServerProtocol(
            extensions=[_DEFLATE] if self.config.ws_per_message_deflate else [],
            max_size=self.config.ws_max_size,
            logger=self.logger,
        )

    def handle_connect(self, event: Request) -> None:
        """Let the application write short texts past the library."""
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[SHORT_TEXT] = self.write_short_text

    def write_short_text(self, text: bytes) -> bool:
        """Write one text message of at most SHORT bytes as it is, uncompressed; False when the peer does not keep up,
        or has gone.

        Framing by the library, and waking a task for it, cost several times what the rest does, and a room sends each
        notice to everybody.
        """
        if not self.writable.is_set() or self.close_sent or self.transport.is_closing():
            return False
        size = len(text)
        # RFC 6455 section 5.2: a final text frame, not masked.
        head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
        self.transport.write(head + text)
        return True

    async def send(self, message: Any) -> None:
        """Take one event of the application; with the handshake done, its headers are let go of.

        Kept by the library, the parser and the scope they are some 4 KB, for hours.
        """
        await super().send(message)
        if message["type"] == "websocket.accept" and self.handshake_complete:
            self.request.headers.clear()
            self.response.headers.clear()
            cast(list[tuple[bytes, bytes]], self.scope["headers"]).clear()

    async def run_asgi(self) -> None:
        """Run the application, then make sure that the transport really ends."""
        await super().run_asgi()
        if not self.disconnected:
            self._linger_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport ended."""
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        super().connection_lost(exc)

"""uvicorn's protocols with two gaps closed: connections that never speak, and peers that never read."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["BoundedHttpProtocol", "BoundedWebSocketProtocol"]

REQUEST_TIMEOUT_S = 10.0
"""How long a new connection may take for its first request line and headers. Lower cuts off clients on terrible
links; higher lets idle sockets hold descriptors longer."""
LINGER_S = 5.0
"""How long a closed WebSocket may take to read what is left for it, before it is cut off."""


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
    """Cuts off a peer that does not take what is left for it once the application is done."""

    _linger_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # The closing handshake is waited for no longer than that either.
        self.close_timeout = LINGER_S

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

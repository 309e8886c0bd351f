"""Behind a proxy: who is asking, by which scheme and host, and under which path.

Headers count only when the connection comes from a proxy that the operator named; anybody else may write what they
like into them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from sanderling.server.addresses import parse_address, url_host
from sanderling.server.reach import parse_networks, parse_prefix

__all__ = ["Proxied", "origin_of"]

_HOST = re.compile(rb"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def origin_of(client: object) -> str:
    """ASGI's ``client`` as ``192.0.2.7:51000`` or ``[2001:db8::7]:51000``; without the port when it is 0: unknown."""
    if not isinstance(client, list | tuple) or not client or not client[0]:
        return ""
    host, port = str(client[0]), client[1] if len(client) > 1 else 0
    return f"{url_host(host)}:{port}" if port else host


class Proxied:
    """ASGI middleware around the application.

    ``proxies``: networks whose ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` are believed.
    ``prefix``: path under which the server is shown. A proxy may hand it on or strip it: both arrive at the same
    place, and so does a request that never had it (a health check on this machine).
    """

    def __init__(self, app: ASGIApp, *, proxies: Sequence[str] = (), prefix: str = "") -> None:
        self._networks = parse_networks(proxies)
        self._prefix = prefix
        # X-Forwarded-For and -Proto are uvicorn's: the last address that is none of the proxies' counts.
        self._app: Any = (
            ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=list(proxies)) if proxies else app
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] in ("http", "websocket"):
            scope = dict(scope)
            _undress_client(scope)
            prefix = self._prefix
            if self._is_proxy(scope):
                host, forwarded = _read(scope)
                if host:
                    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
                    scope["headers"] = [*headers, (b"host", host)]
                prefix = prefix or forwarded
            if prefix:
                _enter(scope, prefix)
        await self._app(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        client = scope.get("client")
        address = parse_address(client[0]) if client else None
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )


def _undress_client(scope: Scope) -> None:
    """On a socket for both families IPv4 clients come as ::ffff:192.0.2.7; every rule is about 192.0.2.7."""
    client = scope.get("client")
    if client and str(client[0]).lower().startswith("::ffff:"):
        address = parse_address(client[0])
        scope["client"] = (str(address), client[1])


def _read(scope: Scope) -> tuple[bytes, str]:
    """Host and path prefix of the nearest proxy; empty where there is none or what is there is none."""
    host, prefix = b"", ""
    for name, value in scope["headers"]:
        last = value.rpartition(b",")[2].strip()
        if name == b"x-forwarded-host" and _HOST.fullmatch(last):
            host = last
        elif name == b"x-forwarded-prefix":
            try:
                prefix = parse_prefix(last.decode("ascii"))
            except ValueError:
                prefix = ""
    return host, prefix


def _enter(scope: Scope, prefix: str) -> None:
    """ASGI: ``path`` begins with ``root_path``, whether the proxy kept the prefix or not."""
    path: str = scope["path"]
    if path != prefix and not path.startswith(prefix + "/"):
        scope["path"] = prefix + path
        if scope.get("raw_path") is not None:
            scope["raw_path"] = prefix.encode() + scope["raw_path"]
    scope["root_path"] = prefix

"""Composition root: the FastAPI application and the uvicorn server around it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from sanderling.bridge.engine import NativeModule
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.config import ServerConfig
from sanderling.server.http import operations, server_api, whep, whip
from sanderling.server.http.exchange import here
from sanderling.server.http.media_sessions import MediaSessions
from sanderling.server.http.page import mount_page
from sanderling.server.http.schema import COMPONENTS
from sanderling.server.lifecycle import Services, start_services, stop_services
from sanderling.server.proxy import Proxied
from sanderling.server.ws.protocol import BoundedHttpProtocol, BoundedWebSocketProtocol
from sanderling.server.ws.session import SignallingSession
from sanderling.signaling.codec import MAX_MESSAGE_BYTES, REGION_HEADER

__all__ = ["SIGNALLING_PATH", "Server", "api_document", "bind_port", "create_app", "serve"]

log = structlog.get_logger("server")

SIGNALLING_PATH = "/ws"
GRACE_S = 5
"""How long connections may take to end when the server goes down, in seconds."""
DRAIN_TURN_S = 0.01
DRAIN_TURNS = 100
"""Turns in which clients are told before their sockets are closed; a peer that does not read costs one second."""


class _Application(FastAPI):
    """The framework serves HTTP alone. A signalling connection lasts for hours, and would hold every layer of it:
    some thirty coroutines and 9 KB.
    """

    signalling: Callable[[WebSocket], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if (
            scope["type"] == "websocket"
            and self.signalling is not None
            and scope["path"].removeprefix(scope.get("root_path", "")) == SIGNALLING_PATH
        ):
            await self.signalling(WebSocket(scope, receive, send))
        else:
            await super().__call__(scope, receive, send)


def _api() -> _Application:
    app = _Application(title="Sanderling", docs_url=None, redoc_url=None, openapi_url=None)
    for part in (operations, whip, whep, server_api):
        app.include_router(part.router)
    return app


def api_document() -> dict[str, Any]:
    """The OpenAPI document of the HTTP surface; schema/openapi.json is this."""
    document = _api().openapi()
    # Parts of a path are plain text here and checked by hand, so that the framework's own refusal never comes.
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    components = document.setdefault("components", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    for kind, parts in COMPONENTS.items():
        components.setdefault(kind, {}).update(parts)
    return document


def create_app(services: Services) -> FastAPI:
    """Return the application around running services; it neither starts nor stops them."""
    app = _api()
    app.state.services = services
    app.state.media_sessions = MediaSessions(services.rooms, services.storage)
    app.state.server_api = server_api.ServerApi(services)
    # Where a session belongs: on a node alone always here.
    app.state.locate = here

    async def signalling(socket: WebSocket) -> None:
        region = services.config.region
        await socket.accept(headers=[(REGION_HEADER.encode(), region.encode())] if region else None)
        await SignallingSession(
            socket, services.rooms, services.limits, services.observer, services.sources.logins
        ).run()

    app.signalling = signalling
    mount_page(app, services.config.static)
    return app


def bind_port(host: str, port: int) -> socket.socket:
    """Open the listening socket; 1000017 with the flag to change when that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"{host!r} is no address of this machine: {error}",
            hint="change --host",
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" takes IPv4 too, whatever the system's own idea is; any other address takes itself alone.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"port {port} of {host} cannot be used: {error.strerror or error}",
            hint="choose another one with --port (0 = any free port), or another --host",
        ) from None
    return listener


class Server(uvicorn.Server):
    """uvicorn, told to stop by a call; a signal stops it and is not raised again afterwards."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell clients first, give their sockets one turn, then go down as uvicorn does."""
        for listener in self.servers:
            listener.close()
        self._services.draining = True
        self._services.rooms.drain()
        for _ in range(DRAIN_TURNS):
            if not self._services.rooms.counts()["connections"]:
                break
            await asyncio.sleep(DRAIN_TURN_S)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT or SIGTERM; the second SIGINT does not wait for connections."""
        loop = asyncio.get_running_loop()
        caught: list[signal.Signals] = []

        def stop(number: int) -> None:
            if self.should_exit and number == signal.SIGINT:
                self.force_exit = True
            self.should_exit = True
            self.stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread may; elsewhere somebody else decides when to stop.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, stop, number)
                caught.append(number)
        try:
            yield
        finally:
            for handled in caught:
                loop.remove_signal_handler(handled)


def make_server(services: Services) -> Server:
    """Return the server for running services; serve it with the socket of ``bind_port``."""
    settings, certificate = services.config, services.certificate
    config = uvicorn.Config(
        Proxied(create_app(services), proxies=settings.believed_proxies, prefix=settings.prefix),
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=True,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # By Proxied, which knows of prefixes too.
        proxy_headers=False,
        ssl_certfile=certificate.certificate if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, services)


@contextlib.asynccontextmanager
async def running(
    config: ServerConfig, *, native: NativeModule | None = None
) -> AsyncIterator[tuple[Services, Server, int]]:
    """Start everything; yields services, server and port once clients may come. Everything is down afterwards."""
    listener = bind_port(config.host, config.port)
    try:
        services = await start_services(config, native=native)
    except BaseException:
        listener.close()
        raise
    try:
        server = make_server(services)
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        ready = asyncio.get_running_loop().create_task(server.ready.wait())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                raise SanderlingError(ErrorCode.INTERNAL_ERROR, "the HTTP server ended before it began")
            yield services, server, listener.getsockname()[1]
        finally:
            ready.cancel()
            server.should_exit = True
            await task
    finally:
        await stop_services(services)
        listener.close()


async def serve(config: ServerConfig, *, on_ready: Callable[[Services, int], Awaitable[None] | None]) -> None:
    """Run until a signal comes; ``on_ready`` gets the services and the port in use, and may be async."""
    async with running(config) as (services, server, port):
        announced = on_ready(services, port)
        if announced is not None:
            await announced
        await server.stopping.wait()

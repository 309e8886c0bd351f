"""A real server for tests: uvicorn and the media engine on a thread with its own loop, everything temporary."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog
import uvloop

from sanderling import tokens
from sanderling.bridge.engine import NativeModule
from sanderling.server.app import SIGNALLING_PATH, running
from sanderling.server.config import ServerConfig
from sanderling.server.lifecycle import Services
from sanderling.server.storage import Project
from sanderling.server.storage.base import DEFAULT_MAX_PLAYS
from sanderling.server.telemetry import redact_processor

__all__ = ["TestServer", "server"]

T = TypeVar("T")

LOOPBACK = "127.0.0.1"


class TestServer:
    """A running server. Methods may be awaited from any loop; ``services`` belong to the server's own."""

    __test__ = False  # pytest: this is no test case

    def __init__(self, services: Services, loop: asyncio.AbstractEventLoop, port: int, state: Path) -> None:
        self.services = services
        self.loop = loop
        self.port = port
        self.state = state
        """State folder; give it to the command line with --state."""
        certificate = services.certificate
        secure = "s" if certificate else ""
        self.url = f"http{secure}://{LOOPBACK}:{port}"
        self.ws_url = f"ws{secure}://{LOOPBACK}:{port}{SIGNALLING_PATH}"
        self.fingerprint = certificate.fingerprint if certificate else ""
        """Of the server's certificate; "" without TLS."""

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def create_project(
        self, name: str = "test", *, l3: bool = True, max_plays: int = DEFAULT_MAX_PLAYS
    ) -> Project:
        """Make a project; L3 is on unless told otherwise."""
        return await self.call(self.services.storage.create_project(name, l3=l3, max_plays=max_plays))

    async def change_project(self, project: Project, **settings: Any) -> None:
        """Change project settings (``ProjectSettings``)."""
        await self.call(self.services.storage.update_project(project.app_id, settings=settings))

    async def kick(self, project: Project, room_id: str, user_id: str, reason: str = "") -> bool:
        """Kick a user out of a room, as the operator would."""
        administration = self.services.rooms.administration
        return await self.call(administration.kick(project.app_id, room_id, user_id, reason))

    async def forbid_stream(self, project: Project, stream_id: str, seconds: float, reason: str = "") -> bool:
        """Forbid a stream, as the operator would."""
        administration = self.services.rooms.administration
        return await self.call(administration.forbid_stream(project.app_id, stream_id, seconds, reason))

    async def set_l3(self, project: Project, on: bool) -> None:
        """Throw the project's L3 switch."""
        await self.call(self.services.storage.update_project(project.app_id, l3=on))

    def token(
        self,
        project: Project,
        user_id: str,
        *,
        room_id: str = "",
        can_login: bool = True,
        can_publish: bool = True,
        stream_ids: Sequence[str] = (),
        expire_s: int = 3600,
        now: float | None = None,
        gcm: bool = False,
    ) -> str:
        """Make a token; with ``room_id`` it carries privileges. ``now``: when it was made (Unix seconds)."""
        payload = ""
        if room_id:
            payload = tokens.privilege_payload(
                room_id, can_login=can_login, can_publish=can_publish, stream_ids=stream_ids
            )
        return tokens.generate(
            project.app_id,
            user_id,
            project.server_secret,
            expire_s,
            payload,
            now=time.time() if now is None else now,
            mode=tokens.EnvelopeMode.GCM if gcm else tokens.EnvelopeMode.CBC,
        )

    async def snapshot(self) -> dict[str, Any]:
        """What the server holds: counts by kind, and every room."""

        async def look() -> dict[str, Any]:
            services = self.services
            return {
                "counts": services.rooms.counts(),
                "registry": {"users": services.registry.users, "streams": services.registry.streams},
                "subscriptions": services.bus.subscriptions,
                "sessions": services.engine.open_sessions,
                "engine": {**services.engine.counters(), "added_delay": services.engine.added_delay()},
                "rooms": services.rooms.describe(),
                "workers": await services.engine.snapshot(),
            }

        return await self.call(look())


def _quiet(_logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if method in {"debug", "info"}:
        raise structlog.DropEvent
    return event


def _log_quietly() -> None:
    """Unless the program has set logging up: warnings to stderr. The default is everything to stdout, which belongs
    to the program around the server.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            _quiet,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            redact_processor,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        # Asked each time, because the test around it may have put another stream in its place.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _serve(
    config: ServerConfig,
    native: NativeModule | None,
    started: Future[tuple[Services, asyncio.AbstractEventLoop, asyncio.Event, int]],
) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        async with running(config, native=native) as (services, _, port):
            started.set_result((services, asyncio.get_running_loop(), stop, port))
            await stop.wait()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


@contextlib.asynccontextmanager
async def server(
    *,
    workers: int = 1,
    heartbeat_timeout_s: float = 30.0,
    closed_timeout_s: float = 5.0,
    resume_timeout_s: float = 90.0,
    login_timeout_s: float = 10.0,
    messages_per_s: float = 1000.0,
    logins_per_s: float = 0.0,
    posts_per_s: float = 0.0,
    admin_secret: str = "",
    tls: str = "",
    max_sessions: int = 20_000,
    region: Literal["", "CN", "NA", "EU", "AS", "IN"] = "",
    turn: Sequence[str] = (),
    turn_secret_file: str = "",
    native: NativeModule | None = None,
) -> AsyncIterator[TestServer]:
    """Run a server on free ports of 127.0.0.1, with its state in a temporary folder; nothing is left behind.

    ``native`` replaces the media extension (``sanderling.testing.fake_engine``); other parameters as in
    ``ServerConfig``.
    """
    _log_quietly()
    temporary = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="sanderling-")
    folder = temporary.name
    try:
        config = ServerConfig(
            port=0,
            state=folder,
            media_ports="0",
            media_listen=(LOOPBACK,),
            public_address=(LOOPBACK,),
            workers=workers,
            heartbeat_timeout_s=heartbeat_timeout_s,
            closed_timeout_s=closed_timeout_s,
            resume_timeout_s=resume_timeout_s,
            login_timeout_s=login_timeout_s,
            messages_per_s=messages_per_s,
            logins_per_s=logins_per_s,
            posts_per_s=posts_per_s,
            admin_secret=admin_secret,
            tls=tls,
            max_sessions=max_sessions,
            region=region,
            turn=tuple(turn),
            turn_secret_file=turn_secret_file,
        )
        started: Future[tuple[Services, asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        thread = threading.Thread(target=_serve, args=(config, native, started), name="sanderling-server")
        thread.start()
        try:
            services, loop, stop, port = await asyncio.wrap_future(started)
        except BaseException:
            await asyncio.to_thread(thread.join)
            raise
        try:
            yield TestServer(services, loop, port, Path(folder))
        finally:
            loop.call_soon_threadsafe(stop.set)
            await asyncio.to_thread(thread.join)
    finally:
        await asyncio.to_thread(temporary.cleanup)

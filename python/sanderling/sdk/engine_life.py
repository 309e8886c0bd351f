"""What all calls of an engine stand on: its loop, profile, rooms and previews, and whether it is there still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.connection import websocket_url
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.webrtc.runtime import ForkGuard

if TYPE_CHECKING:
    from sanderling.enums import Channel
    from sanderling.sdk.config import EngineProfile
    from sanderling.sdk.handler import EventHandler
    from sanderling.sdk.preview import Preview
    from sanderling.sdk.room import Room

__all__ = ["EngineLife"]


class EngineLife:
    """Base of the engine and of its groups of calls, each of which keeps what it needs beside this."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise SanderlingError(
                ErrorCode.ENGINE_NOT_CREATED,
                "an engine is made inside a running event loop",
                hint="make it in an async function started with asyncio.run",
            ) from None
        websocket_url(profile.server)
        self._guard = ForkGuard()
        self._profile = profile
        self._dispatcher = Dispatcher(self._loop, handler)
        self._members: dict[str, Room] = {}
        """Rooms it is in or logging in to, by roomID."""
        self._rooms: set[Room] = set()
        """Those and the ones that it is leaving."""
        self._previews: dict[Channel, Preview] = {}
        self._destroying: asyncio.Task[None] | None = None

    def _check(self) -> None:
        """1000001 once it was destroyed."""
        self._guard.check()
        if self._destroying is not None:
            raise SanderlingError(ErrorCode.ENGINE_NOT_CREATED, "this engine was destroyed")

    def _fail(self, error: SanderlingError, function: str) -> NoReturn:
        """Report the error of a call to the handler, and raise it."""
        self._dispatcher.report(error, function)
        raise error from None

"""The viewer transport of a session over its life: offered with the login, grown with the plays, replaced when lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from sanderling.errors import ErrorCode, PlayError, SanderlingError
from sanderling.sdk.config import VideoCodec
from sanderling.signaling.messages import IceServer

if TYPE_CHECKING:
    from sanderling.sdk.webrtc.viewer import ViewerTransport

__all__ = ["Negotiate", "Viewing"]

Negotiate = Callable[[str], Awaitable[str]]
"""Sends an offer of the viewer transport to the server and returns the answer."""


class Viewing:
    """Holds the transport that plays use.

    ``on_doubt`` is called when it has been silent for a while, ``on_lost`` when it broke down after it had been up.
    One that never came up keeps its error instead, because another one would fare no better.
    """

    def __init__(
        self,
        codecs: tuple[VideoCodec, ...],
        negotiate: Negotiate,
        *,
        on_doubt: Callable[[], None],
        on_lost: Callable[[], None],
        on_failed: Callable[[SanderlingError], None],
    ) -> None:
        self._codecs = codecs
        self._negotiate = negotiate
        self._on_doubt = on_doubt
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._error: SanderlingError | None = None
        self._lost = False
        self._answered = _future()
        self.was_up = False
        self.transport: ViewerTransport | None = None

    @property
    def error(self) -> SanderlingError | None:
        """Why nothing can be played."""
        return self._error

    @property
    def up(self) -> bool:
        """Whether media can flow now."""
        return self.transport is not None and self.transport.connected

    async def begin(self, slots: int) -> str:
        """A new transport with room for ``slots`` plays in place of the present one; its offer, for a login."""
        return await self._make(slots).offer()

    async def accept(self, answer: str, ice_servers: Sequence[IceServer]) -> None:
        """Take the server's answer to ``begin``."""
        transport, answered = self.transport, self._answered
        try:
            if transport is not None and answer:
                await transport.accept(answer, ice_servers)
        except SanderlingError as error:
            if not answered.done():
                answered.set_exception(error)
            if transport is self.transport:
                self._fail(error)
        else:
            self._lost = self._lost and transport is not self.transport
            if not answered.done():
                answered.set_result(None)

    async def replace(self, slots: int, ice_servers: Sequence[IceServer]) -> None:
        """A new transport within the running session. What fails is the error of later plays, as in ``accept``."""
        offer = await self.begin(slots)
        answered = self._answered
        try:
            answer = await self._negotiate(offer)
        except SanderlingError as error:
            if not answered.done():
                answered.set_exception(error)
            raise
        await self.accept(answer, ice_servers)

    async def make_slot(self, needed: int) -> None:
        """See that there are ``needed`` slots, as far as the pool may grow."""
        if self._error is not None:
            raise self._error
        if self.transport is None or self._lost or needed > self.transport.slots:
            await self.ready()  # the first answer must be set before the next offer
        if self.transport is not None:
            await self.transport.grow(needed, self._negotiate)

    async def ready(self) -> None:
        """Wait until the present transport has its answer."""
        while True:
            answered = self._answered
            try:
                await asyncio.shield(answered)
            except SanderlingError:
                if answered is self._answered:
                    raise
            if answered is self._answered:
                return

    def lose(self) -> None:
        """Give the transport up: plays wait for the answer to the next one."""
        if self.transport is not None and not self._lost:
            self._lost = True
            self.was_up = False
            if self._answered.done():
                self._answered = _future()
            self._on_lost()

    def stop(self, error: SanderlingError) -> None:
        """No answer will come any more."""
        if not self._answered.done():
            self._answered.set_exception(error)

    def close(self) -> None:
        """Close the transport."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.close()

    def _make(self, slots: int) -> ViewerTransport:
        from sanderling.sdk.webrtc.viewer import ViewerTransport

        self.close()
        if self._answered.done():
            self._answered = _future()
        self.was_up = False
        self._error = None
        transport = self.transport = ViewerTransport(
            self._codecs, lambda state, error: self._state(transport, state, error), slots=slots
        )
        return transport

    def _state(self, transport: ViewerTransport, state: str, error: SanderlingError | None) -> None:
        if transport is not self.transport:
            return
        if state == "connected":
            self.was_up = True
        elif state == "in doubt":
            self._on_doubt()
        elif error is None and (self.was_up or self._lost):
            self.lose()
        else:
            lost = PlayError(
                ErrorCode.PLAY_INTERRUPTED,
                "the media connection to the server did not come up",
                hint="check that UDP and TCP to the server's media port pass the firewall",
            )
            self._fail(error or lost)

    def _fail(self, error: SanderlingError) -> None:
        if self._error is None:
            self._error = error
            self._on_failed(error)


def _future() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(_retrieve)
    return future


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()

"""The network side of a room: signalling, the viewer transport, requests and their replies, tasks.

One session of the SDK outlives the server's: when the connection is lost it is resumed, and when the server has
forgotten it there is a new login, until :attr:`EngineProfile.room_retry_time` is over.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable, Coroutine
from importlib import metadata
from typing import Protocol, TypeVar

from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError
from sanderling.sdk.backoff import Backoff, is_passing
from sanderling.sdk.config import EngineProfile, RoomConfig, User, token_of
from sanderling.sdk.connection import Connection
from sanderling.sdk.viewing import Viewing
from sanderling.sdk.webrtc import runtime
from sanderling.signaling import messages
from sanderling.signaling.client import (
    ClientEvent,
    ClientState,
    Ended,
    Failed,
    Interrupted,
    Notice,
    Noticed,
    Replied,
    Resumed,
    SignalingClient,
)

__all__ = ["ANSWER_TIMEOUT", "Session", "SessionOwner"]

log = logging.getLogger("sanderling.sdk")

R = TypeVar("R")

ANSWER_TIMEOUT = 2.0
"""Seconds for which the reply to a stop or a logout is waited for."""

EAGER_CONNECT_TIMEOUT = 3.0
"""Seconds for a connection while attempts are frequent: a request to connect that was lost is repeated by the system
ever more rarely, so that a new one finds a network that is back sooner."""

_KICK_CODES = frozenset(
    {
        ErrorCode.KICKED_BY_SAME_USER,
        ErrorCode.KICKED_BY_SERVER,
        ErrorCode.KICKED_TOKEN_EXPIRED,
    }
)


class SessionOwner(Protocol):
    """Who is told what happens in a session."""

    def logged_in(self, reply: messages.LoginOk) -> None:
        """The server accepted the first login."""

    def interrupted(self, error: SanderlingError) -> None:
        """The connection is away; attempts to bring it back have begun."""

    def resumed(self) -> None:
        """It is back, and nothing was lost."""

    def logged_in_again(self, reply: messages.LoginOk) -> None:
        """It is back by a new login: the server holds nothing of what was published and played."""

    def noticed(self, notice: Notice) -> None:
        """The server reports a change."""

    def switched(self, reply: messages.LoginOk) -> None:
        """The server accepted the change to another room."""

    def viewer_lost(self) -> None:
        """The viewer transport is gone; another one is being made."""

    def viewer_failed(self, error: SanderlingError) -> None:
        """Nothing can be played any more."""

    def slots_needed(self) -> int:
        """How many streams are played."""

    def session_ended(self, end: Ended) -> None:
        """It is over, once, for whatever reason."""


class Session:
    """One membership of one room on one server."""

    def __init__(
        self,
        profile: EngineProfile,
        owner: SessionOwner,
        *,
        beside: Callable[[], Awaitable[messages.SessionKey]] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._profile = profile
        self.av_retry_time = profile.av_retry_time
        """Seconds for which a lost viewer transport is made anew."""
        self._owner = owner
        self._beside = beside
        self._login: tuple[str, User, RoomConfig] | None = None
        self._client = SignalingClient()
        self._connection = self._connect()
        self._replies: dict[int, asyncio.Future[messages.Message]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._over = asyncio.Event()
        self._online = asyncio.Event()
        self._online.set()  # requests before the first login wait in the client
        self._interruption: asyncio.Future[SanderlingError] = self._loop.create_future()
        self._attempt: asyncio.Future[None] | None = None
        self._was_in = False
        self._up = asyncio.Event()
        self._leaving = False
        self.viewing = Viewing(
            profile.video_codecs,
            self._negotiate,
            on_doubt=self.doubt,
            on_lost=self._viewer_lost,
            on_failed=owner.viewer_failed,
        )
        self.ice_servers: tuple[messages.IceServer, ...] | None = None
        """TURN servers; None until the login is answered."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    @property
    def is_online(self) -> bool:
        """Whether requests reach the server now."""
        return self._up.is_set() and not self.over

    async def up_or_over(self) -> None:
        """Wait until requests reach the server or never will."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._up, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def key(self) -> messages.SessionKey:
        """Proof of the server's session, for a login beside it; empty while there is none."""
        return messages.SessionKey() if self.over else self._client.key

    @property
    def round_trip_ms(self) -> float | None:
        """Round trip of the newest heartbeat in milliseconds."""
        return self._client.round_trip_ms

    def spawn(self, work: Coroutine[object, object, R], name: str) -> asyncio.Task[R]:
        """A task that lives no longer than this session."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call on the loop, from any thread; dropped when the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def doubt(self) -> None:
        """Media has been silent for a while: see whether signalling still gets through, in case the address changed."""
        if self.is_online:
            self._client.probe(now=self._connection.now())
            self._connection.flush()

    async def online(self) -> None:
        """Wait until requests reach the server. Ends with the session, by cancellation."""
        await self._online.wait()

    # ------------------------------------------------------------------------------------------ life

    def login(self, room_id: str, user: User, config: RoomConfig) -> None:
        """Connect, make the viewer transport and log in, all at once."""
        self._login = (room_id, user, config)
        self.spawn(self._keep(), "sanderling-session")

    def change_login(self, room_id: str, config: RoomConfig) -> None:
        """Log in like this when it has to be done again: another room, a newer token."""
        if self._login is not None:
            self._login = (room_id, self._login[1], config)

    async def logout(self) -> None:
        """Tell the server and wait, not long, for its goodbye."""
        if self.over:
            return
        self._leaving = True
        self._client.logout(now=self._connection.now(), timeout=ANSWER_TIMEOUT)
        self._connection.flush()
        if self._client.state is ClientState.ENDED:
            self.end(Ended(None))  # between two sessions there is nobody to say goodbye to
        await self._over.wait()

    def end(self, end: Ended) -> None:
        """It is over; the first call counts."""
        if not self.over:
            self._over.set()
            gone = end.error or RoomError(ErrorCode.NOT_LOGGED_IN, "the room was left")
            self.viewing.stop(gone)
            self._fail_all(gone)
            self._owner.session_ended(end)

    async def release(self) -> None:
        """Close the connections and end the tasks."""
        self.viewing.close()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await self._connection.close()
        if tasks:
            await asyncio.wait(tasks)

    def abort(self) -> None:
        """The same without waiting, for a loop that is being closed."""
        self._over.set()
        self.viewing.close()
        self._connection.abort()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------------------------------ requests

    async def request(self, build: Callable[[int], messages.ClientMessage], expected: type[R]) -> R:
        """Send what ``build`` makes of its number and return the reply.

        A request that is under way when the connection is lost waits for the resumption; when the session cannot be
        resumed it fails with a code for which :func:`is_passing` is true.
        """
        reply = await self._post(build)[1]
        if not isinstance(reply, expected):
            what = type(reply).__name__
            raise RoomError(ErrorCode.SESSION_ERROR, f"the server answered with something else ({what})")
        return reply

    def post(self, build: Callable[[int], messages.ClientMessage]) -> int | None:
        """Send a request whose reply may be waited for with ``settle``: its number; None when the session is over."""
        return None if self.over else self._post(build)[0]

    async def settle(self, seq: int) -> None:
        """Wait, not long, until the server has answered; what it answers changes nothing any more."""
        future = self._replies.get(seq)
        if future is not None:
            await asyncio.wait([future], timeout=ANSWER_TIMEOUT)

    def _post(
        self, build: Callable[[int], messages.ClientMessage]
    ) -> tuple[int, asyncio.Future[messages.Message]]:
        if self.over:
            raise SanderlingError(ErrorCode.NOT_LOGGED_IN, "the room was left")
        seq = self._client.request(build, now=self._connection.now())
        future = self._replies[seq] = self._loop.create_future()
        future.add_done_callback(_retrieve)
        self._connection.flush()
        return seq, future

    def _fail_all(self, error: SanderlingError) -> None:
        waiting, self._replies = self._replies, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)

    async def _negotiate(self, offer: str) -> str:
        return (
            await self.request(lambda seq: messages.ViewerOffer(seq, offer), messages.ViewerAnswer)
        ).answer

    # ------------------------------------------------------------------------------------------ connection

    def _connect(self) -> Connection:
        client = self._client
        return Connection(
            self._profile.server,
            client,
            lambda event: self._handle(client, event),
            tls=self._profile.tls,
            fence=self._profile.geo_fence,
        )

    async def _keep(self) -> None:
        """Log in, and bring the connection back whenever it is lost."""
        try:
            await self._log_in(self._connection.open())
            while True:
                error = await self._interruption
                self._interruption = self._loop.create_future()
                await self._come_back(error)
        except SanderlingError as error:
            self.end(Ended(error, kicked=error.code in _KICK_CODES))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the session failed")
            self.end(Ended(RoomError(ErrorCode.LOGIN_FAILED, f"the login failed: {error!r}")))

    async def _come_back(self, error: SanderlingError) -> None:
        """Resume or log in again, until it succeeds, is refused for good, or the time for it is up."""
        backoff = Backoff(self._profile.room_retry_time, now=self._loop.time())
        while True:
            wait = error.retry_after if isinstance(error, RateLimited) else 0.0
            await asyncio.sleep(backoff.next(self._loop.time(), at_least=wait))
            try:
                await self._renew(EAGER_CONNECT_TIMEOUT if backoff.eager(self._loop.time()) else None)
                return
            except SanderlingError as failure:
                error = failure
            if not is_passing(error):
                raise error
            if backoff.over(self._loop.time()):
                seconds = f"{self._profile.room_retry_time:g}"
                raise RoomError(
                    ErrorCode.RETRY_TIME_EXCEEDED,
                    f"the connection could not be made again within {seconds} s; the last attempt: {error.message}",
                    hint="check the network; log in again",
                )

    async def _renew(self, seconds: float | None) -> None:
        """One attempt: the session on a new connection, or a new session when the server has none for it."""
        if self._client.state is ClientState.INTERRUPTED:
            await self._replace_connection(seconds)
            self._attempt = self._loop.create_future()
            self._client.resume(now=self._connection.now())
            self._connection.flush()
            try:
                await self._attempt
                return
            except SanderlingError as error:
                if error.code != ErrorCode.SESSION_ERROR:
                    raise
            finally:
                self._attempt = None
        if self._client.state is ClientState.ENDED:
            self._client = SignalingClient()
        await self._log_in(await self._replace_connection(seconds))

    async def _replace_connection(self, seconds: float | None) -> asyncio.Task[None]:
        """A connection that is open, in place of the lost one."""
        lost, self._connection = self._connection, self._connect()
        lost.abort()
        self.spawn(lost.close(), "sanderling-close")
        opening = self._connection.open(seconds)
        await asyncio.shield(opening)
        return opening

    async def _log_in(self, opening: asyncio.Task[None]) -> None:
        assert self._login is not None
        # Loading the media engine reads 20 MB; not on the loop.
        await self._loop.run_in_executor(None, runtime.load)
        offer = await self.viewing.begin(self._owner.slots_needed())
        token = await token_of(self._login[2])
        await opening
        beside = await self._beside() if self._beside is not None else None
        room_id, user, config = self._login
        if self.over:
            return
        attempt = self._attempt = self._loop.create_future()
        self._client.login(
            app_id=self._profile.app_id,
            room_id=room_id,
            user=messages.User(user_id=user.user_id, user_name=user.user_name),
            token=token,
            app_sign=self._profile.app_sign,
            config=messages.RoomConfig(
                max_member_count=config.max_member_count,
                is_user_status_notify=config.is_user_status_notify,
                custom_data=config.custom_data,
            ),
            viewer_offer=offer,
            client=messages.ClientInfo(sdk="python", version=SDK_VERSION, platform=platform.system()),
            beside=beside,
            now=self._connection.now(),
        )
        self._connection.flush()
        try:
            await attempt
        finally:
            self._attempt = None

    # ------------------------------------------------------------------------------------------ events

    def _handle(self, client: SignalingClient, event: ClientEvent) -> None:
        if client is not self._client:
            return
        match event:
            case Replied(seq, reply):
                if isinstance(reply, messages.LoginOk):
                    self._logged_in(reply)
                future = self._replies.pop(seq, None)
                if future is not None and not future.done():
                    future.set_result(reply)
            case Failed(seq, error):
                future = self._replies.pop(seq, None)
                if future is not None and not future.done():
                    future.set_exception(error)
            case Noticed(notice):
                self._owner.noticed(notice)
            case Resumed(reply):
                self._resumed(reply)
            case Interrupted(error):
                self._lost(error)
            case Ended(error, kicked):
                if kicked or self._leaving or error is None:
                    self.end(event)
                else:
                    self._lost(error)

    def _logged_in(self, reply: messages.LoginOk) -> None:
        self.ice_servers = reply.ice_servers
        again, self._was_in = self._was_in, True
        self._online.set()
        self._up.set()
        if self._attempt is None:
            self._owner.switched(reply)
            return
        self.spawn(self.viewing.accept(reply.viewer_answer, reply.ice_servers), "sanderling-viewer")
        if again:
            self._owner.logged_in_again(reply)
        else:
            self._owner.logged_in(reply)
        self._succeeded()

    def _resumed(self, reply: messages.ResumeOk) -> None:
        if reply.ice_servers:
            self.ice_servers = reply.ice_servers
        self._online.set()
        self._up.set()
        self._owner.resumed()
        self._succeeded()
        if self.viewing.was_up and not self.viewing.up:
            # The address may have changed: better a new transport now than one that gives up in half a minute.
            self.viewing.lose()

    def _succeeded(self) -> None:
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_result(None)

    def _lost(self, error: SanderlingError) -> None:
        """The connection broke, or an attempt to make one failed."""
        if self._attempt is not None:
            if not self._attempt.done():
                self._attempt.set_exception(error)
        elif self._was_in:
            self._connection.abort()
            self._online.clear()
            self._up.clear()
            self._owner.interrupted(error)
            if not self._interruption.done():
                self._interruption.set_result(error)
        else:
            self.end(Ended(error))
        if self._client.state is ClientState.ENDED and self._was_in and not self.over:
            # What is asked for meanwhile waits for the next session.
            self._client = SignalingClient()

    def _viewer_lost(self) -> None:
        if not self.over:
            self._owner.viewer_lost()
            self.spawn(self._replace_viewer(), "sanderling-viewer")

    async def _replace_viewer(self) -> None:
        lost = self.viewing.transport
        backoff = Backoff(self.av_retry_time, now=self._loop.time())
        while True:
            await asyncio.sleep(backoff.next(self._loop.time()))
            await self.online()
            if self.viewing.transport is not lost:
                return  # a login has made one
            try:
                await self.viewing.replace(self._owner.slots_needed(), self.ice_servers or ())
                return
            except SanderlingError as error:
                if not is_passing(error) or backoff.over(self._loop.time()):
                    self._owner.viewer_failed(error)
                    return
                lost = self.viewing.transport


def _read_version() -> str:
    try:
        return metadata.version("sanderling")
    except metadata.PackageNotFoundError:
        return ""


SDK_VERSION = _read_version()


def _retrieve(future: asyncio.Future[R]) -> None:
    if not future.cancelled():
        future.exception()

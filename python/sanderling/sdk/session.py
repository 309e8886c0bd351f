"""The network side of a room: signalling, the viewer transport, requests and their replies, tasks."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Coroutine
from importlib import metadata
from typing import TYPE_CHECKING, Protocol, TypeVar

from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError
from sanderling.sdk.config import EngineProfile, PlayerConfig, RoomConfig, User
from sanderling.sdk.connection import Connection
from sanderling.sdk.webrtc import runtime
from sanderling.signaling import messages
from sanderling.signaling.client import ClientEvent, Ended, Failed, Notice, Noticed, Replied, SignalingClient

if TYPE_CHECKING:
    from sanderling.sdk.webrtc.viewer import ViewerTransport

__all__ = ["Session", "SessionOwner"]

log = logging.getLogger("sanderling.sdk")

R = TypeVar("R")

ANSWER_TIMEOUT = 2.0
"""Seconds for which the reply to a stop or a logout is waited for."""


class SessionOwner(Protocol):
    """Who is told what happens in a session."""

    def logged_in(self, reply: messages.LoginOk) -> None:
        """The server accepted the login."""

    def noticed(self, notice: Notice) -> None:
        """The server reports a change."""

    def viewer_failed(self, error: SanderlingError) -> None:
        """Nothing can be played any more."""

    def session_ended(self, error: SanderlingError | None, *, kicked: bool) -> None:
        """It is over, once, for whatever reason."""


class Session:
    """One login on one server."""

    def __init__(self, profile: EngineProfile, owner: SessionOwner) -> None:
        self._loop = asyncio.get_running_loop()
        self._profile = profile
        self._owner = owner
        self._client = SignalingClient()
        self._connection = Connection(profile.server, self._client, self._handle, tls=profile.tls)
        self._replies: dict[int, asyncio.Future[object]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._over = asyncio.Event()
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._answered.add_done_callback(_retrieve)
        self._viewer_error: SanderlingError | None = None
        self.viewer: ViewerTransport | None = None
        self.ice_servers: tuple[messages.IceServer, ...] | None = None
        """TURN servers; None until the login is answered."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

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

    # ------------------------------------------------------------------------------------------ life

    def login(self, room_id: str, user: User, config: RoomConfig) -> None:
        """Connect, make the viewer transport and log in, all at once."""
        self.spawn(self._login(room_id, user, config), "sanderling-login")

    async def logout(self) -> None:
        """Tell the server and wait, not long, for its goodbye."""
        if self.over:
            return
        self._client.logout(now=self._connection.now())
        self._connection.flush()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._over.wait()
        except TimeoutError:
            log.warning("the server did not answer the logout in time")
            self.end(None)

    def end(self, error: SanderlingError | None, *, kicked: bool = False) -> None:
        """It is over; the first call counts."""
        if not self.over:
            self._over.set()
            if not self._answered.done():
                self._answered.set_exception(error or RoomError(ErrorCode.NOT_LOGGED_IN, "the room was left"))
            self._owner.session_ended(error, kicked=kicked)

    async def release(self) -> None:
        """Close the connections and end the tasks."""
        if self.viewer is not None:
            self.viewer.close()
        await self._connection.close()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def abort(self) -> None:
        """The same without waiting, for a loop that is being closed."""
        self._over.set()
        if self.viewer is not None:
            self.viewer.close()
        self._connection.abort()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------------------------------ requests

    async def make_slot(self, needed: int) -> None:
        """See that the viewer transport has ``needed`` slots, as far as it may grow."""
        if self._viewer_error is not None:
            raise self._viewer_error
        if self.viewer is None or needed > self.viewer.slots:
            await asyncio.shield(self._answered)  # the first answer must be set before the next offer
        if self.viewer is not None:
            await self.viewer.grow(needed, self._negotiate)

    async def publish(
        self, stream_id: str, offer: str, *, channel: int, extra_info: str
    ) -> messages.PublishOk:
        """Ask the server to publish."""
        reply = await self._request(
            lambda now: self._client.publish(
                stream_id, offer, channel=channel, extra_info=extra_info, now=now
            )
        )
        if not isinstance(reply, messages.PublishOk):
            raise PublishError(ErrorCode.PUBLISH_FAILED, "the server answered a publish with something else")
        return reply

    async def play(self, stream_id: str, config: PlayerConfig) -> messages.PlayOk:
        """Ask the server to play."""
        mode = int(config.resource_mode)
        reply = await self._request(
            lambda now: self._client.play(
                stream_id, resource_mode=mode, audio=config.audio, video=config.video, now=now
            )
        )
        if not isinstance(reply, messages.PlayOk):
            raise PlayError(ErrorCode.PLAY_FAILED, "the server answered a play with something else")
        return reply

    def stop_publish(self, stream_id: str) -> int | None:
        """Tell the server that a stream ends; the number to ``settle`` with."""
        return self._send(lambda now: self._client.stop_publish(stream_id, now=now))

    def stop_play(self, stream_id: str) -> int | None:
        """Tell the server that a play ends; the number to ``settle`` with."""
        return self._send(lambda now: self._client.stop_play(stream_id, now=now))

    async def settle(self, seq: int) -> None:
        """Wait, not long, until the server has answered; what it answers changes nothing any more."""
        future = self._replies.get(seq)
        if future is not None:
            await asyncio.wait([future], timeout=ANSWER_TIMEOUT)

    # ------------------------------------------------------------------------------------------ inside

    def _post(self, command: Callable[[float], int]) -> tuple[int, asyncio.Future[object]] | None:
        if self.over:
            return None
        seq = command(self._connection.now())
        future = self._replies[seq] = self._loop.create_future()
        future.add_done_callback(_retrieve)
        self._connection.flush()
        return seq, future

    def _send(self, command: Callable[[float], int]) -> int | None:
        posted = self._post(command)
        return posted[0] if posted is not None else None

    async def _request(self, command: Callable[[float], int]) -> object:
        posted = self._post(command)
        if posted is None:
            raise SanderlingError(ErrorCode.NOT_LOGGED_IN, "the room was left")
        return await posted[1]

    async def _negotiate(self, offer: str) -> str:
        reply = await self._request(lambda now: self._client.viewer_offer(offer, now=now))
        if not isinstance(reply, messages.ViewerAnswer):
            raise PlayError(ErrorCode.PLAY_FAILED, "the server answered an offer with something else")
        return reply.answer

    async def _login(self, room_id: str, user: User, config: RoomConfig) -> None:
        connecting = self._connection.open()
        try:
            # Loading the media engine reads 20 MB; not on the loop.
            await self._loop.run_in_executor(None, runtime.load)
            from sanderling.sdk.webrtc.viewer import ViewerTransport

            self.viewer = ViewerTransport(self._profile.video_codecs, self._viewer_state)
            offer = await self.viewer.offer()
            token = config.token if isinstance(config.token, str) else await config.token()
            await connecting
            if self.over:
                return
            self._client.login(
                app_id=self._profile.app_id,
                room_id=room_id,
                user=messages.User(user_id=user.user_id, user_name=user.user_name),
                token=token,
                app_sign=self._profile.app_sign,
                config=messages.RoomConfig(
                    max_member_count=config.max_member_count,
                    is_user_status_notify=config.is_user_status_notify,
                ),
                viewer_offer=offer,
                client=messages.ClientInfo(sdk="python", version=_VERSION, platform=platform.system()),
                now=self._connection.now(),
            )
            self._connection.flush()
        except SanderlingError as error:
            self.end(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the login failed")
            self.end(RoomError(ErrorCode.LOGIN_FAILED, f"the login failed: {error!r}"))

    async def _accept(self, answer: str) -> None:
        try:
            if self.viewer is not None and answer:
                await self.viewer.accept(answer, self.ice_servers or ())
        except SanderlingError as error:
            if not self._answered.done():
                self._answered.set_exception(error)
            self._viewer_failed(error)
        else:
            if not self._answered.done():
                self._answered.set_result(None)

    def _handle(self, event: ClientEvent) -> None:
        match event:
            case Replied(seq, reply):
                if isinstance(reply, messages.LoginOk):
                    self.ice_servers = reply.ice_servers
                    self.spawn(self._accept(reply.viewer_answer), "sanderling-viewer")
                    self._owner.logged_in(reply)
                future = self._replies.pop(seq, None)
                if future is not None and not future.done():
                    future.set_result(reply)
            case Failed(seq, error):
                future = self._replies.pop(seq, None)
                if future is not None and not future.done():
                    future.set_exception(error)
            case Noticed(notice):
                self._owner.noticed(notice)
            case Ended(error, kicked):
                self.end(error, kicked=kicked)

    def _viewer_state(self, state: str, error: SanderlingError | None) -> None:
        if state == "failed":
            lost = PlayError(ErrorCode.PLAY_INTERRUPTED, "the media connection to the server was lost")
            self._viewer_failed(error or lost)

    def _viewer_failed(self, error: SanderlingError) -> None:
        if self._viewer_error is None:
            self._viewer_error = error
            self._owner.viewer_failed(error)


def _read_version() -> str:
    try:
        return metadata.version("sanderling")
    except metadata.PackageNotFoundError:
        return ""


_VERSION = _read_version()


def _retrieve(future: asyncio.Future[R]) -> None:
    if not future.cancelled():
        future.exception()

"""A room and this engine's membership in it: login, notices, publishers, players, logout."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from importlib import metadata
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sanderling.enums import Channel, RoomStateReason, StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError
from sanderling.ids import parse_room_id, parse_stream_id, parse_user
from sanderling.sdk.action import Action
from sanderling.sdk.config import EngineProfile, PlayerConfig, PublisherConfig, RoomConfig, User
from sanderling.sdk.connection import Connection
from sanderling.sdk.dispatch import Dispatcher, EventQueue
from sanderling.sdk.events import (
    Event,
    RemoteVideoFrame,
    RoomStateChanged,
    RoomStreamUpdate,
    RoomUserUpdate,
    Stream,
)
from sanderling.sdk.playing import Player, Playing
from sanderling.sdk.publishing import Publisher, Publishing, as_sources
from sanderling.sdk.sources import MediaSources, Source
from sanderling.signaling import messages
from sanderling.signaling.client import ClientEvent, Ended, Failed, Noticed, Replied, SignalingClient

if TYPE_CHECKING:
    from sanderling.sdk.webrtc.viewer import ViewerTransport

__all__ = ["Login", "Room"]

log = logging.getLogger("sanderling.sdk")

E = TypeVar("E", bound=Event)
R = TypeVar("R")

QUALITY_INTERVAL = 3.0
"""Seconds between quality events (product-facts 5.5)."""
LOGOUT_TIMEOUT = 2.0
"""Seconds the server's goodbye is waited for."""


class Room:
    """The room an engine is in. ``users`` and ``streams`` are live views of the others and what they publish."""

    def __init__(
        self,
        profile: EngineProfile,
        room_id: str,
        user: User,
        config: RoomConfig,
        dispatcher: Dispatcher,
        on_end: Callable[[Room], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._profile = profile
        self._config = config
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._users: dict[str, User] = {}
        self._streams: dict[str, Stream] = {}
        self._publishers: dict[Channel, Publisher] = {}
        self._players: dict[str, Player] = {}
        self._ending: list[Publisher] = []
        self._replies: dict[int, asyncio.Future[object]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._client = SignalingClient()
        self._connection: Connection | None = None
        self._ended = asyncio.Event()
        self._logout_task: asyncio.Task[None] | None = None
        self.id = room_id
        self.user = user
        self.state = RoomStateReason.LOGOUT
        self.users: Mapping[str, User] = MappingProxyType(self._users)
        self.streams: Mapping[str, Stream] = MappingProxyType(self._streams)
        self.viewer: ViewerTransport | None = None
        self.renders = False
        self.ready: asyncio.Future[Room] = self._loop.create_future()

    # ------------------------------------------------------------------------------------------ public

    def events(self, *types: type[E], limit: int = 1024) -> AsyncIterator[E]:
        """Events of ``types`` (all but pictures when none is named) from this call on, until the engine is destroyed.

        Raises :class:`EventsLost` when more than ``limit`` were waiting.
        """
        queue: EventQueue[E] = self._dispatcher.subscribe(types or (Event,), limit)  # type: ignore[arg-type]
        return queue

    def start_publishing_stream(
        self,
        stream_id: str,
        source: Source | MediaSources,
        *,
        config: PublisherConfig | None = None,
        channel: Channel = Channel.MAIN,
    ) -> Publishing:
        """Publish ``source`` as ``stream_id``, now. Awaited: the :class:`Publisher`, once PUBLISHING."""
        try:
            self._check_member()
            parse_stream_id(stream_id)
            if channel in self._publishers:
                raise PublishError(
                    ErrorCode.CHANNEL_ALREADY_PUBLISHING,
                    f"channel {channel.name} publishes {self._publishers[channel].stream_id} already",
                )
        except SanderlingError as error:
            future: asyncio.Future[Publisher] = self._refused(error, "start_publishing_stream")
            return Publishing(None, future, lambda: None)
        publisher = Publisher(self, stream_id, as_sources(source), config or PublisherConfig(), channel)
        self._publishers[channel] = publisher
        publisher.begin()
        return Publishing(publisher, publisher.ready, lambda: _drop(publisher.end(None)))

    def start_playing_stream(self, stream_id: str, config: PlayerConfig | None = None) -> Playing:
        """Play ``stream_id``, now, or as soon as it is there. Awaited: the :class:`Player`, once PLAYING."""
        try:
            self._check_member()
            parse_stream_id(stream_id)
        except SanderlingError as error:
            future: asyncio.Future[Player] = self._refused(error, "start_playing_stream")
            return Playing(None, future, lambda: None)
        player = self._players.get(stream_id)
        if player is None:
            player = self._players[stream_id] = Player(self, stream_id, config or PlayerConfig())
            player.begin()
        playing = player
        return Playing(playing, playing.ready, lambda: _drop(playing.end(None)))

    @property
    def publishers(self) -> Mapping[Channel, Publisher]:
        """What this engine publishes, by channel."""
        return MappingProxyType(self._publishers)

    @property
    def players(self) -> Mapping[str, Player]:
        """What this engine plays, by stream ID."""
        return MappingProxyType(self._players)

    async def logout(self) -> None:
        """Stop everything and leave; LOGOUT. The server knows when this returns. Idempotent."""
        if self._logout_task is None:
            self._logout_task = self._loop.create_task(self._logout(), name="sanderling-logout")
        await asyncio.shield(self._logout_task)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.logout()

    # ------------------------------------------------------------------------------------------ login

    def begin(self) -> None:
        """Announce the login and start it."""
        self._set_state(RoomStateReason.LOGINING)
        try:
            parse_room_id(self.id)
            parse_user(self.user.user_id, self.user.user_name)
            self._connection = Connection(self._profile.server, self._client, self._handle)
        except SanderlingError as error:
            self._finish(error, kicked=False)
            return
        self.spawn(self._login(self._connection), "sanderling-login")

    def undo_login(self) -> None:
        """Log out in the background."""
        if self._logout_task is None:
            self._logout_task = self._loop.create_task(self._logout(), name="sanderling-logout")

    async def _login(self, connection: Connection) -> None:
        connecting = connection.open()
        try:
            from sanderling.sdk.webrtc.viewer import ViewerTransport

            self.viewer = ViewerTransport(self._profile.video_codecs, self._viewer_state)
            offer = await self.viewer.offer()
            token = self._config.token
            if not isinstance(token, str):
                token = await token()
            await connecting
            if self._ended.is_set():
                return
            self._client.login(
                app_id=self._profile.app_id,
                room_id=self.id,
                user=messages.User(user_id=self.user.user_id, user_name=self.user.user_name),
                token=token,
                app_sign=self._profile.app_sign,
                config=messages.RoomConfig(
                    max_member_count=self._config.max_member_count,
                    is_user_status_notify=self._config.is_user_status_notify,
                ),
                viewer_offer=offer,
                client=messages.ClientInfo(sdk="python", version=_version(), platform=platform.system()),
                now=connection.now(),
            )
            connection.flush()
        except SanderlingError as error:
            self._finish(error, kicked=False)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the login failed")
            self._finish(RoomError(ErrorCode.LOGIN_FAILED, f"the login failed: {error!r}"), kicked=False)

    def _logged_in(self, reply: messages.LoginOk) -> None:
        if reply.viewer_answer and self.viewer is not None:
            self.spawn(self._accept(reply.viewer_answer), "sanderling-viewer")
        for user in reply.users:
            self._users[user.user_id] = User(user.user_id, user.user_name)
        for stream in reply.streams:
            self._streams[stream.stream_id] = _stream(stream)
        self._set_state(RoomStateReason.LOGINED, extended={"room_session_id": reply.session_id})
        if self._users and self._config.is_user_status_notify:
            self.emit(RoomUserUpdate(self.id, UpdateType.ADD, tuple(self._users.values())))
        if self._streams:
            self.emit(RoomStreamUpdate(self.id, UpdateType.ADD, tuple(self._streams.values())))
        self.spawn(self._sample(), "sanderling-quality")
        if not self.ready.done():
            self.ready.set_result(self)

    async def _accept(self, answer: str) -> None:
        try:
            if self.viewer is not None:
                await self.viewer.accept(answer)
        except SanderlingError as error:
            self._viewer_state("failed", error)

    # ------------------------------------------------------------------------------------------ what arrives

    def _handle(self, event: ClientEvent) -> None:
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
                self._notice(notice)
            case Ended(error, kicked):
                self._finish(error, kicked=kicked)

    def _notice(self, notice: object) -> None:
        match notice:
            case messages.UserNotice():
                self._user_notice(notice)
            case messages.StreamNotice():
                self._stream_notice(notice)
            case messages.PublisherStateNotice():
                for publisher in list(self._publishers.values()):
                    if publisher.stream_id == notice.stream_id:
                        publisher.notice(notice)
            case messages.PlayerStateNotice():
                player = self._players.get(notice.stream_id)
                if player is not None:
                    player.notice(notice)
            case messages.SlotBound():
                player = self._players.get(notice.stream_id)
                if player is not None:
                    player.slot_bound(notice)

    def _user_notice(self, notice: messages.UserNotice) -> None:
        users = tuple(User(user.user_id, user.user_name) for user in notice.users)
        for user in users:
            if notice.update == UpdateType.ADD:
                self._users[user.user_id] = user
            else:
                self._users.pop(user.user_id, None)
        if users:
            self.emit(RoomUserUpdate(self.id, UpdateType(notice.update), users))

    def _stream_notice(self, notice: messages.StreamNotice) -> None:
        streams = tuple(_stream(stream) for stream in notice.streams)
        if not streams:
            return
        added = notice.update == UpdateType.ADD
        extended: dict[str, object] = {}
        if not added:
            extended["stream_delete_reason"] = [
                {"stream_id": stream.stream_id, "code": int(stream.delete_reason or 0)} for stream in streams
            ]
        for stream in streams:
            if added:
                self._streams[stream.stream_id] = stream
            else:
                self._streams.pop(stream.stream_id, None)
        self.emit(RoomStreamUpdate(self.id, UpdateType(notice.update), streams, extended))
        for stream in streams:
            player = self._players.get(stream.stream_id)
            if player is not None:
                player.stream_added() if added else player.stream_deleted()

    def _viewer_state(self, state: str, error: SanderlingError | None) -> None:
        if state != "failed":
            return
        for player in list(self._players.values()):
            _drop(
                player.end(
                    error
                    or PlayError(ErrorCode.PLAY_INTERRUPTED, "the media connection to the server was lost")
                )
            )

    # ------------------------------------------------------------------------------------------ the end

    async def _logout(self) -> None:
        self._stop_all(None, None)
        if self._connection is not None and not self._ended.is_set():
            self._client.logout(now=self._connection.now())
            self._connection.flush()
            try:
                async with asyncio.timeout(LOGOUT_TIMEOUT):
                    await self._ended.wait()
            except TimeoutError:
                log.warning("the server did not answer the logout in time")
        self._finish(None, kicked=False)
        await self._release()

    def _finish(self, error: SanderlingError | None, *, kicked: bool) -> None:
        """The session is over, for whatever reason; the rest of it happens exactly once."""
        if self._ended.is_set():
            return
        self._ended.set()
        was_in = self.state is RoomStateReason.LOGINED
        code = int(error.code) if error is not None else 0
        text = error.message if error is not None else "logged out"
        self._stop_all(
            PublishError(ErrorCode.PUBLISH_INTERRUPTED, text) if error is not None else None,
            PlayError(ErrorCode.PLAY_INTERRUPTED, text) if error is not None else None,
        )
        self._users.clear()
        self._streams.clear()
        if not was_in and error is not None:
            self._set_state(RoomStateReason.LOGIN_FAILED, code)
        else:
            self._set_state(RoomStateReason.KICK_OUT if kicked else RoomStateReason.LOGOUT, code)
        if not self.ready.done():
            self.ready.set_exception(
                error or RoomError(ErrorCode.LOGIN_FAILED, "logged out before the login was done")
            )
        self._on_end(self)
        if self._logout_task is None:
            self._logout_task = self._loop.create_task(self._release(), name="sanderling-release")

    def _stop_all(self, publish_error: SanderlingError | None, play_error: SanderlingError | None) -> None:
        for publisher in list(self._publishers.values()):
            _drop(publisher.end(publish_error))
        for player in list(self._players.values()):
            _drop(player.end(play_error))

    async def _release(self) -> None:
        current = asyncio.current_task()
        if self.viewer is not None:
            self.viewer.close()
        if self._connection is not None:
            await self._connection.close()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        ending, self._ending = self._ending, []
        for publisher in ending:
            await publisher.release()

    def abort(self) -> None:
        """Stop media and tasks at once, without the network; for a loop that is being closed."""
        self._stop_all(None, None)
        self._ended.set()
        if self.viewer is not None:
            self.viewer.close()
        if self._connection is not None:
            self._connection.abort()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------------------------------ for its parts

    def emit(self, event: Event) -> None:
        """Deliver an event."""
        self._dispatcher.emit(event)

    def emit_newest(self, key: str, event: Event) -> None:
        """Deliver an event in place of an undelivered older one of the same key."""
        self._dispatcher.emit_newest(key, event)

    def render(self, stream_id: str, event: RemoteVideoFrame) -> None:
        """Hand a picture to the custom renderer."""
        self._dispatcher.emit_newest(f"picture/{stream_id}", event, readers=False)

    def report(self, error: SanderlingError, function: str) -> None:
        """Deliver a failure that nobody awaits any more."""
        self._dispatcher.report(error, function)

    def spawn(self, work: Coroutine[object, object, R], name: str) -> asyncio.Task[R]:
        """A task that lives no longer than this room."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)  # type: ignore[arg-type]  # Task is invariant; only cancelled from here
        task.add_done_callback(self._tasks.discard)  # type: ignore[arg-type]
        return task

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call on the loop, from any thread; dropped when the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def forget_publisher(self, publisher: Publisher) -> None:
        """The publisher ended; its source's threads are waited for at the end of the room."""
        self._publishers.pop(publisher.channel, None)
        self._ending.append(publisher)

    def forget_player(self, player: Player) -> None:
        """The player ended."""
        self._players.pop(player.stream_id, None)

    async def make_slot(self) -> None:
        """See that the viewer transport has a slot for every player."""
        if self.viewer is None:
            await self.ready
        if self.viewer is None:
            raise PlayError(ErrorCode.PLAY_FAILED, "this engine has no viewer transport")
        if len(self._players) > self.viewer.slots:
            await self.ready  # the first answer must be set before the next offer
            await self.viewer.grow(len(self._players), self._negotiate)

    async def _negotiate(self, offer: str) -> str:
        reply = await self._request(lambda now: self._client.viewer_offer(offer, now=now))
        return reply.answer if isinstance(reply, messages.ViewerAnswer) else ""

    async def request_publish(self, publisher: Publisher, offer: str, extra_info: str) -> messages.PublishOk:
        """Ask the server to publish."""
        reply = await self._request(
            lambda now: self._client.publish(
                publisher.stream_id, offer, channel=int(publisher.channel), extra_info=extra_info, now=now
            )
        )
        if not isinstance(reply, messages.PublishOk):
            raise PublishError(ErrorCode.PUBLISH_FAILED, "the server answered a publish with something else")
        return reply

    async def request_play(self, player: Player, config: PlayerConfig) -> messages.PlayOk:
        """Ask the server to play."""
        reply = await self._request(
            lambda now: self._client.play(
                player.stream_id,
                resource_mode=int(config.resource_mode),
                audio=config.audio,
                video=config.video,
                now=now,
            )
        )
        if not isinstance(reply, messages.PlayOk):
            raise PlayError(ErrorCode.PLAY_FAILED, "the server answered a play with something else")
        return reply

    def send_stop_publish(self, stream_id: str) -> int | None:
        """Tell the server that a stream ends."""
        return self._send(lambda now: self._client.stop_publish(stream_id, now=now))

    def send_stop_play(self, stream_id: str) -> int | None:
        """Tell the server that a play ends."""
        return self._send(lambda now: self._client.stop_play(stream_id, now=now))

    async def settle(self, seq: int) -> None:
        """Wait, not long, until the server has answered; what it answers changes nothing any more."""
        future = self._replies.get(seq)
        if future is not None:
            await asyncio.wait([future], timeout=LOGOUT_TIMEOUT)

    def _post(self, command: Callable[[float], int]) -> tuple[int, asyncio.Future[object]] | None:
        if self._connection is None or self._ended.is_set():
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

    # ------------------------------------------------------------------------------------------ inside

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(QUALITY_INTERVAL)
            for part in [*self._publishers.values(), *self._players.values()]:
                await part.sample()

    def _check_member(self) -> None:
        if self._ended.is_set():
            raise SanderlingError(
                ErrorCode.NOT_LOGGED_IN, "not logged in to a room", hint="call login_room first"
            )

    def _refused(self, error: SanderlingError, function: str) -> asyncio.Future[R]:
        self.report(error, function)
        future: asyncio.Future[R] = self._loop.create_future()
        future.set_exception(error)
        return future

    def _set_state(
        self, reason: RoomStateReason, code: int = 0, extended: Mapping[str, object] | None = None
    ) -> None:
        self.state = reason
        self.emit(RoomStateChanged(self.id, reason, code, MappingProxyType(dict(extended or {}))))


class Login(Action[Room]):
    """A login that has begun; awaited, it gives the :class:`Room`; ``async with`` logs out at the end.

    ``room`` is there at once, for publishing and playing without waiting.
    """

    def __init__(self, room: Room | None, future: asyncio.Future[Room], undo: Callable[[], None]) -> None:
        super().__init__(future, undo)
        self.room = room

    async def __aenter__(self) -> Room:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.room is not None:
            await self.room.logout()


def _stream(stream: messages.Stream) -> Stream:
    reason: StreamDeleteReason | None
    try:
        reason = StreamDeleteReason(stream.delete_reason)
    except ValueError:
        reason = None
    return Stream(
        stream.stream_id, User(stream.user.user_id, stream.user.user_name), stream.extra_info, reason
    )


def _version() -> str:
    try:
        return metadata.version("sanderling")
    except metadata.PackageNotFoundError:
        return ""


def _drop(_seq: int | None) -> None:
    """The request was sent; nobody waits for its reply."""


def _retrieve(future: asyncio.Future[object]) -> None:
    if not future.cancelled():
        future.exception()

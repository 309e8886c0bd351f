"""A room and this engine's membership in it: login, notices, publishers, players, logout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from sanderling.enums import Channel, RoomStateReason, StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError
from sanderling.ids import parse_room_id, parse_stream_id, parse_user
from sanderling.sdk.action import Action
from sanderling.sdk.config import EngineProfile, PlayerConfig, PublisherConfig, RoomConfig, User
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
from sanderling.sdk.session import Session
from sanderling.sdk.sources import MediaSources, Source
from sanderling.signaling import messages
from sanderling.signaling.client import Notice

__all__ = ["Login", "Room"]

E = TypeVar("E", bound=Event)
R = TypeVar("R")

QUALITY_INTERVAL = 3.0
"""Seconds between quality events (product-facts 5.5)."""


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
        self._config = config
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._users: dict[str, User] = {}
        self._streams: dict[str, Stream] = {}
        self._publishers: dict[Channel, Publisher] = {}
        self._players: dict[str, Player] = {}
        self._ended_publishers: list[Publisher] = []
        self._closing: asyncio.Task[None] | None = None
        self.id = room_id
        self.user = user
        self.state = RoomStateReason.LOGOUT
        self.users: Mapping[str, User] = MappingProxyType(self._users)
        self.streams: Mapping[str, Stream] = MappingProxyType(self._streams)
        self.session = Session(profile, self)
        self.renders = False
        self.ready: asyncio.Future[Room] = self._loop.create_future()

    # ------------------------------------------------------------------------------------------ public

    def events(self, *types: type[E], limit: int = 1024) -> AsyncIterator[E]:
        """Events of ``types`` (all but pictures when none is named) from now on, until the engine is destroyed.

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
        return Publishing(publisher, publisher.ready, publisher.undo)

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
        return Playing(player, player.ready, player.undo)

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
        self.undo()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def undo(self) -> None:
        """Begin the logout without waiting for it."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._logout(), name="sanderling-logout")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.logout()

    # ------------------------------------------------------------------------------------------ life

    def begin(self) -> None:
        """Announce the login and start it."""
        self._set_state(RoomStateReason.LOGINING)
        try:
            parse_room_id(self.id)
            parse_user(self.user.user_id, self.user.user_name)
        except SanderlingError as error:
            self.session.end(error)
            return
        self.session.login(self.id, self.user, self._config)

    def abort(self) -> None:
        """Stop media and tasks at once, without the network; for a loop that is being closed."""
        self._stop_all(None, None)
        self.session.abort()

    async def _logout(self) -> None:
        self._stop_all(None, None)
        await self.session.logout()
        await self._release()

    async def _release(self) -> None:
        await self.session.release()
        ended, self._ended_publishers = self._ended_publishers, []
        for publisher in ended:
            await publisher.release()

    def _stop_all(self, publish_error: SanderlingError | None, play_error: SanderlingError | None) -> None:
        for publisher in list(self._publishers.values()):
            publisher.end(publish_error)
        for player in list(self._players.values()):
            player.end(play_error)

    # ------------------------------------------------------------------------------------------ what the session tells

    def logged_in(self, reply: messages.LoginOk) -> None:
        """The server accepted the login: report it, then who and what is there."""
        for user in reply.users:
            self._users[user.user_id] = User(user.user_id, user.user_name)
        for stream in reply.streams:
            self._streams[stream.stream_id] = _stream(stream)
        self._set_state(RoomStateReason.LOGINED, extended={"room_session_id": reply.session_id})
        if self._users and self._config.is_user_status_notify:
            self.emit(RoomUserUpdate(self.id, UpdateType.ADD, tuple(self._users.values())))
        if self._streams:
            self.emit(RoomStreamUpdate(self.id, UpdateType.ADD, tuple(self._streams.values())))
        self.session.spawn(self._sample(), "sanderling-quality")
        if not self.ready.done():
            self.ready.set_result(self)

    def noticed(self, notice: Notice) -> None:
        """The server reports a change."""
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

    def viewer_failed(self, error: SanderlingError) -> None:
        """Nothing can be played any more."""
        for player in list(self._players.values()):
            player.end(error)

    def session_ended(self, error: SanderlingError | None, *, kicked: bool) -> None:
        """The session is over: stop what runs, report the last state, let go of everything."""
        was_in = self.state is RoomStateReason.LOGINED
        code = int(error.code) if error is not None else 0
        if error is None:
            self._stop_all(None, None)
        else:
            self._stop_all(
                PublishError(ErrorCode.PUBLISH_INTERRUPTED, error.message),
                PlayError(ErrorCode.PLAY_INTERRUPTED, error.message),
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
        elif error is not None:
            self._dispatcher.report(error, "login_room")
        self._on_end(self)
        if self._closing is None:
            self._closing = self._loop.create_task(self._release(), name="sanderling-release")

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
        added = notice.update == UpdateType.ADD
        if not streams:
            return
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
        update = UpdateType.ADD if added else UpdateType.DELETE
        self.emit(RoomStreamUpdate(self.id, update, streams, MappingProxyType(extended)))
        for stream in streams:
            player = self._players.get(stream.stream_id)
            if player is not None and added:
                player.stream_added()
            elif player is not None:
                player.stream_deleted()

    # ------------------------------------------------------------------------------------------ for its parts

    def emit(self, event: Event) -> None:
        """Deliver an event."""
        self._dispatcher.emit(event)

    def emit_newest(self, key: str, event: Event) -> None:
        """Deliver an event in place of an undelivered older one of the same key."""
        self._dispatcher.emit_newest(key, event)

    def render(self, event: RemoteVideoFrame) -> None:
        """Hand a picture to the custom renderer."""
        self._dispatcher.emit_newest(f"picture/{event.stream_id}", event, readers=False)

    def report(self, error: SanderlingError, function: str) -> None:
        """Deliver a failure that nobody awaits any more."""
        self._dispatcher.report(error, function)

    def forget_publisher(self, publisher: Publisher) -> None:
        """The publisher ended; its source's threads are waited for at the end of the room."""
        self._publishers.pop(publisher.channel, None)
        self._ended_publishers.append(publisher)

    def released(self, publisher: Publisher) -> None:
        """Nothing of the publisher is left to wait for."""
        self._ended_publishers = [other for other in self._ended_publishers if other is not publisher]

    def forget_player(self, player: Player) -> None:
        """The player ended."""
        self._players.pop(player.stream_id, None)

    # ------------------------------------------------------------------------------------------ inside

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(QUALITY_INTERVAL)
            parts: list[Publisher | Player] = [*self._publishers.values(), *self._players.values()]
            for part in parts:
                await part.sample()

    def _check_member(self) -> None:
        if self.session.over or self._closing is not None:
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

    ``room`` is there at once, for publishing and playing without waiting (None when the call was refused).
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

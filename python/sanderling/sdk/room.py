"""A room and this engine's membership in it: login, notices, publishers, players, logout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from sanderling.enums import Channel, RoomStateReason, VideoStreamType
from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError
from sanderling.ids import parse_room_id, parse_stream_id, parse_user
from sanderling.sdk.backoff import is_passing
from sanderling.sdk.cdn import CDNConfig
from sanderling.sdk.config import (
    EngineProfile,
    PlayerConfig,
    PublisherConfig,
    RoomConfig,
    TokenProvider,
    User,
    check_custom_data,
    token_of,
)
from sanderling.sdk.credentials import Credentials
from sanderling.sdk.dispatch import Dispatcher, EventQueue
from sanderling.sdk.encryption import EncryptionKeys
from sanderling.sdk.events import Event, RemoteVideoFrame, RoomStateChanged, Stream
from sanderling.sdk.messaging import Messaging
from sanderling.sdk.monitor import Monitor
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.playing import Player, Playing
from sanderling.sdk.publishers import publisher_for
from sanderling.sdk.publishing import Publisher, Publishing, as_sources
from sanderling.sdk.roster import Roster
from sanderling.sdk.session import Session
from sanderling.sdk.sources import MediaSources, Source
from sanderling.signaling import messages
from sanderling.signaling.client import Ended, Notice

__all__ = ["Room"]

MAX_VIDEO_TYPES = 1000
"""Streams whose layer is remembered for plays to come; beyond it the oldest choice is forgotten."""

E = TypeVar("E", bound=Event)
R = TypeVar("R")


class Room(Messaging):
    """The room an engine is in. ``users`` and ``streams`` are live views of the others and what they publish."""

    def __init__(
        self,
        profile: EngineProfile,
        room_id: str,
        user: User,
        config: RoomConfig,
        dispatcher: Dispatcher,
        on_end: Callable[[Room], None],
        *,
        beside: Callable[[Room], Awaitable[messages.SessionKey]] | None = None,
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._credentials = Credentials(self, config)
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._roster = Roster(room_id, self.emit, self._stream_changed)
        self._publishers: dict[Channel, Publisher] = {}
        self._players: dict[str, Player] = {}
        self._video_types: dict[str, VideoStreamType] = {}
        self._ended_publishers: list[Publisher] = []
        self._closing: asyncio.Task[None] | None = None
        self.id = room_id
        self.user = user
        self.state = RoomStateReason.LOGOUT
        self.users: Mapping[str, User] = self._roster.users
        self.streams: Mapping[str, Stream] = self._roster.streams
        self.encryption = EncryptionKeys()
        self.direct: Mapping[Channel, CDNConfig] = {}
        self.av_retry_time = profile.av_retry_time
        self.session = Session(profile, self, beside=None if beside is None else lambda: beside(self))
        self.renders = False
        self.monitor = Monitor(self)
        self.pictures: Mapping[Channel, ChannelPictures]
        self.switched_off: frozenset[str] = frozenset()
        self.ready: asyncio.Future[Room] = self._loop.create_future()

    @property
    def online_user_count(self) -> int:
        """Users in the room as of the last report, this one included."""
        return self._roster.online

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
        publisher = publisher_for(self, stream_id, as_sources(source), config or PublisherConfig(), channel)
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
            chosen = config or PlayerConfig()
            if stream_id in self._video_types:
                chosen = replace(chosen, video_type=self._video_types[stream_id])
            player = self._players[stream_id] = Player(self, stream_id, chosen)
            player.begin()
        return Playing(player, player.ready, player.undo)

    async def set_play_stream_video_type(self, stream_id: str, video_type: VideoStreamType) -> None:
        """Choose the layer of a stream published in several: of the play that runs, and of later ones in this room.

        1000014–1000016 streamID, 1000017 for an unknown type, 1000002 when not logged in.
        """
        self._check_member()
        parse_stream_id(stream_id)
        try:
            chosen = VideoStreamType(video_type)
        except ValueError:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"video type {video_type!r} does not exist",
                hint="see VideoStreamType",
            ) from None
        if stream_id not in self._video_types and len(self._video_types) >= MAX_VIDEO_TYPES:
            self._video_types.pop(next(iter(self._video_types)))
        self._video_types[stream_id] = chosen
        player = self._players.get(stream_id)
        if player is not None:
            await player.set_video_type(chosen)

    @property
    def publishers(self) -> Mapping[Channel, Publisher]:
        """What this engine publishes, by channel."""
        return MappingProxyType(self._publishers)

    @property
    def players(self) -> Mapping[str, Player]:
        """What this engine plays, by stream ID."""
        return MappingProxyType(self._players)

    async def stream_list(self, *, own: bool = False) -> tuple[Stream, ...]:
        """The live streams of the room, asked of the server; own ones too with ``own``."""
        self._check_member()
        return await self._roster.ask(self.session, own=own)

    async def renew_token(self, token: str | TokenProvider) -> None:
        """Replace the token before it ends; later logins use the new one. The codes of a login's token; 1002082 when it
        does not allow what is being published.
        """
        self._check_member()
        await self._credentials.renew(token)

    async def switch(self, room_id: str, config: RoomConfig | None = None) -> None:
        """Go to another room: publishing and playing stop, the connections stay. ``config``: None = as before.

        The codes of a login; when it fails this user is in no room.
        """
        self._check_member()
        parse_room_id(room_id)
        config = config or self._credentials.config
        check_custom_data(config.custom_data)
        token = await token_of(config)
        self._stop_all(None, None)
        self._set_state(RoomStateReason.LOGOUT)
        self.id = room_id
        self._roster.enter(room_id)
        self._leave_behind()
        self._credentials.config = config
        self._set_state(RoomStateReason.LOGINING)
        self.session.change_login(room_id, config)
        settings = messages.RoomConfig(
            config.max_member_count, config.is_user_status_notify, config.custom_data
        )
        try:
            await self.session.request(
                lambda seq: messages.SwitchRoom(seq, room_id, token, settings), messages.LoginOk
            )
        except SanderlingError as error:
            if is_passing(error) and not self.session.over:
                await self.session.up_or_over()  # the next login is to the new room
            if self.state not in (RoomStateReason.LOGINED, RoomStateReason.RECONNECTED):
                self.session.end(Ended(error))
                raise

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
            check_custom_data(self._credentials.config.custom_data)
        except SanderlingError as error:
            self.session.end(Ended(error))
            return
        self.session.login(self.id, self.user, self._credentials.config)

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
        self._set_state(RoomStateReason.LOGINED, extended={"room_session_id": reply.session_id})
        self._fill(reply)
        self.session.spawn(self.monitor.run(), "sanderling-quality")
        if not self.ready.done():
            self.ready.set_result(self)

    def interrupted(self, error: SanderlingError) -> None:
        """The connection is away; media goes on as long as it can."""
        self._set_state(RoomStateReason.RECONNECTING, int(ErrorCode.CONNECTION_INTERRUPTED))

    def resumed(self) -> None:
        """The connection is back, nothing was lost."""
        self._set_state(RoomStateReason.RECONNECTED)
        for publisher in list(self._publishers.values()):
            publisher.check_transport()

    def logged_in_again(self, reply: messages.LoginOk) -> None:
        """The connection is back with a new session: what was published and played has to be so again."""
        self._set_state(RoomStateReason.RECONNECTED, extended={"room_session_id": reply.session_id})
        for player in list(self._players.values()):
            player.interrupted()
        for publisher in list(self._publishers.values()):
            publisher.interrupted()
        self._fill(reply)
        self._subscribe_again()

    def switched(self, reply: messages.LoginOk) -> None:
        """The server accepted the change to another room."""
        self._set_state(RoomStateReason.LOGINED, extended={"room_session_id": reply.session_id})
        self._fill(reply)

    def _fill(self, reply: messages.LoginOk) -> None:
        self.switched_off = frozenset(reply.switched_off)
        self._roster.fill(reply, tell_users=self._credentials.config.is_user_status_notify)
        self._fill_extra_info(reply.room_extra_info)

    def noticed(self, notice: Notice) -> None:
        """The server reports a change."""
        match notice:
            case messages.UserNotice():
                self._roster.user_notice(notice)
            case messages.StreamNotice():
                self._roster.stream_notice(notice)
            case messages.StreamExtraInfoNotice():
                self._roster.stream_extra_info(notice)
            case messages.DeviceStateNotice():
                self._roster.device_state(notice)
            case messages.OnlineCountNotice():
                self._roster.online_count(notice.online)
            case messages.PublisherStateNotice():
                for publisher in list(self._publishers.values()):
                    if publisher.stream_id == notice.stream_id:
                        publisher.notice(notice)
            case (
                messages.PlayerStateNotice()
                | messages.SlotBound()
                | messages.PlayMoved()
                | messages.ResourceNotice()
            ):
                player = self._players.get(notice.stream_id)
                if player is not None:
                    _tell_player(player, notice)
            case messages.TokenWillExpire():
                self._credentials.will_expire(notice.remaining_s)
            case messages.NetworkQualityNotice():
                self.monitor.remote_quality(notice)
            case _:
                self._message(notice)

    def viewer_lost(self) -> None:
        """The viewer transport is gone; plays go on over the next one."""
        for player in list(self._players.values()):
            player.interrupted()

    def viewer_failed(self, error: SanderlingError) -> None:
        """Nothing can be played any more."""
        for player in list(self._players.values()):
            player.end(error)

    def slots_needed(self) -> int:
        """How many streams are played."""
        return len(self._players)

    def session_ended(self, end: Ended) -> None:
        """The session is over: stop what runs, report the last state, let go of everything."""
        error, code = end.error, int(end.error.code) if end.error is not None else 0
        was_in = self.state not in (RoomStateReason.LOGINING, RoomStateReason.LOGOUT)
        if error is None or self._closing is not None:
            self._stop_all(None, None)
        else:
            self._stop_all(
                PublishError(_final_code(error, ErrorCode.PUBLISH_RETRY_TIME_EXCEEDED), error.message),
                PlayError(ErrorCode.PLAY_INTERRUPTED, error.message),
            )
        self._roster.clear()
        self._leave_behind()
        self._set_state(self._last_reason(end, was_in=was_in), code, _kick_data(end))
        if not self.ready.done():
            self.ready.set_exception(
                error or RoomError(ErrorCode.LOGIN_FAILED, "logged out before the login was done")
            )
        elif error is not None:
            self.report(error, "login_room")
        self._on_end(self)
        if self._closing is None:
            self._closing = self._loop.create_task(self._release(), name="sanderling-release")

    def _last_reason(self, end: Ended, *, was_in: bool) -> RoomStateReason:
        if end.kicked:
            return RoomStateReason.KICK_OUT
        if end.error is None:
            return RoomStateReason.LOGOUT
        if self._closing is not None:
            return RoomStateReason.LOGOUT_FAILED
        return RoomStateReason.RECONNECT_FAILED if was_in else RoomStateReason.LOGIN_FAILED

    def _stream_changed(self, stream_id: str, came: bool) -> None:
        player = self._players.get(stream_id)
        if player is not None and came:
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

    def _check_member(self) -> None:
        if self.session.over or self._closing is not None:
            raise SanderlingError(
                ErrorCode.NOT_LOGGED_IN, "not logged in to a room", hint="call login_room first"
            )

    def publishes(self, stream_id: str) -> bool:
        """See the base."""
        return any(one.stream_id == stream_id for one in self._publishers.values())

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


def _tell_player(
    player: Player,
    notice: messages.PlayerStateNotice | messages.SlotBound | messages.PlayMoved | messages.ResourceNotice,
) -> None:
    match notice:
        case messages.PlayerStateNotice():
            player.notice(notice)
        case messages.SlotBound():
            player.slot_bound(notice)
        case messages.PlayMoved():
            player.moved(notice)
        case messages.ResourceNotice():
            player.resource_changed(notice.resource_mode)


def _final_code(error: SanderlingError, exceeded: ErrorCode) -> ErrorCode:
    """What a publish ends with that ended with its room."""
    return exceeded if error.code is ErrorCode.RETRY_TIME_EXCEEDED else ErrorCode.PUBLISH_INTERRUPTED


def _kick_data(end: Ended) -> dict[str, object]:
    """Where the session that took over comes from, and what the operator said."""
    return {
        key: value for key, value in (("origin", end.origin), ("custom_reason", end.custom_reason)) if value
    }

"""The engine: the one object a program makes. It is in one room at a time, or in several in multi-room mode."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from sanderling.enums import Channel, ResourceType, RoomMode, VideoStreamType
from sanderling.errors import ErrorCode, PlayError, RoomError, SanderlingError, error_for
from sanderling.sdk.cdn import CDNPublishing
from sanderling.sdk.config import EngineProfile, PlayerConfig, PublisherConfig, RoomConfig, User
from sanderling.sdk.encryption import StreamEncryption
from sanderling.sdk.engine_settings import EngineSettings
from sanderling.sdk.handler import EventHandler
from sanderling.sdk.local_devices import LocalDevices
from sanderling.sdk.login import Login
from sanderling.sdk.pictures.engine_calls import PictureCalls
from sanderling.sdk.playing import Player, Playing
from sanderling.sdk.preview import Preview
from sanderling.sdk.publishing import Publishing
from sanderling.sdk.room import Room
from sanderling.sdk.sequential_data import DataManagers
from sanderling.sdk.sound_monitoring import SoundMonitoring
from sanderling.sdk.sources import MediaSources, Source
from sanderling.sdk.webrtc import runtime
from sanderling.signaling.messages import SessionKey

__all__ = ["Engine"]

log = logging.getLogger("sanderling.sdk")

R = TypeVar("R")


class Engine(
    EngineSettings, StreamEncryption, SoundMonitoring, LocalDevices, DataManagers, PictureCalls, CDNPublishing
):
    """Joins a room, publishes and plays. Make it inside a running event loop; every call belongs to that loop.

    Calls act when made. What comes of them reaches the event handler, and the caller too when it awaits the call::

        async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700")) as engine:
            room = await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token=token))
            await room.start_publishing_stream("alice-1", File("film.mp4", loop=True))
    """

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._renders = False

    @property
    def room(self) -> Room | None:
        """The room the engine is in or logging in to; the one that it logged in to first, in multi-room mode."""
        return next(iter(self._members.values()), None)

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms the engine is in or logging in to, by roomID."""
        return MappingProxyType(self._members)

    def set_event_handler(self, handler: EventHandler | None) -> None:
        """Replace the handler; what happened before the first one was set is delivered to it now."""
        self._check()
        self._dispatcher.set_handler(handler)

    def enable_custom_video_render(self, enable: bool) -> None:
        """Hand every received picture to ``on_remote_video_frame`` of the handler, or stop doing so."""
        self._check()
        self._renders = enable
        for room in self._members.values():
            room.renders = enable

    def login_room(self, room_id: str, user: User, config: RoomConfig | None = None) -> Login:
        """Log in; the room is made when it is not there. Awaited: the :class:`Room`.

        Fails with 1002005 for a user without an ID, 1002067 without a token, 1002030/1002031 when no server
        answers, and whatever the server says; LOGIN_FAILED carries the same code. 1002001 while in a room.
        """
        self._check()
        try:
            self._check_place(room_id, user)
        except RoomError as error:
            return Login(None, self._refused(error, "login_room"), lambda: None)
        beside = self._beside if self._multi else None
        room = Room(
            self._profile, room_id, user, config or RoomConfig(), self._dispatcher, self._left, beside=beside
        )
        room.renders = self._renders
        room.encryption = self._encryption
        room.direct = self._direct
        self._went_out = True
        room.pictures = self._pictures
        self._members[room_id] = room
        self._rooms.add(room)
        room.begin()
        return Login(room, room.ready, room.undo)

    def _check_place(self, room_id: str, user: User) -> None:
        """Whether another login is possible beside those there are."""
        present = self.room
        if present is None:
            return
        if not self._multi:
            raise RoomError(
                ErrorCode.ROOM_COUNT_EXCEEDED,
                f"this engine is in room {present.id} already",
                hint="log out first, switch rooms, or make the engine with RoomMode.MULTI_ROOM",
            )
        if room_id in self._members:
            raise RoomError(ErrorCode.ROOM_ID_IN_USE, f"this engine is in room {room_id} already")
        if present.user.user_id != user.user_id:
            raise RoomError(
                ErrorCode.MULTI_ROOM_USER_DIFFERS,
                f"this engine is {present.user.user_id} in room {present.id}",
                hint="use one userID in all rooms, or another engine",
            )

    async def _beside(self, room: Room) -> SessionKey:
        """Proof of a session of this user in another room, so that the login of ``room`` does not end it.

        Logins go one after the other: of two at once, each would take the other's session for one to replace.
        """
        for other in list(self._members.values()):
            if other is room:
                break
            await other.session.up_or_over()
        keys = (
            other.session.key
            for other in self._members.values()
            if other is not room and other.session.is_online
        )
        return next(keys, SessionKey())

    async def switch_room(self, from_room_id: str, to_room_id: str, config: RoomConfig | None = None) -> Room:
        """Leave a room for another one: publishing and playing stop, previews go on. ``config``: None = as before.

        1002019 in multi-room mode, 1000002 without a login, 1002002 for a room the engine is not in, else the codes
        of a login.
        """
        room = self._member(from_room_id)
        if self._multi:
            raise RoomError(
                ErrorCode.SWITCH_ROOM_IN_MULTI_ROOM,
                "rooms are not switched in multi-room mode",
                hint="log out of one room and log in to the other",
            )
        await room.switch(to_room_id, config)
        self._members = {room.id: room}
        return room

    async def logout_room(self, room_id: str | None = None) -> None:
        """Stop publishing and playing and leave; of all rooms without a ``room_id``. 1002002 for a room the engine is
        not in, 1000002 without a login.
        """
        first = self._member(room_id)
        leaving = [first] if room_id is not None else list(self._members.values())
        await asyncio.gather(*(room.logout() for room in leaving))

    def start_publishing_stream(
        self,
        stream_id: str,
        source: Source | MediaSources,
        *,
        config: PublisherConfig | None = None,
        channel: Channel = Channel.MAIN,
        room_id: str | None = None,
    ) -> Publishing:
        """Publish in the engine's room; allowed at once after the login call. 1000002 without one.

        ``room_id``: in multi-room mode, which room; 1003070 without it and a config there, 1003071 without it.
        """
        self._check()
        try:
            bare = ErrorCode.PUBLISH_IN_MULTI_ROOM_WITHOUT_CONFIG
            room = self._room_for(room_id, bare if config is None else ErrorCode.PUBLISH_ROOM_ID_MISSING)
        except SanderlingError as error:
            return Publishing(None, self._refused(error, "start_publishing_stream"), lambda: None)
        return room.start_publishing_stream(stream_id, source, config=config, channel=channel)

    async def stop_publishing_stream(self, channel: Channel = Channel.MAIN) -> None:
        """Stop what ``channel`` publishes; nothing happens when it publishes nothing."""
        self._check()
        for room in list(self._members.values()):
            publisher = room.publishers.get(channel)
            if publisher is not None:
                await publisher.stop()

    def start_playing_stream(
        self, stream_id: str, config: PlayerConfig | None = None, *, room_id: str | None = None
    ) -> Playing:
        """Play in the engine's room; allowed at once after the login call. 1000002 without one.

        ``room_id``: in multi-room mode, which room; 1004070 without it and a config there, 1004071 without it. In
        single-room mode 1002081 for another than the engine's.
        """
        self._check()
        try:
            bare = ErrorCode.PLAY_IN_MULTI_ROOM_WITHOUT_CONFIG
            room = self._room_for(room_id, bare if config is None else ErrorCode.PLAY_ROOM_ID_MISSING)
        except SanderlingError as error:
            return Playing(None, self._refused(error, "start_playing_stream"), lambda: None)
        return room.start_playing_stream(stream_id, config)

    async def stop_playing_stream(self, stream_id: str) -> None:
        """Stop playing ``stream_id``; nothing happens when it is not played."""
        self._check()
        for room in list(self._members.values()):
            player = room.players.get(stream_id)
            if player is not None:
                await player.stop()

    async def switch_playing_resource(self, stream_id: str, resource: ResourceType) -> None:
        """Move a running play to another path without interrupting it. 1004011 when it is not played; see
        :meth:`Player.switch_resource`.
        """
        await self._player(stream_id).switch_resource(resource)

    async def set_play_stream_video_type(self, stream_id: str, video_type: VideoStreamType) -> None:
        """Choose the layer of a stream published in several, while it plays or before. 1000002 without a login."""
        await self._room_of(stream_id).set_play_stream_video_type(stream_id, video_type)

    async def start_preview(self, source: Source, *, channel: Channel = Channel.MAIN) -> Preview:
        """Run ``source`` without publishing it; the :class:`Preview` iterates over its pictures."""
        self._check()
        if channel in self._previews:
            await self._previews[channel].stop()
        preview = Preview(source, self._pictures[channel])
        await preview.start()
        self._previews[channel] = preview
        return preview

    async def stop_preview(self, *, channel: Channel = Channel.MAIN) -> None:
        """Stop the preview of ``channel``; nothing happens when there is none."""
        self._check()
        preview = self._previews.pop(channel, None)
        if preview is not None:
            await preview.stop()

    async def destroy(self, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Stop publishing and playing, log out, release everything. Idempotent; at most ``timeout`` seconds.

        It goes on when the await is cancelled, so a second Ctrl-C leaves nothing behind.
        """
        self._guard.check()
        if self._destroying is None:
            in_handler = self._dispatcher.in_handler()
            self._destroying = self._loop.create_task(
                self._destroy(timeout, in_handler=in_handler), name="sanderling-destroy"
            )
        await asyncio.shield(self._destroying)

    async def prepare(self) -> None:
        """Load the media engine now (about 0.3 s, once per process, off the loop) instead of at the first login.

        ``async with`` does it. What keeps it from loading is reported by the login, not here.
        """
        self._check()
        with contextlib.suppress(SanderlingError):
            await self._loop.run_in_executor(None, runtime.preload)

    async def __aenter__(self) -> Self:
        await self.prepare()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.destroy()

    async def _destroy(self, seconds: float, *, in_handler: bool) -> None:
        try:
            async with asyncio.timeout(seconds):
                for preview in list(self._previews.values()):
                    await preview.stop()
                for room in list(self._rooms):
                    await room.logout()
                if not in_handler:
                    await self._dispatcher.drain()
        except TimeoutError:
            log.warning("the engine was destroyed before the server had answered")
        finally:
            self._sound.close()
            self._abort_data_managers()
            self._previews.clear()
            self._watch.stop()
            for room in list(self._rooms):
                room.abort()
            self._rooms.clear()
            self._members.clear()
            self._dispatcher.close(interrupt=not in_handler)

    @property
    def _multi(self) -> bool:
        return self._profile.room_mode is RoomMode.MULTI_ROOM

    def _left(self, room: Room) -> None:
        for room_id, member in list(self._members.items()):
            if member is room:
                del self._members[room_id]

    def _member(self, room_id: str | None = None) -> Room:
        """The room of that ID, or the one that there is."""
        self._check()
        room = self.room
        if room is None:
            raise _not_logged_in()
        if room_id is not None:
            if room_id not in self._members:
                raise RoomError(ErrorCode.ROOM_ID_INCORRECT, f"not logged in to room {room_id}")
            room = self._members[room_id]
        return room

    def _room_for(self, room_id: str | None, missing: ErrorCode) -> Room:
        if self._multi and room_id is None:
            raise error_for(missing, "in multi-room mode the room has to be named", hint="pass room_id")
        room = self.room
        if not self._multi and room is not None and room_id not in (None, room.id):
            raise RoomError(
                ErrorCode.MULTI_ROOM_REQUIRED,
                f"this engine is in room {room.id}, and in one room at a time",
                hint="make it with RoomMode.MULTI_ROOM to use several rooms",
            )
        return self._member(room_id)

    def _room_of(self, stream_id: str) -> Room:
        """The room that plays ``stream_id``, or else the first one."""
        first = self._member()
        return next((room for room in self._members.values() if stream_id in room.players), first)

    def _player(self, stream_id: str) -> Player:
        player = self._room_of(stream_id).players.get(stream_id)
        if player is not None:
            return player
        raise PlayError(ErrorCode.STREAM_NOT_PLAYED, f"stream {stream_id} is not played")

    def _refused(self, error: SanderlingError, function: str) -> asyncio.Future[R]:
        self._dispatcher.report(error, function)
        future: asyncio.Future[R] = self._loop.create_future()
        future.set_exception(error)
        return future


def _not_logged_in() -> SanderlingError:
    return SanderlingError(
        ErrorCode.NOT_LOGGED_IN,
        "not logged in to a room",
        hint="call login_room first; its room state says why not",
    )

"""The engine: the one object a program makes. It is in at most one room at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import Self, TypeVar

from sanderling.enums import Channel, VideoStreamType
from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.sdk.config import EngineProfile, PlayerConfig, PublisherConfig, RoomConfig, User
from sanderling.sdk.connection import websocket_url
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.handler import EventHandler
from sanderling.sdk.playing import Playing
from sanderling.sdk.preview import Preview
from sanderling.sdk.publishing import Publishing
from sanderling.sdk.room import Login, Room
from sanderling.sdk.sources import MediaSources, Source
from sanderling.sdk.webrtc import runtime
from sanderling.sdk.webrtc.runtime import ForkGuard

__all__ = ["Engine"]

log = logging.getLogger("sanderling.sdk")

R = TypeVar("R")


class Engine:
    """Joins a room, publishes and plays. Make it inside a running event loop; every call belongs to that loop.

    Calls act when made. What comes of them reaches the event handler, and the caller too when it awaits the call::

        async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700")) as engine:
            room = await engine.login_room("lobby", User("alice", "Alice"), RoomConfig(token=token))
            await room.start_publishing_stream("alice-1", File("film.mp4", loop=True))
    """

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
        self._room: Room | None = None
        self._rooms: set[Room] = set()
        self._previews: dict[Channel, Preview] = {}
        self._renders = False
        self._destroying: asyncio.Task[None] | None = None

    @property
    def room(self) -> Room | None:
        """The room the engine is in or logging in to."""
        return self._room

    def set_event_handler(self, handler: EventHandler | None) -> None:
        """Replace the handler; what happened before the first one was set is delivered to it now."""
        self._check()
        self._dispatcher.set_handler(handler)

    def enable_custom_video_render(self, enable: bool) -> None:
        """Hand every received picture to ``on_remote_video_frame`` of the handler, or stop doing so."""
        self._check()
        self._renders = enable
        if self._room is not None:
            self._room.renders = enable

    def login_room(self, room_id: str, user: User, config: RoomConfig | None = None) -> Login:
        """Log in; the room is made when it is not there. Awaited: the :class:`Room`.

        Fails with 1002005 for a user without an ID, 1002067 without a token, 1002030/1002031 when no server
        answers, and whatever the server says; LOGIN_FAILED carries the same code. 1002001 while in a room.
        """
        self._check()
        if self._room is not None:
            error = RoomError(
                ErrorCode.ROOM_COUNT_EXCEEDED,
                f"this engine is in room {self._room.id} already",
                hint="log out first, or make another engine",
            )
            return Login(None, self._refused(error, "login_room"), lambda: None)
        room = Room(self._profile, room_id, user, config or RoomConfig(), self._dispatcher, self._left)
        room.renders = self._renders
        self._room = room
        self._rooms.add(room)
        room.begin()
        return Login(room, room.ready, room.undo)

    async def logout_room(self, room_id: str | None = None) -> None:
        """Stop publishing and playing and leave; 1002002 for another room's ID, 1000002 without a login."""
        room = self._member()
        if room_id is not None and room_id != room.id:
            raise RoomError(ErrorCode.ROOM_ID_INCORRECT, f"not logged in to room {room_id}")
        await room.logout()

    def start_publishing_stream(
        self,
        stream_id: str,
        source: Source | MediaSources,
        *,
        config: PublisherConfig | None = None,
        channel: Channel = Channel.MAIN,
    ) -> Publishing:
        """Publish in the engine's room; allowed at once after the login call. 1000002 without one."""
        self._check()
        if self._room is None:
            return Publishing(None, self._refused(_not_logged_in(), "start_publishing_stream"), lambda: None)
        return self._room.start_publishing_stream(stream_id, source, config=config, channel=channel)

    async def stop_publishing_stream(self, channel: Channel = Channel.MAIN) -> None:
        """Stop what ``channel`` publishes; nothing happens when it publishes nothing."""
        self._check()
        publisher = self._room.publishers.get(channel) if self._room is not None else None
        if publisher is not None:
            await publisher.stop()

    def start_playing_stream(self, stream_id: str, config: PlayerConfig | None = None) -> Playing:
        """Play in the engine's room; allowed at once after the login call. 1000002 without one."""
        self._check()
        if self._room is None:
            return Playing(None, self._refused(_not_logged_in(), "start_playing_stream"), lambda: None)
        return self._room.start_playing_stream(stream_id, config)

    async def stop_playing_stream(self, stream_id: str) -> None:
        """Stop playing ``stream_id``; nothing happens when it is not played."""
        self._check()
        player = self._room.players.get(stream_id) if self._room is not None else None
        if player is not None:
            await player.stop()

    async def set_play_stream_video_type(self, stream_id: str, video_type: VideoStreamType) -> None:
        """Choose the layer of a stream published in several, while it plays or before. 1000002 without a login."""
        await self._member().set_play_stream_video_type(stream_id, video_type)

    async def start_preview(self, source: Source, *, channel: Channel = Channel.MAIN) -> Preview:
        """Run ``source`` without publishing it; the :class:`Preview` iterates over its pictures."""
        self._check()
        if channel in self._previews:
            await self._previews[channel].stop()
        preview = Preview(source)
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
            self._previews.clear()
            for room in list(self._rooms):
                room.abort()
            self._rooms.clear()
            self._room = None
            self._dispatcher.close(interrupt=not in_handler)

    def _left(self, room: Room) -> None:
        if self._room is room:
            self._room = None

    def _member(self) -> Room:
        self._check()
        if self._room is None:
            raise _not_logged_in()
        return self._room

    def _check(self) -> None:
        self._guard.check()
        if self._destroying is not None:
            raise SanderlingError(ErrorCode.ENGINE_NOT_CREATED, "this engine was destroyed")

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

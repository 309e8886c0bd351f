"""Who is in a room and what is published there, as the server tells it, over interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from sanderling.enums import RemoteDeviceState, StreamDeleteReason, UpdateType
from sanderling.sdk.config import User
from sanderling.sdk.events import (
    Event,
    RemoteCameraStateUpdate,
    RemoteMicStateUpdate,
    RoomOnlineUserCountUpdate,
    RoomStreamExtraInfoUpdate,
    RoomStreamUpdate,
    RoomUserUpdate,
    Stream,
)
from sanderling.sdk.session import Session
from sanderling.signaling import messages

__all__ = ["Roster"]


class Roster:
    """Users and streams of others. ``on_stream`` hears of every stream that comes (True) or is gone (False)."""

    def __init__(
        self, room_id: str, emit: Callable[[Event], None], on_stream: Callable[[str, bool], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._room_id = room_id
        self._emit = emit
        self._on_stream = on_stream
        self._users: dict[str, User] = {}
        self._streams: dict[str, Stream] = {}
        self._missing_users: dict[str, User] = {}
        self._missing_streams: dict[str, Stream] = {}
        self._patience: asyncio.TimerHandle | None = None
        self.online = 0
        self.users: Mapping[str, User] = MappingProxyType(self._users)
        self.streams: Mapping[str, Stream] = MappingProxyType(self._streams)

    def fill(self, reply: messages.LoginOk, *, tell_users: bool) -> None:
        """Who and what is there at a login. After an earlier one only the differences are told.

        A server that has just started does not know yet who is about to return: what is missing then is told as gone
        when it has not come back within ``settle_ms``.
        """
        users = {user.user_id: _user(user) for user in reply.users}
        streams = {stream.stream_id: _stream(stream) for stream in reply.streams}
        gone_users = {user_id: user for user_id, user in self._users.items() if user_id not in users}
        gone_streams = {name: stream for name, stream in self._streams.items() if name not in streams}
        self.online = reply.online
        if not self._patience:
            self._missing_users, self._missing_streams = gone_users, gone_streams
        else:
            self._missing_users.update(gone_users)
            self._missing_streams.update(gone_streams)
        self._stop_waiting()
        if reply.settle_ms > 0 and (self._missing_users or self._missing_streams):
            self._patience = self._loop.call_later(reply.settle_ms / 1000, self._give_up)
        else:
            self._give_up()
        self._add_users(users.values(), tell=tell_users)
        self._add_streams(streams.values())

    def enter(self, room_id: str) -> None:
        """Another room, of which nothing is known yet."""
        self.clear()
        self._room_id = room_id

    async def ask(self, session: Session, *, own: bool) -> tuple[Stream, ...]:
        """The live streams of the room, from the server."""
        streams: list[Stream] = []
        after = ""
        while True:
            last = after
            reply = await session.request(
                lambda seq, last=last: messages.StreamList(seq, own, last),  # type: ignore[misc]
                messages.StreamListOk,
            )
            streams += [_stream(stream) for stream in reply.streams]
            if not reply.more or not reply.streams:
                return tuple(streams)
            after = reply.streams[-1].stream_id

    def clear(self) -> None:
        """Nobody and nothing is there any more, without a word."""
        self._stop_waiting()
        for held in (self._users, self._streams, self._missing_users, self._missing_streams):
            held.clear()

    def user_notice(self, notice: messages.UserNotice) -> None:
        """Users came or went."""
        if notice.update == UpdateType.ADD:
            self._add_users((_user(user) for user in notice.users), tell=True)
            return
        users = tuple(_user(user) for user in notice.users)
        for user in users:
            self._users.pop(user.user_id, None)
            self._missing_users.pop(user.user_id, None)
        if users:
            self._emit(RoomUserUpdate(self._room_id, UpdateType.DELETE, users))

    def stream_notice(self, notice: messages.StreamNotice) -> None:
        """Streams came or went."""
        streams = tuple(_stream(stream) for stream in notice.streams)
        if notice.update == UpdateType.ADD:
            self._add_streams(streams)
        else:
            self._delete_streams(streams)

    def stream_extra_info(self, notice: messages.StreamExtraInfoNotice) -> None:
        """Extra infos of streams changed."""
        streams = tuple(_stream(stream) for stream in notice.streams)
        for stream in streams:
            if stream.stream_id in self._streams:
                self._streams[stream.stream_id] = stream
        if streams:
            self._emit(RoomStreamExtraInfoUpdate(self._room_id, streams))

    def device_state(self, notice: messages.DeviceStateNotice) -> None:
        """Camera or microphone of a stream changed."""
        camera, microphone = _device(notice.camera), _device(notice.microphone)
        known = self._streams.get(notice.stream_id)
        if known is not None:
            self._streams[notice.stream_id] = Stream(
                known.stream_id, known.user, known.extra_info, known.delete_reason, camera, microphone
            )
        self._tell_devices(notice.stream_id, known, camera, microphone)

    def online_count(self, count: int) -> None:
        """How many users are in the room."""
        self.online = count
        self._emit(RoomOnlineUserCountUpdate(self._room_id, count))

    # ------------------------------------------------------------------------------------------ inside

    def _add_users(self, users: Iterable[User], *, tell: bool) -> None:
        came = tuple(users)
        new = tuple(user for user in came if user.user_id not in self._users)
        for user in came:
            self._users[user.user_id] = user
            self._missing_users.pop(user.user_id, None)
        if new and tell:
            self._emit(RoomUserUpdate(self._room_id, UpdateType.ADD, new))

    def _add_streams(self, streams: Iterable[Stream]) -> None:
        came = tuple(streams)
        new = tuple(stream for stream in came if stream.stream_id not in self._streams)
        changed = tuple(
            stream
            for stream in came
            if stream.stream_id in self._streams
            and stream.extra_info != self._streams[stream.stream_id].extra_info
        )
        known = {stream.stream_id: self._streams.get(stream.stream_id) for stream in came}
        for stream in came:
            self._streams[stream.stream_id] = stream
            self._missing_streams.pop(stream.stream_id, None)
        if new:
            self._emit(RoomStreamUpdate(self._room_id, UpdateType.ADD, new))
        if changed:
            self._emit(RoomStreamExtraInfoUpdate(self._room_id, changed))
        for stream in came:
            self._tell_devices(stream.stream_id, known[stream.stream_id], stream.camera, stream.microphone)
            self._on_stream(stream.stream_id, True)

    def _delete_streams(self, streams: tuple[Stream, ...]) -> None:
        for stream in streams:
            self._streams.pop(stream.stream_id, None)
            self._missing_streams.pop(stream.stream_id, None)
        if streams:
            reasons: list[dict[str, object]] = [
                {
                    "stream_id": stream.stream_id,
                    "code": int(stream.delete_reason or 0),
                    **({"custom_reason": stream.custom_reason} if stream.custom_reason else {}),
                }
                for stream in streams
            ]
            extended = MappingProxyType({"stream_delete_reason": reasons})
            self._emit(RoomStreamUpdate(self._room_id, UpdateType.DELETE, streams, extended))
        for stream in streams:
            self._on_stream(stream.stream_id, False)

    def _tell_devices(
        self, stream_id: str, known: Stream | None, camera: RemoteDeviceState, microphone: RemoteDeviceState
    ) -> None:
        before = (
            (known.camera, known.microphone) if known else (RemoteDeviceState.OPEN, RemoteDeviceState.OPEN)
        )
        if camera != before[0]:
            self._emit(RemoteCameraStateUpdate(stream_id, camera))
        if microphone != before[1]:
            self._emit(RemoteMicStateUpdate(stream_id, microphone))

    def _give_up(self) -> None:
        """Those who were missing are gone."""
        self._stop_waiting()
        users, self._missing_users = tuple(self._missing_users.values()), {}
        streams, self._missing_streams = tuple(self._missing_streams.values()), {}
        for user in users:
            self._users.pop(user.user_id, None)
        if users:
            self._emit(RoomUserUpdate(self._room_id, UpdateType.DELETE, users))
        if streams:
            lost = StreamDeleteReason.CONNECTION_LOST
            self._delete_streams(
                tuple(Stream(stream.stream_id, stream.user, stream.extra_info, lost) for stream in streams)
            )

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _user(user: messages.User) -> User:
    return User(user.user_id, user.user_name)


def _stream(stream: messages.Stream) -> Stream:
    reason: StreamDeleteReason | None
    try:
        reason = StreamDeleteReason(stream.delete_reason)
    except ValueError:
        reason = None
    return Stream(
        stream.stream_id,
        _user(stream.user),
        stream.extra_info,
        reason,
        _device(stream.camera),
        _device(stream.microphone),
        stream.custom_reason,
    )


def _device(value: int) -> RemoteDeviceState:
    try:
        return RemoteDeviceState(value)
    except ValueError:
        return RemoteDeviceState.GENERIC_ERROR  # a newer peer

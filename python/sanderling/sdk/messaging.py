"""What members of a room say to each other: messages, the room's extra info, data beside a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from sanderling.enums import TransparentMode
from sanderling.errors import ErrorCode, RateLimited, RoomError, SanderlingError
from sanderling.ids import MAX_USER_ID, parse_stream_id
from sanderling.sdk.backoff import is_passing
from sanderling.sdk.config import User
from sanderling.sdk.events import (
    BarrageMessage,
    BarrageMessageReceived,
    BroadcastMessage,
    BroadcastMessageReceived,
    CustomCommandReceived,
    Event,
    RoomExtraInfo,
    RoomExtraInfoUpdate,
    SequentialDataReceived,
    TransparentMessageReceived,
)
from sanderling.sdk.session import Session
from sanderling.signaling import messages
from sanderling.signaling.client import Notice

if TYPE_CHECKING:
    from sanderling.sdk.sequential_data import SequentialDataManager

__all__ = ["Messaging"]

R = TypeVar("R")

MAX_TEXT = 1024
"""Bytes of a broadcast, a barrage message or a custom command (product-facts 5.6)."""
MAX_CONTENT = 4096
"""Bytes of a transparent message or of sequential data."""
MAX_RECEIVERS = 100
MAX_KEY, MAX_VALUE = 10, 128
"""Bytes of the room's extra info (product-facts 5.6)."""


class Messaging:
    """Base of a room: what can be said in it. Nobody gets what it sent itself, and nothing is kept for later."""

    id: str
    session: Session

    def __init__(self) -> None:
        self._extra_info: dict[str, RoomExtraInfo] = {}
        self._subscribed: set[str] = set()
        self._data_manager: SequentialDataManager | None = None
        self.extra_info: Mapping[str, RoomExtraInfo] = MappingProxyType(self._extra_info)
        """The room's key and value, filled at login."""

    async def send_broadcast_message(self, text: str) -> int:
        """Reliable text to everybody else in the room; its ID. At most 2 a second of one user, 10 a second in the room.

        1009001 empty, 1009002 above 1024 bytes, 1009015 too often, 1009010 not sent.
        """
        _check_text(text)
        return (
            await self._say(lambda seq: messages.Broadcast(seq, text), "send_broadcast_message")
        ).message_id

    async def send_barrage_message(self, text: str) -> str:
        """Text to everybody else that may be dropped when there is much of it; its ID. At most 20 a second in the room.

        1009001 empty, 1009002 above 1024 bytes, 1002072 too often, 1009010 not sent.
        """
        _check_text(text)
        sent = await self._say(lambda seq: messages.Barrage(seq, text), "send_barrage_message")
        return str(sent.message_id)

    async def send_custom_command(self, command: str, to: Iterable[User | str] = ()) -> int:
        """Reliable text to ``to`` (users or userIDs; none = everybody else); its ID.

        1009001 empty, 1009002 above 1024 bytes, 1009011 an empty userID, 1009012 one that is too long, 1009013 more
        than 100 of them, 1002072 too often, 1009010 not sent.
        """
        _check_text(command)
        users = _receivers(to)
        sent = await self._say(lambda seq: messages.Command(seq, command, users), "send_custom_command")
        return sent.message_id

    async def send_transparent_message(
        self,
        content: bytes,
        to: Iterable[User | str] = (),
        *,
        mode: TransparentMode = TransparentMode.ONLY_CLIENT,
    ) -> int:
        """Reliable bytes to ``to`` (none = everybody else), to the server's callback, or to both; the message's ID.

        1009001 empty, 1009003 above 4096 bytes, and as for :meth:`send_custom_command`.
        """
        _check_content(content, ErrorCode.MESSAGE_EMPTY, ErrorCode.MESSAGE_DATA_TOO_LONG)
        users = _receivers(to)
        sent = await self._say(
            lambda seq: messages.Transparent(seq, bytes(content), users, int(mode)),
            "send_transparent_message",
        )
        return sent.message_id

    async def set_room_extra_info(self, key: str, value: str) -> None:
        """Write the room's one key; the last writer wins. At most 10 a second in the room.

        1002014 key empty, 1002015 above 10 bytes, 1002016 value above 128 bytes, 1002017 the room has another key.
        """
        size = len(key.encode(errors="surrogatepass"))
        if not size:
            raise RoomError(ErrorCode.ROOM_EXTRA_INFO_KEY_EMPTY, "the key of the room's extra info is empty")
        if size > MAX_KEY:
            raise RoomError(
                ErrorCode.ROOM_EXTRA_INFO_KEY_TOO_LONG, f"the key has {size} bytes, {MAX_KEY} allowed"
            )
        size = len(value.encode(errors="surrogatepass"))
        if size > MAX_VALUE:
            raise RoomError(
                ErrorCode.ROOM_EXTRA_INFO_VALUE_TOO_LONG, f"the value has {size} bytes, {MAX_VALUE} allowed"
            )
        await self._ask(
            lambda seq: messages.SetRoomExtraInfo(seq, key, value), messages.Ok, "set_room_extra_info"
        )

    async def subscribe_data(self, stream_id: str) -> None:
        """Hear the sequential data of a stream. 1009038 when that is so already, 1004002 no such stream."""
        parse_stream_id(stream_id)
        if stream_id in self._subscribed:
            raise RoomError(ErrorCode.REPEATED_SUBSCRIPTION, f"the data of {stream_id} is heard already")
        await self._ask(lambda seq: messages.SubscribeData(seq, stream_id), messages.Ok, "subscribe_data")
        self._subscribed.add(stream_id)

    async def unsubscribe_data(self, stream_id: str) -> None:
        """Hear it no longer. 1009037 when it is not heard."""
        if stream_id not in self._subscribed:
            raise RoomError(ErrorCode.NOT_SUBSCRIBED, f"the data of {stream_id} is not heard")
        self._subscribed.discard(stream_id)
        off = False
        await self._ask(
            lambda seq: messages.SubscribeData(seq, stream_id, off), messages.Ok, "unsubscribe_data"
        )

    async def send_data(self, stream_id: str, data: bytes) -> None:
        """Bytes to those who hear the data of an own stream, reliably and in order.

        1009034 no streamID, 1009036 not a stream of this engine, 1009039 empty, above 4096 bytes, or not sent.
        """
        failed = ErrorCode.SEQUENTIAL_DATA_SEND_FAILED
        _check_content(data, failed, failed)
        self._check_member()
        if not stream_id:
            raise RoomError(ErrorCode.SEQUENTIAL_DATA_STREAM_MISSING, "data is sent beside a stream: name it")
        if not self.publishes(stream_id):
            raise RoomError(
                ErrorCode.NOT_BROADCASTING,
                f"stream {stream_id} is not published here",
                hint="publish it first; its data goes to those who subscribed to it",
            )
        await self._ask(
            lambda seq: messages.StreamData(seq, stream_id, bytes(data)), messages.Ok, "send_data", failed
        )

    def take_data_manager(self, manager: SequentialDataManager) -> bool:
        """Tell ``manager`` of sequential data from now on; False when there is another one."""
        if self._data_manager is not None:
            return False
        self._data_manager = manager
        return True

    def drop_data_manager(self, manager: SequentialDataManager) -> None:
        """Tell it no longer."""
        if self._data_manager is manager:
            self._data_manager = None

    # ------------------------------------------------------------------------------------------ for the room

    def emit(self, event: Event) -> None:
        """Deliver an event."""
        raise NotImplementedError

    def report(self, error: SanderlingError, function: str) -> None:
        """Deliver a failure to ``on_debug_error``."""
        raise NotImplementedError

    def _check_member(self) -> None:
        raise NotImplementedError

    def publishes(self, stream_id: str) -> bool:
        """Whether this engine publishes a stream in this room."""
        raise NotImplementedError

    def _fill_extra_info(self, infos: tuple[messages.RoomExtraInfo, ...]) -> None:
        """What the room has at a login; told when it is new to this user."""
        known = dict(self._extra_info)
        self._extra_info.clear()
        self._extra_info.update((info.key, _extra_info(info)) for info in infos)
        new = tuple(info for key, info in self._extra_info.items() if known.get(key) != info)
        if new:
            self.emit(RoomExtraInfoUpdate(self.id, new))

    def _message(self, notice: Notice) -> None:
        """Somebody said something."""
        match notice:
            case messages.BroadcastNotice():
                said = BroadcastMessage(notice.text, notice.message_id, notice.sent_ms, _user(notice.user))
                self.emit(BroadcastMessageReceived(self.id, (said,)))
            case messages.BarrageNotice():
                thrown = BarrageMessage(
                    notice.text, str(notice.message_id), notice.sent_ms, _user(notice.user)
                )
                self.emit(BarrageMessageReceived(self.id, (thrown,)))
            case messages.CommandNotice():
                user = _user(notice.user)
                self.emit(
                    CustomCommandReceived(self.id, user, notice.text, notice.message_id, notice.sent_ms)
                )
            case messages.TransparentNotice():
                user = _user(notice.user)
                content, number = notice.content, notice.message_id
                self.emit(TransparentMessageReceived(self.id, user, content, number, notice.sent_ms))
            case messages.DataNotice():
                received = SequentialDataReceived(self.id, notice.stream_id, notice.content)
                if self._data_manager is not None:
                    self._data_manager.received(received)
                self.emit(received)
            case messages.RoomExtraInfoNotice():
                infos = tuple(_extra_info(info) for info in notice.infos)
                self._extra_info.update((info.key, info) for info in infos)
                self.emit(RoomExtraInfoUpdate(self.id, infos))

    def _leave_behind(self) -> None:
        """The room was left."""
        self._extra_info.clear()
        self._subscribed.clear()
        if self._data_manager is not None:
            self._data_manager.end()

    def _subscribe_again(self) -> None:
        """The server has a new session: it knows of no subscription."""
        for stream_id in self._subscribed:
            self.session.post(lambda seq, stream_id=stream_id: messages.SubscribeData(seq, stream_id))  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------ inside

    async def _say(
        self, build: Callable[[int], messages.ClientMessage], function: str
    ) -> messages.MessageSent:
        return await self._ask(build, messages.MessageSent, function, ErrorCode.MESSAGE_SEND_FAILED)

    async def _ask(
        self,
        build: Callable[[int], messages.ClientMessage],
        expected: type[R],
        function: str,
        lost: ErrorCode | None = None,
    ) -> R:
        """Send and wait. A request that went down with its session fails with ``lost``: whether the server carried it
        out is unknown, and to repeat it might do it twice.
        """
        try:
            self._check_member()
            return await self.session.request(build, expected)
        except SanderlingError as error:
            if lost is not None and is_passing(error) and not isinstance(error, RateLimited):
                error = RoomError(lost, f"it may not have been sent: {error.message}", hint="send it again")
            self.report(error, function)
            raise error from None


def _check_text(text: str) -> None:
    size = len(text.encode(errors="surrogatepass"))
    if not size:
        raise RoomError(ErrorCode.MESSAGE_EMPTY, "the message is empty")
    if size > MAX_TEXT:
        raise RoomError(ErrorCode.MESSAGE_TOO_LONG, f"the message has {size} bytes, {MAX_TEXT} allowed")


def _check_content(content: bytes, empty: ErrorCode, too_long: ErrorCode) -> None:
    if not content:
        raise RoomError(empty, "there is nothing to send")
    if len(content) > MAX_CONTENT:
        raise RoomError(too_long, f"the message has {len(content)} bytes, {MAX_CONTENT} allowed")


def _receivers(to: Iterable[User | str]) -> tuple[str, ...]:
    users = tuple(user if isinstance(user, str) else user.user_id for user in to)
    if len(users) > MAX_RECEIVERS:
        raise RoomError(
            ErrorCode.MESSAGE_PARAMETERS_TOO_LONG, f"{len(users)} receivers, {MAX_RECEIVERS} allowed"
        )
    for user_id in users:
        if not user_id:
            raise RoomError(ErrorCode.MESSAGE_USER_ID_EMPTY, "a receiver has no userID")
        if len(user_id.encode(errors="surrogatepass")) > MAX_USER_ID:
            raise RoomError(ErrorCode.MESSAGE_USER_ID_TOO_LONG, "the userID of a receiver is too long")
    return users


def _user(user: messages.User) -> User:
    return User(user.user_id, user.user_name)


def _extra_info(info: messages.RoomExtraInfo) -> RoomExtraInfo:
    return RoomExtraInfo(info.key, info.value, _user(info.user), info.updated_ms)

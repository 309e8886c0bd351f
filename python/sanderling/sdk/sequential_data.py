"""Sequential data in the product's shape: a manager of a room, which broadcasts beside own streams and subscribes."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, NoReturn

from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.ids import parse_stream_id
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.events import SequentialDataReceived
from sanderling.sdk.handler import EventHandler

if TYPE_CHECKING:
    from sanderling.sdk.config import EngineProfile
    from sanderling.sdk.messaging import Messaging

__all__ = ["DataManagers", "SequentialDataManager"]

_indices = itertools.count()


class SequentialDataManager:
    """Made by ``Engine.create_real_time_sequential_data_manager``; of use until it is destroyed or the room is left.

    Data is reliable and in order, and goes by signalling: at most 4096 bytes a piece.
    """

    def __init__(self, room: Messaging, dispatcher: Dispatcher) -> None:
        self._room = room
        self._dispatcher = dispatcher
        self._broadcasting: set[str] = set()
        self._subscribing: set[str] = set()
        self._over = False
        self.index = next(_indices)
        """A number that tells managers of this process apart."""

    def set_event_handler(self, handler: EventHandler | None) -> None:
        """Whose ``on_receive_real_time_sequential_data`` is called with the data of streams subscribed to here; the
        engine's handler hears it too. 1009032 when this manager is of no use any more.
        """
        self._check("set_event_handler")
        self._dispatcher.set_handler(handler)

    def start_broadcasting(self, stream_id: str) -> None:
        """Allow data beside an own stream.

        1009034 no streamID, 1009033 not a stream of this engine, 1009035 that is so already, 1009032 no manager.
        """
        name = "start_broadcasting"
        self._check(name)
        self._check_stream(name, stream_id)
        if not self._room.publishes(stream_id):
            self._broadcasting.discard(stream_id)
            self._refuse(
                name,
                ErrorCode.NO_BROADCAST_CHANNEL,
                f"stream {stream_id} is not published here, so that nothing can carry its data",
                "publish it first",
            )
        if stream_id in self._broadcasting:
            self._refuse(name, ErrorCode.REPEATED_BROADCAST, f"data goes beside {stream_id} already")
        self._broadcasting.add(stream_id)

    def stop_broadcasting(self, stream_id: str) -> None:
        """Allow it no longer. 1009036 when it was not allowed, 1009034 no streamID, 1009032 no manager."""
        name = "stop_broadcasting"
        self._check(name)
        self._check_stream(name, stream_id)
        self._check_broadcasting(name, stream_id)
        self._broadcasting.discard(stream_id)

    async def send_real_time_sequential_data(self, data: bytes, stream_id: str) -> None:
        """Send to all who subscribed to the data of ``stream_id``; returns when the server has it.

        1009036 without ``start_broadcasting`` or when the stream has ended, 1009039 empty, above 4096 bytes or not
        sent, 1009034 no streamID, 1009032 no manager.
        """
        name = "send_real_time_sequential_data"
        self._check(name)
        self._check_stream(name, stream_id)
        self._check_broadcasting(name, stream_id)
        await self._room.send_data(stream_id, data)

    async def start_subscribing(self, stream_id: str) -> None:
        """Hear the data of a stream. 1009038 when that is so already, 1009034 no streamID, 1004002 no such stream,
        1009032 no manager.
        """
        name = "start_subscribing"
        self._check(name)
        self._check_stream(name, stream_id)
        await self._room.subscribe_data(stream_id)
        self._subscribing.add(stream_id)

    async def stop_subscribing(self, stream_id: str) -> None:
        """Hear it no longer. 1009037 when it was not heard, 1009034 no streamID, 1009032 no manager."""
        name = "stop_subscribing"
        self._check(name)
        self._check_stream(name, stream_id)
        self._subscribing.discard(stream_id)
        await self._room.unsubscribe_data(stream_id)

    # ------------------------------------------------------------------------------------------ for engine and room

    async def destroy(self) -> None:
        """End what it subscribed to; every later call is 1009032."""
        self._check("destroy_real_time_sequential_data_manager")
        self.end()
        for stream_id in self._subscribing:
            with contextlib.suppress(SanderlingError):  # the room may have ended it, or end now
                await self._room.unsubscribe_data(stream_id)

    def received(self, event: SequentialDataReceived) -> None:
        """Data came; of streams that were subscribed to elsewhere too."""
        if not self._over and event.stream_id in self._subscribing:
            self._dispatcher.emit(event)

    def end(self) -> None:
        """It is of no use any more; what came before is still delivered."""
        self._over = True
        self._room.drop_data_manager(self)

    def abort(self) -> None:
        """The engine is destroyed."""
        self._over = True
        self._dispatcher.close()

    # ------------------------------------------------------------------------------------------ inside

    def _check(self, function: str) -> None:
        if self._over:
            self._refuse(
                function,
                ErrorCode.NO_SEQUENTIAL_DATA_MANAGER,
                "this manager was destroyed, or its room was left",
                "create one after the login",
            )

    def _check_stream(self, function: str, stream_id: str) -> None:
        if not stream_id:
            self._refuse(
                function, ErrorCode.SEQUENTIAL_DATA_STREAM_MISSING, "data goes beside a stream: name it"
            )
        parse_stream_id(stream_id)

    def _check_broadcasting(self, function: str, stream_id: str) -> None:
        if not self._room.publishes(stream_id):
            self._broadcasting.discard(stream_id)
        if stream_id not in self._broadcasting:
            self._refuse(
                function,
                ErrorCode.NOT_BROADCASTING,
                f"no data goes beside {stream_id}",
                "call start_broadcasting while the stream is published",
            )

    def _refuse(self, function: str, code: ErrorCode, message: str, hint: str = "") -> NoReturn:
        error = RoomError(code, message, hint=hint)
        self._room.report(error, function)
        raise error


class DataManagers(EngineLife):
    """The calls of an engine that concern managers of sequential data."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._data_managers: list[SequentialDataManager] = []

    def create_real_time_sequential_data_manager(self, room_id: str) -> SequentialDataManager:
        """The manager of a room's sequential data; a room has one at a time.

        1009031 when the engine is not in that room, or it has a manager.
        """
        self._check()
        room = self._members.get(room_id)
        manager = None if room is None else SequentialDataManager(room, Dispatcher(self._loop))
        if room is None or manager is None or not room.take_data_manager(manager):
            why = "this engine is not in it" if room is None else "it has one, or was left"
            error = RoomError(
                ErrorCode.SEQUENTIAL_DATA_MANAGER_FAILED,
                f"room {room_id!r} cannot have a manager of sequential data: {why}",
                hint="log in first; destroy the other one",
            )
            self._fail(error, "create_real_time_sequential_data_manager")
        self._data_managers.append(manager)
        return manager

    async def destroy_real_time_sequential_data_manager(self, manager: SequentialDataManager) -> None:
        """End what ``manager`` subscribed to; every later call of it is 1009032, as is this one a second time."""
        self._check()
        await manager.destroy()
        self._data_managers = [other for other in self._data_managers if other is not manager]

    def _abort_data_managers(self) -> None:
        for manager in self._data_managers:
            manager.abort()
        self._data_managers.clear()

"""An event handler that reports every notice of the quickstart to the parent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sanderling import EventHandler, Stream
from sanderling.demo import reports
from sanderling.demo.participant import Reporter
from sanderling.enums import PlayerState, PublisherState, RoomStateReason, UpdateType
from sanderling.errors import ErrorCode, SanderlingError, error_for

__all__ = ["Notices"]

_LOST = frozenset({RoomStateReason.KICK_OUT, RoomStateReason.RECONNECT_FAILED})


class Notices(EventHandler):
    """Reports states, collects the streams that are announced, and notes when the session is over for good.

    ``streams``: streamIDs in the order of their ADD notices. ``over``: set to the reason when the room or the
    stream ended with an error; ``None`` as its result means it ended normally.
    """

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.streams: asyncio.Queue[str] = asyncio.Queue()
        self.over: asyncio.Future[SanderlingError | None] = asyncio.get_running_loop().create_future()

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        """Report the room's state; a kick or a lost connection ends the session."""
        self._report(reports.RoomStateChanged(reason.name, error_code))
        if reason in _LOST or (reason is RoomStateReason.LOGOUT and error_code):
            self._end(
                error_for(error_code or ErrorCode.CONNECTION_LOST, f"the session in room {room_id} ended")
            )

    def on_room_stream_update(
        self,
        room_id: str,
        update_type: UpdateType,
        streams: Sequence[Stream],
        extended_data: Mapping[str, object],
    ) -> None:
        """Note the streams that appeared."""
        if update_type is UpdateType.ADD:
            for stream in streams:
                self.streams.put_nowait(stream.stream_id)

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        """Report the publisher's state; an error ends the session."""
        self._report(reports.PublisherStateChanged(state.name, error_code))
        if state is PublisherState.NO_PUBLISH:
            self._end(error_for(error_code, f"publishing {stream_id} ended") if error_code else None)

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        """Report the player's state; an error ends the session."""
        self._report(reports.PlayerStateChanged(state.name, error_code))
        if state is PlayerState.NO_PLAY:
            self._end(error_for(error_code, f"playing {stream_id} ended") if error_code else None)

    def raise_error(self) -> None:
        """Raise the error that ended the session, if one did."""
        error = self.over.result() if self.over.done() else None
        if error is not None:
            raise error

    def _end(self, error: SanderlingError | None) -> None:
        if not self.over.done():
            self.over.set_result(error)

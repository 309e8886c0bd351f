"""The event handler: a class whose methods an engine calls. Override the ones of interest."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from sanderling.enums import PlayerState, PublisherState, RoomStateReason, UpdateType
from sanderling.sdk import events

if TYPE_CHECKING:
    from sanderling.sdk.config import User
    from sanderling.sdk.events import Stream
    from sanderling.sdk.frames import VideoFrame
    from sanderling.sdk.quality import PlayQuality, PublishQuality

__all__ = ["EventHandler", "Result", "call_handler"]

Result = Awaitable[None] | None
"""A handler method may be a plain or an ``async def`` one."""


class EventHandler:
    """Base of event handlers: every method does nothing until overridden.

    Methods run one after another, in the order of events, on the loop that made the engine; an ``async def`` one is
    awaited before the next event. One that raises is reported to :meth:`on_debug_error` and stops nothing.
    """

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> Result:
        """The connection to the room changed."""

    def on_room_user_update(self, room_id: str, update_type: UpdateType, users: Sequence[User]) -> Result:
        """Users came or went; needs ``is_user_status_notify`` on both sides."""

    def on_room_stream_update(
        self,
        room_id: str,
        update_type: UpdateType,
        streams: Sequence[Stream],
        extended_data: Mapping[str, object],
    ) -> Result:
        """Streams of others came or went."""

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> Result:
        """A stream of this engine is requested, published, or not any more."""

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> Result:
        """A play is requested, runs, or ended."""

    def on_player_recv_video_first_frame(self, stream_id: str) -> Result:
        """The first picture is decoded."""

    def on_player_render_video_first_frame(self, stream_id: str) -> Result:
        """The first picture was handed to the custom renderer."""

    def on_remote_video_frame(self, stream_id: str, frame: VideoFrame) -> Result:
        """The custom renderer: one picture. A slow one gets the newest and misses those between."""

    def on_publisher_quality_update(self, stream_id: str, quality: PublishQuality) -> Result:
        """Figures of a published stream, every 3 seconds."""

    def on_player_quality_update(self, stream_id: str, quality: PlayQuality) -> Result:
        """Figures of a played stream, every 3 seconds."""

    def on_debug_error(self, error_code: int, function: str, info: str) -> Result:
        """A call failed, or a method of this handler raised."""


def call_handler(handler: EventHandler, event: events.Event) -> Result:
    """Call the method of ``handler`` that belongs to ``event``."""
    match event:
        case events.RoomStateChanged():
            return handler.on_room_state_changed(
                event.room_id, event.reason, event.error_code, event.extended_data
            )
        case events.RoomUserUpdate():
            return handler.on_room_user_update(event.room_id, event.update_type, event.users)
        case events.RoomStreamUpdate():
            return handler.on_room_stream_update(
                event.room_id, event.update_type, event.streams, event.extended_data
            )
        case events.PublisherStateUpdate():
            return handler.on_publisher_state_update(
                event.stream_id, event.state, event.error_code, event.extended_data
            )
        case events.PlayerStateUpdate():
            return handler.on_player_state_update(
                event.stream_id, event.state, event.error_code, event.extended_data
            )
        case events.PlayerFirstFrame(rendered=False):
            return handler.on_player_recv_video_first_frame(event.stream_id)
        case events.PlayerFirstFrame():
            return handler.on_player_render_video_first_frame(event.stream_id)
        case events.RemoteVideoFrame():
            return handler.on_remote_video_frame(event.stream_id, event.frame)
        case events.PublisherQualityUpdate():
            return handler.on_publisher_quality_update(event.stream_id, event.quality)
        case events.PlayerQualityUpdate():
            return handler.on_player_quality_update(event.stream_id, event.quality)
        case events.DebugError():
            return handler.on_debug_error(event.error_code, event.function, event.info)
        case _:
            return None

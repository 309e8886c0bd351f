"""An event handler that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from sanderling import (
    BarrageMessage,
    BroadcastMessage,
    Channel,
    EventHandler,
    ObjectSegmentationState,
    PlayerMediaEvent,
    PlayerState,
    PlayQuality,
    PublisherState,
    PublishQuality,
    RemoteDeviceState,
    ResourceMode,
    RoomExtraInfo,
    RoomStateReason,
    Stream,
    SuperResolutionState,
    UpdateType,
    User,
    VideoCodec,
    VideoFrame,
)

Call = tuple[object, ...]


class Recorder(EventHandler):
    """Calls in order, as tuples that begin with a short name."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.qualities: list[PlayQuality | PublishQuality] = []
        self.frames: list[VideoFrame] = []
        self._changed = asyncio.Event()

    def on_room_state_changed(
        self, room_id: str, reason: RoomStateReason, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        self._add("room", room_id, reason, error_code)

    def on_room_user_update(self, room_id: str, update_type: UpdateType, users: Sequence[User]) -> None:
        self._add("users", room_id, update_type, tuple(user.user_id for user in users))

    def on_room_stream_update(
        self,
        room_id: str,
        update_type: UpdateType,
        streams: Sequence[Stream],
        extended_data: Mapping[str, object],
    ) -> None:
        reasons = tuple(stream.delete_reason for stream in streams)
        self._add("streams", room_id, update_type, tuple(stream.stream_id for stream in streams), reasons)

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        self._add("publisher", stream_id, state, error_code)

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> None:
        self._add("player", stream_id, state, error_code)

    def on_player_recv_video_first_frame(self, stream_id: str) -> None:
        self._add("first frame", stream_id)

    def on_player_render_video_first_frame(self, stream_id: str) -> None:
        self._add("first render", stream_id)

    def on_remote_video_frame(self, stream_id: str, frame: VideoFrame) -> None:
        self.frames.append(frame)
        self._changed.set()

    def on_player_quality_update(self, stream_id: str, quality: PlayQuality) -> None:
        self.qualities.append(quality)
        self._changed.set()

    def on_publisher_quality_update(self, stream_id: str, quality: PublishQuality) -> None:
        self.qualities.append(quality)
        self._changed.set()

    def on_im_recv_broadcast_message(self, room_id: str, messages: Sequence[BroadcastMessage]) -> None:
        for message in messages:
            self._add("broadcast", room_id, message.user.user_id, message.text)

    def on_im_recv_barrage_message(self, room_id: str, messages: Sequence[BarrageMessage]) -> None:
        for message in messages:
            self._add("barrage", room_id, message.user.user_id, message.text)

    def on_im_recv_custom_command(self, room_id: str, user: User, command: str) -> None:
        self._add("command", room_id, user.user_id, command)

    def on_recv_room_transparent_message(self, room_id: str, user: User, content: bytes) -> None:
        self._add("transparent", room_id, user.user_id, content)

    def on_receive_real_time_sequential_data(self, stream_id: str, data: bytes) -> None:
        self._add("data", stream_id, data)

    def on_room_extra_info_update(self, room_id: str, infos: Sequence[RoomExtraInfo]) -> None:
        for info in infos:
            self._add("extra info", room_id, info.key, info.value)

    def on_room_stream_extra_info_update(self, room_id: str, streams: Sequence[Stream]) -> None:
        for stream in streams:
            self._add("stream info", room_id, stream.stream_id, stream.extra_info)

    def on_room_online_user_count_update(self, room_id: str, count: int) -> None:
        self._add("online", room_id, count)

    def on_room_token_will_expire(self, room_id: str, remaining_s: int) -> None:
        self._add("token", room_id, remaining_s)

    def on_remote_camera_state_update(self, stream_id: str, state: RemoteDeviceState) -> None:
        self._add("camera", stream_id, state)

    def on_remote_mic_state_update(self, stream_id: str, state: RemoteDeviceState) -> None:
        self._add("microphone", stream_id, state)

    def on_player_media_event(self, stream_id: str, event: PlayerMediaEvent) -> None:
        self._add("break", stream_id, event)

    def on_player_resource_update(self, stream_id: str, resource_mode: ResourceMode) -> None:
        self._add("resource", stream_id, resource_mode)

    def on_publisher_video_encoder_changed(
        self, from_codec: VideoCodec, to_codec: VideoCodec, channel: Channel
    ) -> None:
        self._add("encoder", from_codec, to_codec, channel)

    def on_publisher_dummy_capture_image_path_error(
        self, error_code: int, path: str, channel: Channel
    ) -> None:
        self._add("dummy image", error_code, path, channel)

    def on_video_object_segmentation_state_changed(
        self, state: ObjectSegmentationState, channel: Channel, error_code: int
    ) -> None:
        self._add("segmentation", state, error_code)

    def on_player_video_super_resolution_update(
        self, stream_id: str, state: SuperResolutionState, error_code: int
    ) -> None:
        self._add("super resolution", stream_id, state, error_code)

    def on_debug_error(self, error_code: int, function: str, info: str) -> None:
        self._add("error", error_code, function)

    def of(self, kind: str) -> list[Call]:
        """Calls of one kind, without its name."""
        return [call[1:] for call in self.calls if call[0] == kind]

    async def until(self, done: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait until ``done()``; fails with what was recorded."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; recorded: {self.calls}") from None

    async def until_call(self, *call: object, seconds: float = 15.0) -> None:
        """Wait for a call."""
        await self.until(lambda: call in self.calls, seconds)

    def _add(self, *call: object) -> None:
        self.calls.append(call)
        self._changed.set()

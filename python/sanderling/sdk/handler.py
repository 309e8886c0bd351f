"""The event handler: a class whose methods an engine calls. Override the ones of interest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from sanderling.enums import (
    AudioDeviceType,
    AudioVADStableStateMonitorType,
    AudioVADType,
    Channel,
    DeviceExceptionType,
    DeviceType,
    ObjectSegmentationState,
    PlayerMediaEvent,
    PlayerState,
    PublisherState,
    RemoteDeviceState,
    ResourceMode,
    RoomStateReason,
    StreamEvent,
    StreamQualityLevel,
    SuperResolutionState,
    UpdateType,
)
from sanderling.sdk import events, sound_events
from sanderling.sdk.pictures import events as pictures

if TYPE_CHECKING:
    from sanderling.sdk.config import User, VideoCodec
    from sanderling.sdk.events import (
        BarrageMessage,
        BroadcastMessage,
        DeviceInfo,
        RoomExtraInfo,
        Stream,
        StreamRelayCDNInfo,
    )
    from sanderling.sdk.frames import VideoFrame
    from sanderling.sdk.quality import PlayQuality, PublishQuality
    from sanderling.sdk.sound_events import SoundLevelInfo

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

    def on_room_online_user_count_update(self, room_id: str, count: int) -> Result:
        """How many users are in the room; every 30 seconds when it changed."""

    def on_room_stream_extra_info_update(self, room_id: str, streams: Sequence[Stream]) -> Result:
        """Extra infos of others' streams changed."""

    def on_room_extra_info_update(self, room_id: str, infos: Sequence[RoomExtraInfo]) -> Result:
        """The room's extra info: at the login, and when another user wrote it."""

    def on_room_token_will_expire(self, room_id: str, remaining_s: int) -> Result:
        """The token ends soon: call ``Room.renew_token``. Not called when the token comes from a function."""

    def on_im_recv_broadcast_message(self, room_id: str, messages: Sequence[BroadcastMessage]) -> Result:
        """Broadcasts of others."""

    def on_im_recv_barrage_message(self, room_id: str, messages: Sequence[BarrageMessage]) -> Result:
        """Barrage messages of others."""

    def on_im_recv_custom_command(self, room_id: str, user: User, command: str) -> Result:
        """A custom command of another user."""

    def on_recv_room_transparent_message(self, room_id: str, user: User, content: bytes) -> Result:
        """A transparent message of another user."""

    def on_receive_real_time_sequential_data(self, stream_id: str, data: bytes) -> Result:
        """Data that the publisher of a subscribed stream sent."""

    def on_remote_camera_state_update(self, stream_id: str, state: RemoteDeviceState) -> Result:
        """The camera behind another's stream changed."""

    def on_remote_mic_state_update(self, stream_id: str, state: RemoteDeviceState) -> Result:
        """The microphone behind another's stream changed."""

    def on_network_quality(self, user_id: str, up: StreamQualityLevel, down: StreamQualityLevel) -> Result:
        """How good a network is, every 2 seconds; ``user_id`` "" is this engine's own."""

    def on_publisher_state_update(
        self, stream_id: str, state: PublisherState, error_code: int, extended_data: Mapping[str, object]
    ) -> Result:
        """A stream of this engine is requested, published, or not any more."""

    def on_player_state_update(
        self, stream_id: str, state: PlayerState, error_code: int, extended_data: Mapping[str, object]
    ) -> Result:
        """A play is requested, runs, or ended."""

    def on_publisher_captured_video_first_frame(self, channel: Channel) -> Result:
        """The source delivered its first picture."""

    def on_publisher_captured_audio_first_frame(self) -> Result:
        """A source delivered its first sound."""

    def on_publisher_send_video_first_frame(self, channel: Channel) -> Result:
        """The first picture was sent."""

    def on_publisher_send_audio_first_frame(self, channel: Channel) -> Result:
        """The first sound was sent."""

    def on_publisher_video_size_changed(self, width: int, height: int, channel: Channel) -> Result:
        """The captured pictures have another size."""

    def on_publisher_video_encoder_changed(
        self, from_codec: VideoCodec, to_codec: VideoCodec, channel: Channel
    ) -> Result:
        """Another codec than the one asked for is used."""

    def on_publisher_dummy_capture_image_path_error(
        self, error_code: int, path: str, channel: Channel
    ) -> Result:
        """The picture that stands in for the camera cannot be read: 1003073."""

    def on_video_object_segmentation_state_changed(
        self, state: ObjectSegmentationState, channel: Channel, error_code: int
    ) -> Result:
        """Object segmentation is on, perhaps with the warning 1003011, or off, perhaps with the reason."""

    def on_player_video_super_resolution_update(
        self, stream_id: str, state: SuperResolutionState, error_code: int
    ) -> Result:
        """Super resolution of a play is on, or off, perhaps with the reason."""

    def on_publisher_stream_event(self, event: StreamEvent, stream_id: str, extra_info: str) -> Result:
        """A step of an attempt to publish."""

    def on_player_stream_event(self, event: StreamEvent, stream_id: str, extra_info: str) -> Result:
        """A step of an attempt to play."""

    def on_player_media_event(self, stream_id: str, event: PlayerMediaEvent) -> Result:
        """Sound or picture of a play broke off or goes on."""

    def on_player_recv_sei(self, stream_id: str, data: bytes) -> Result:
        """Data that was sent with a picture, before that picture is handed on; needs ``PlayerConfig.side_info``."""

    def on_player_recv_audio_side_info(self, stream_id: str, data: bytes) -> Result:
        """Data that was sent with the sound; needs ``PlayerConfig.side_info``."""

    def on_player_recv_audio_first_frame(self, stream_id: str) -> Result:
        """The first sound arrived."""

    def on_player_video_size_changed(self, stream_id: str, width: int, height: int) -> Result:
        """The pictures of a played stream have another size."""

    def on_player_resource_update(self, stream_id: str, resource_mode: ResourceMode) -> Result:
        """A running play comes by another path: ONLY_L3 or ONLY_RTC."""

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

    def on_captured_sound_level_update(self, sound_level: float) -> Result:
        """How loud the captured sound was, 0.0 to 100.0; after ``start_sound_level_monitor``."""

    def on_captured_sound_level_info_update(self, sound_level_info: SoundLevelInfo) -> Result:
        """The same, and whether somebody spoke; after ``start_sound_level_monitor(vad=True)``."""

    def on_remote_sound_level_update(self, sound_levels: Mapping[str, float]) -> Result:
        """How loud played streams were, by streamID."""

    def on_remote_sound_level_info_update(self, sound_level_infos: Mapping[str, SoundLevelInfo]) -> Result:
        """The same, and in which of them somebody spoke."""

    def on_captured_audio_spectrum_update(self, audio_spectrum: Sequence[float]) -> Result:
        """Levels of 64 bands of the captured sound; after ``start_audio_spectrum_monitor``."""

    def on_remote_audio_spectrum_update(self, audio_spectrums: Mapping[str, Sequence[float]]) -> Result:
        """The same of played streams, by streamID."""

    def on_audio_vad_state_update(self, kind: AudioVADStableStateMonitorType, state: AudioVADType) -> Result:
        """Somebody has begun to speak, or stopped, for good; after ``start_audio_vad_stable_state_monitor``."""

    def on_video_device_state_changed(self, update_type: UpdateType, device: DeviceInfo) -> Result:
        """A camera was plugged in or unplugged; needs a list of devices to have been asked for."""

    def on_audio_device_state_changed(
        self, update_type: UpdateType, device_type: AudioDeviceType, device: DeviceInfo
    ) -> Result:
        """A microphone or speaker was plugged in or unplugged; needs a list of devices to have been asked for."""

    def on_publisher_relay_cdn_state_update(
        self, stream_id: str, infos: Sequence[StreamRelayCDNInfo]
    ) -> Result:
        """A stream is pushed to RTMP servers besides: all of them, whenever the state of one changed."""

    def on_local_device_exception_occurred(
        self, exception: DeviceExceptionType, device_type: DeviceType, device_id: str
    ) -> Result:
        """Something is wrong with a camera or microphone that is in use."""

    def on_debug_error(self, error_code: int, function: str, info: str) -> Result:
        """A call failed, or a method of this handler raised."""


def call_handler(handler: EventHandler, event: events.Event) -> Result:
    """Call the method of ``handler`` that belongs to ``event``."""
    call = _CALLS.get(type(event))
    return call(handler, event) if call is not None else None


E = TypeVar("E", bound=events.Event)

_CALLS: dict[type[events.Event], Callable[[EventHandler, events.Event], Result]] = {}


def _delivers(kind: type[E], call: Callable[[EventHandler, E], Result]) -> None:
    _CALLS[kind] = cast(Callable[[EventHandler, events.Event], Result], call)


def _first_frame(handler: EventHandler, event: events.PublisherFirstFrame) -> Result:
    if event.kind == "video":
        if event.sent:
            return handler.on_publisher_send_video_first_frame(event.channel)
        return handler.on_publisher_captured_video_first_frame(event.channel)
    if event.sent:
        return handler.on_publisher_send_audio_first_frame(event.channel)
    return handler.on_publisher_captured_audio_first_frame()


_delivers(
    events.RoomStateChanged,
    lambda h, e: h.on_room_state_changed(e.room_id, e.reason, e.error_code, e.extended_data),
)
_delivers(events.RoomUserUpdate, lambda h, e: h.on_room_user_update(e.room_id, e.update_type, e.users))
_delivers(
    events.RoomStreamUpdate,
    lambda h, e: h.on_room_stream_update(e.room_id, e.update_type, e.streams, e.extended_data),
)
_delivers(
    events.RoomOnlineUserCountUpdate, lambda h, e: h.on_room_online_user_count_update(e.room_id, e.count)
)
_delivers(
    events.RoomStreamExtraInfoUpdate, lambda h, e: h.on_room_stream_extra_info_update(e.room_id, e.streams)
)
_delivers(events.RoomExtraInfoUpdate, lambda h, e: h.on_room_extra_info_update(e.room_id, e.infos))
_delivers(events.RoomTokenWillExpire, lambda h, e: h.on_room_token_will_expire(e.room_id, e.remaining_s))
_delivers(events.BroadcastMessageReceived, lambda h, e: h.on_im_recv_broadcast_message(e.room_id, e.messages))
_delivers(events.BarrageMessageReceived, lambda h, e: h.on_im_recv_barrage_message(e.room_id, e.messages))
_delivers(
    events.CustomCommandReceived, lambda h, e: h.on_im_recv_custom_command(e.room_id, e.user, e.command)
)
_delivers(
    events.TransparentMessageReceived,
    lambda h, e: h.on_recv_room_transparent_message(e.room_id, e.user, e.content),
)
_delivers(
    events.SequentialDataReceived, lambda h, e: h.on_receive_real_time_sequential_data(e.stream_id, e.data)
)
_delivers(events.RemoteCameraStateUpdate, lambda h, e: h.on_remote_camera_state_update(e.stream_id, e.state))
_delivers(events.RemoteMicStateUpdate, lambda h, e: h.on_remote_mic_state_update(e.stream_id, e.state))
_delivers(events.NetworkQualityUpdate, lambda h, e: h.on_network_quality(e.user_id, e.up, e.down))
_delivers(
    events.PublisherStateUpdate,
    lambda h, e: h.on_publisher_state_update(e.stream_id, e.state, e.error_code, e.extended_data),
)
_delivers(events.PublisherQualityUpdate, lambda h, e: h.on_publisher_quality_update(e.stream_id, e.quality))
_delivers(
    events.PublisherVideoSizeChanged,
    lambda h, e: h.on_publisher_video_size_changed(e.width, e.height, e.channel),
)
_delivers(
    events.PublisherStreamEvent, lambda h, e: h.on_publisher_stream_event(e.event, e.stream_id, e.extra_info)
)
_delivers(
    events.PlayerStateUpdate,
    lambda h, e: h.on_player_state_update(e.stream_id, e.state, e.error_code, e.extended_data),
)
_delivers(events.PlayerQualityUpdate, lambda h, e: h.on_player_quality_update(e.stream_id, e.quality))
_delivers(events.PlayerStreamEvent, lambda h, e: h.on_player_stream_event(e.event, e.stream_id, e.extra_info))
_delivers(events.PlayerMediaBreak, lambda h, e: h.on_player_media_event(e.stream_id, e.event))
_delivers(events.PlayerSei, lambda h, e: h.on_player_recv_sei(e.stream_id, e.data))
_delivers(events.PlayerAudioSideInfo, lambda h, e: h.on_player_recv_audio_side_info(e.stream_id, e.data))
_delivers(events.PlayerFirstAudio, lambda h, e: h.on_player_recv_audio_first_frame(e.stream_id))
_delivers(
    events.PlayerVideoSizeChanged, lambda h, e: h.on_player_video_size_changed(e.stream_id, e.width, e.height)
)
_delivers(events.PlayerResourceUpdate, lambda h, e: h.on_player_resource_update(e.stream_id, e.resource_mode))
_delivers(
    pictures.PublisherVideoEncoderChanged,
    lambda h, e: h.on_publisher_video_encoder_changed(e.from_codec, e.to_codec, e.channel),
)
_delivers(
    pictures.PublisherDummyCaptureImagePathError,
    lambda h, e: h.on_publisher_dummy_capture_image_path_error(e.error_code, e.path, e.channel),
)
_delivers(
    pictures.VideoObjectSegmentationStateChanged,
    lambda h, e: h.on_video_object_segmentation_state_changed(e.state, e.channel, e.error_code),
)
_delivers(
    pictures.PlayerVideoSuperResolutionUpdate,
    lambda h, e: h.on_player_video_super_resolution_update(e.stream_id, e.state, e.error_code),
)
_delivers(events.RemoteVideoFrame, lambda h, e: h.on_remote_video_frame(e.stream_id, e.frame))
_delivers(
    events.VideoDeviceStateChanged, lambda h, e: h.on_video_device_state_changed(e.update_type, e.device)
)
_delivers(
    events.AudioDeviceStateChanged,
    lambda h, e: h.on_audio_device_state_changed(e.update_type, e.device_type, e.device),
)
_delivers(
    events.PublisherRelayCDNStateUpdate,
    lambda h, e: h.on_publisher_relay_cdn_state_update(e.stream_id, e.infos),
)
_delivers(
    events.LocalDeviceException,
    lambda h, e: h.on_local_device_exception_occurred(e.exception, e.device_type, e.device_id),
)
_delivers(events.DebugError, lambda h, e: h.on_debug_error(e.error_code, e.function, e.info))
_delivers(events.PublisherFirstFrame, _first_frame)
_delivers(
    events.PlayerFirstFrame,
    lambda h, e: (
        h.on_player_render_video_first_frame(e.stream_id)
        if e.rendered
        else h.on_player_recv_video_first_frame(e.stream_id)
    ),
)
_delivers(sound_events.CapturedSoundLevelUpdate, lambda h, e: h.on_captured_sound_level_update(e.sound_level))
_delivers(
    sound_events.CapturedSoundLevelInfoUpdate, lambda h, e: h.on_captured_sound_level_info_update(e.info)
)
_delivers(sound_events.RemoteSoundLevelUpdate, lambda h, e: h.on_remote_sound_level_update(e.sound_levels))
_delivers(sound_events.RemoteSoundLevelInfoUpdate, lambda h, e: h.on_remote_sound_level_info_update(e.infos))
_delivers(
    sound_events.CapturedAudioSpectrumUpdate, lambda h, e: h.on_captured_audio_spectrum_update(e.spectrum)
)
_delivers(sound_events.RemoteAudioSpectrumUpdate, lambda h, e: h.on_remote_audio_spectrum_update(e.spectrums))
_delivers(sound_events.AudioVADStateUpdate, lambda h, e: h.on_audio_vad_state_update(e.kind, e.state))

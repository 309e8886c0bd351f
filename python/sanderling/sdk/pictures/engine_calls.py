"""The calls of an engine that have to do with pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.enums import (
    Channel,
    DummyCaptureImageMode,
    ObjectSegmentationState,
    PublisherTakeSnapshotPosition,
    SuperResolutionState,
    TrafficControlMinVideoBitrateMode,
    TrafficControlProperty,
)
from sanderling.errors import ErrorCode, PlayError, PublishError, SanderlingError
from sanderling.sdk.config import EngineProfile, VideoCodec
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.handler import EventHandler
from sanderling.sdk.pictures.channel import OBJECT_SEGMENTATION, ChannelPictures
from sanderling.sdk.pictures.config import (
    ObjectSegmentationConfig,
    TrafficControl,
    VideoConfig,
    Watermark,
    traffic_property,
)
from sanderling.sdk.pictures.events import (
    PlayerVideoSuperResolutionUpdate,
    PublisherDummyCaptureImagePathError,
)
from sanderling.sdk.pictures.snapshot import snapshot_of

if TYPE_CHECKING:
    from sanderling.sdk.playing import Player
    from sanderling.sdk.publishing import Publisher

__all__ = ["PictureCalls"]


class PictureCalls(EngineLife):
    """The calls of an engine that concern pictures.

    What is set for a channel counts for its previews and for all it publishes, now and later.
    """

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._pictures: Mapping[Channel, ChannelPictures] = {
            channel: ChannelPictures(channel, self._loop, self._dispatcher) for channel in Channel
        }
        self._super_resolution = False

    # ------------------------------------------------------------------------------------------ size, rate, codec

    async def set_video_config(self, config: VideoConfig, *, channel: Channel = Channel.MAIN) -> None:
        """Size, rate, bitrate and codec of what ``channel`` publishes, in place of those of ``PublisherConfig``.

        All but the codec may change while it publishes; 1000066 for the codec then.
        """
        self._check()
        pictures = self._pictures[channel]
        publisher = self._publisher(channel)
        if publisher is not None and publisher.config.video_codec is not config.codec:
            asked = pictures.config.codec if pictures.config is not None else None
            if asked is not config.codec:
                raise SanderlingError(
                    ErrorCode.SETTING_AFTER_MEDIA_STARTED,
                    f"channel {channel.name} publishes {publisher.config.video_codec}",
                    hint="stop it before choosing another codec",
                )
        pictures.config = config
        if publisher is not None:
            await publisher.change_config()

    def video_config(self, channel: Channel = Channel.MAIN) -> VideoConfig | None:
        """What was set for ``channel``; None = pictures go out as the source delivers them."""
        return self._pictures[channel].config

    def enable_traffic_control(
        self,
        enable: bool,
        properties: TrafficControlProperty = TrafficControlProperty.ADAPTIVE_FPS,
        *,
        channel: Channel = Channel.MAIN,
    ) -> None:
        """Whether, and in what besides the bitrate of the picture, ``channel`` follows the network.

        Off: the bitrate stays where it was set, whatever gets lost. 1003005 for properties that do not exist, 1000066
        while the channel publishes.
        """
        self._check()
        wanted = traffic_property(properties)
        self._check_idle(channel)
        pictures = self._pictures[channel]
        pictures.traffic = replace(pictures.traffic or TrafficControl(), enabled=enable, properties=wanted)

    def set_min_video_bitrate_for_traffic_control(
        self,
        bitrate_kbps: int,
        mode: TrafficControlMinVideoBitrateMode = TrafficControlMinVideoBitrateMode.NO_VIDEO,
        *,
        channel: Channel = Channel.MAIN,
    ) -> None:
        """While the network leaves ``channel`` less than ``bitrate_kbps`` for pictures, send none, or two a second.

        Every ten seconds it is tried again for ten. 0 = no such limit. May change at any time; 1003002 for a bitrate
        below 0 or above 100000 kbit/s.
        """
        self._check()
        if not 0 <= bitrate_kbps <= 100_000:
            raise PublishError(
                ErrorCode.BITRATE_INVALID, f"bitrate_kbps is {bitrate_kbps}, 0 to 100000 kbit/s allowed"
            )
        pictures = self._pictures[channel]
        pictures.traffic = replace(
            pictures.traffic or TrafficControl(),
            min_bitrate_kbps=bitrate_kbps,
            min_mode=TrafficControlMinVideoBitrateMode(mode),
        )

    def enable_h265_encode_fallback(self, enable: bool) -> None:
        """Whether a stream that asks for H.265 on a machine without such an encoder is published with another codec,
        which ``on_publisher_video_encoder_changed`` tells (the default), or fails with 1003010.
        """
        self._check()
        for pictures in self._pictures.values():
            pictures.h265_fallback = enable

    def is_video_encoder_supported(self, codec: VideoCodec) -> bool:
        """Whether this machine can publish pictures with ``codec``."""
        from sanderling.sdk.webrtc.codecs import can_encode

        self._check()
        return can_encode(codec)

    def is_video_decoder_supported(self, codec: VideoCodec) -> bool:
        """Whether this machine can play pictures of ``codec``."""
        from sanderling.sdk.webrtc.codecs import can_decode

        self._check()
        return can_decode(codec)

    # ------------------------------------------------------------------------------------------ what is seen

    async def set_publish_watermark(
        self,
        watermark: Watermark | None,
        *,
        is_preview_visible: bool = False,
        channel: Channel = Channel.MAIN,
    ) -> None:
        """Lay a picture over what ``channel`` publishes, and over its preview if wished; None takes it away.

        1003055 no URL, 1003056 a URL of more than 512 bytes, 1003057 no such PNG or JPEG file, 1003058 a layout that is
        none or reaches beyond the pictures; where the pictures are smaller than was known, ``on_debug_error`` tells it.
        """
        self._check()
        pictures = self._pictures[channel]
        if watermark is None:
            pictures.overlay = None
            return
        from sanderling.sdk.pictures.watermark import load_overlay

        watermark.check()
        if pictures.config is not None:
            watermark.check_fits(pictures.config.width, pictures.config.height)
        pictures.overlay = await self._loop.run_in_executor(None, load_overlay, watermark)
        pictures.overlay_in_preview = is_preview_visible

    async def set_dummy_capture_image(
        self,
        path: str,
        *,
        mode: DummyCaptureImageMode = DummyCaptureImageMode.MANUAL,
        channel: Channel = Channel.MAIN,
    ) -> None:
        """Send this picture file while the camera is switched off (``Publisher.enable(camera=False)``), in mode AUTO
        also while the source delivers nothing. "" takes it away. A muted stream sends no picture at all.

        1003073 for a path that is none; ``on_publisher_dummy_capture_image_path_error`` tells it too.
        """
        self._check()
        pictures = self._pictures[channel]
        if not path:
            pictures.stand_in = None
        else:
            from sanderling.sdk.pictures.stand_in import load_stand_in

            try:
                loaded = await self._loop.run_in_executor(None, load_stand_in, path)
            except PublishError as error:
                pictures.tell(PublisherDummyCaptureImagePathError(int(error.code), path, channel))
                raise
            pictures.stand_in, pictures.stand_in_mode = loaded, mode
        publisher = self._publisher(channel)
        if publisher is not None:
            publisher.camera_changed()

    async def enable_video_object_segmentation(
        self,
        enable: bool,
        config: ObjectSegmentationConfig | None = None,
        *,
        channel: Channel = Channel.MAIN,
    ) -> None:
        """Replace the background of what ``channel`` publishes and previews, or stop doing so.

        ``on_video_object_segmentation_state_changed`` tells the result too: 1003012 ANY_BACKGROUND, for which there is
        no model here; 1003013 the project does not allow it; 1003014 wrong parameters; 1003015 a file that cannot be
        read; with state ON 1003011, a warning: it takes longer than there is between two pictures.
        """
        self._check()
        pictures = self._pictures[channel]
        if not enable:
            pictures.key = None
            pictures.tell_segmentation(ObjectSegmentationState.OFF)
            return
        from sanderling.sdk.pictures.chroma_key import load_chroma_key

        config = config or ObjectSegmentationConfig()
        try:
            for room in self._members.values():
                if OBJECT_SEGMENTATION in room.switched_off:
                    raise PublishError(
                        ErrorCode.SEGMENTATION_NOT_ALLOWED,
                        "the project does not allow object segmentation",
                        hint="its setting is object_segmentation",
                    )
            config.check()
            pictures.key = await self._loop.run_in_executor(None, load_chroma_key, config)
        except PublishError as error:
            pictures.key = None
            pictures.tell_segmentation(ObjectSegmentationState.OFF, error.code)
            raise
        pictures.tell_segmentation(ObjectSegmentationState.ON)

    # ------------------------------------------------------------------------------------------ snapshots

    async def take_publish_stream_snapshot(
        self,
        *,
        position: PublisherTakeSnapshotPosition = PublisherTakeSnapshotPosition.AFTER_PROCESS,
        channel: Channel = Channel.MAIN,
        path: str | Path | None = None,
    ) -> VideoFrame:
        """The newest picture of ``channel`` as RGB24, written to ``path`` (.png, .jpg) if given.

        Of what is published, or of the preview where nothing is (and for ON_PREVIEW). 1003030 without a picture and
        when it cannot be written.
        """
        self._check()
        publisher = self._publisher(channel)
        if publisher is not None and position is not PublisherTakeSnapshotPosition.ON_PREVIEW:
            return await publisher.take_snapshot(position=position, path=path)
        preview = self._previews.get(channel)
        captured = position is PublisherTakeSnapshotPosition.ON_CAPTURE
        frame = preview.newest(captured=captured) if preview is not None else None
        if frame is None:
            raise PublishError(
                ErrorCode.PUBLISH_SNAPSHOT_FAILED,
                f"channel {channel.name} has no picture",
                hint="publish or preview a source with pictures first",
            )
        return await snapshot_of(frame, path, ErrorCode.PUBLISH_SNAPSHOT_FAILED)

    async def take_play_stream_snapshot(
        self, stream_id: str, *, path: str | Path | None = None
    ) -> VideoFrame:
        """The newest picture of a played stream as RGB24, written to ``path`` (.png, .jpg) if given. 1004030 when
        the stream is not played, has no picture yet, or the file cannot be written.
        """
        self._check()
        player = self._find_player(stream_id)
        if player is None:
            raise PlayError(ErrorCode.PLAY_SNAPSHOT_FAILED, f"stream {stream_id} is not played")
        return await player.take_snapshot(path=path)

    # ------------------------------------------------------------------------------------------ super resolution

    async def init_video_super_resolution(self) -> None:
        """Make ready for :meth:`enable_video_super_resolution`; 1004004 on a machine that cannot do it."""
        from sanderling.sdk.pictures.upscaler import check_machine

        self._check()
        await self._loop.run_in_executor(None, check_machine)
        self._super_resolution = True

    async def uninit_video_super_resolution(self) -> None:
        """Switch super resolution off wherever it is on, and let go of it."""
        self._check()
        self._super_resolution = False
        for player in self._players():
            if player.upscales:
                self._end_super_resolution(player)

    async def enable_video_super_resolution(self, stream_id: str, enable: bool) -> None:
        """Show the pictures of one played stream of at most 640x360 twice as wide and high, or as they are again.

        ``on_player_video_super_resolution_update`` tells it, and later failures: 1004008 not initialised, 1004005
        another stream has it already, 1004006 the pictures are too large, 1004007 this machine is too slow. 1004011 for
        a stream that is not played.
        """
        self._check()
        try:
            if not self._super_resolution:
                raise PlayError(
                    ErrorCode.SUPER_RESOLUTION_NOT_INITIALIZED,
                    "super resolution is not initialised",
                    hint="call init_video_super_resolution first",
                )
            player = self._find_player(stream_id)
            if player is None:
                raise PlayError(ErrorCode.STREAM_NOT_PLAYED, f"stream {stream_id} is not played")
            if not enable:
                self._end_super_resolution(player)
                return
            others = [other.stream_id for other in self._players() if other.upscales and other is not player]
            if others:
                raise PlayError(
                    ErrorCode.SUPER_RESOLUTION_TOO_MANY,
                    f"stream {others[0]} has super resolution already, one at a time can",
                    hint="switch it off there first",
                )
            player.upscale(lambda error: self._super_resolution_failed(stream_id, error))
        except PlayError as error:
            self._tell_super_resolution(stream_id, SuperResolutionState.OFF, error.code)
            raise
        self._tell_super_resolution(stream_id, SuperResolutionState.ON)

    def _end_super_resolution(self, player: Player) -> None:
        player.upscale(None)
        self._tell_super_resolution(player.stream_id, SuperResolutionState.OFF)

    def _super_resolution_failed(self, stream_id: str, error: PlayError) -> None:
        self._tell_super_resolution(stream_id, SuperResolutionState.OFF, error.code)

    def _tell_super_resolution(self, stream_id: str, state: SuperResolutionState, code: int = 0) -> None:
        self._dispatcher.emit(PlayerVideoSuperResolutionUpdate(stream_id, state, int(code)))

    def _players(self) -> list[Player]:
        return [player for room in self._members.values() for player in room.players.values()]

    def _find_player(self, stream_id: str) -> Player | None:
        return next((player for player in self._players() if player.stream_id == stream_id), None)

    def _publisher(self, channel: Channel) -> Publisher | None:
        publishers = (room.publishers.get(channel) for room in self._members.values())
        return next((publisher for publisher in publishers if publisher is not None), None)

    def _check_idle(self, channel: Channel) -> None:
        if self._publisher(channel) is not None:
            raise SanderlingError(
                ErrorCode.SETTING_AFTER_MEDIA_STARTED,
                f"channel {channel.name} publishes already",
                hint="set it before publishing",
            )

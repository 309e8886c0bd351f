"""The pictures of one published stream: their stage, the stand-in for a camera that is off, snapshots, the encoder."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.enums import DummyCaptureImageMode, PublisherTakeSnapshotPosition
from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.config import PublisherConfig, VideoCodec
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.pictures.codec_watch import CodecWatch, number
from sanderling.sdk.pictures.events import PublisherVideoEncoderChanged
from sanderling.sdk.pictures.least_bitrate import LeastBitrate, fps_limit
from sanderling.sdk.pictures.snapshot import snapshot_of
from sanderling.sdk.pictures.stage import PictureStage
from sanderling.sdk.quality import Counters

if TYPE_CHECKING:
    from sanderling.sdk.devices import Devices
    from sanderling.sdk.room import Room
    from sanderling.sdk.webrtc.publisher import PublisherTransport
    from sanderling.sdk.webrtc.tracks import VideoInput

__all__ = ["OutgoingPictures", "PublisherPictures"]

STAND_IN_INTERVAL = 0.2
"""Seconds between two showings of the picture that stands in: a late viewer sees it at once."""
SILENT_NS = 1_000_000_000
"""In mode AUTO a source that has delivered nothing for so long is off."""


class OutgoingPictures:
    """Belongs to one publisher."""

    def __init__(self, room: Room, channel: ChannelPictures, devices: Devices) -> None:
        self._room = room
        self._channel = channel
        self._devices = devices
        self._stage: PictureStage | None = None
        self._watch = CodecWatch()
        self._least = LeastBitrate()
        self._standing_in: asyncio.Task[None] | None = None
        self._told_codec = False
        devices.has_stand_in = lambda: channel.stand_in is not None

    def config(self, config: PublisherConfig) -> PublisherConfig:
        """``config`` with what was set for the channel."""
        return self._channel.publisher_config(config)

    def stage(self, sink: VideoInput | None) -> PictureStage | None:
        """What the source writes to in place of ``sink``; settings that the project forbids end here."""
        if sink is None:
            return None
        self._channel.check_allowed(self._room.switched_off)
        self._stage = PictureStage(self._channel, sink, camera_off=lambda: self._devices.camera_off)
        self.changed()
        return self._stage

    def changed(self) -> None:
        """The stand-in is another one."""
        idle = self._standing_in is None or self._standing_in.done()
        if self._stage is not None and self._channel.stand_in is not None and idle:
            self._standing_in = self._room.session.spawn(self._stand_in(self._stage), "sanderling-stand-in")

    def choose_codec(self, config: PublisherConfig) -> PublisherConfig:
        """``config`` with a codec that there is an encoder for, where it asks for H.265; 1003010 without fallback."""
        from sanderling.sdk.webrtc.codecs import can_encode

        if config.video_codec is not VideoCodec.H265 or can_encode(VideoCodec.H265):
            return config
        if not self._channel.h265_fallback:
            raise PublishError(
                ErrorCode.H265_ENCODER_UNSUPPORTED,
                "this machine cannot encode H.265",
                hint="publish another codec, or leave the fallback of H.265 on",
            )
        codec = VideoCodec.H264 if can_encode(VideoCodec.H264) else VideoCodec.VP8
        if not self._told_codec:
            self._told_codec = True
            self._channel.tell(PublisherVideoEncoderChanged(VideoCodec.H265, codec, self._channel.channel))
        return replace(config, video_codec=codec)

    def look(self, pushed: int, video: Counters, transport: PublisherTransport | None) -> None:
        """Every 3 seconds: report 1003081 when pictures go into the encoder and none comes out."""
        if transport is None or not transport.connected:
            return
        if self._watch.look(float(pushed), number(video, "frames_encoded")):
            self._room.report(
                PublishError(
                    ErrorCode.ENCODER_FAILED,
                    "pictures are handed to the encoder and none is encoded",
                    hint="publish another size or codec",
                ),
                "start_publishing_stream",
            )

    def follow_network(self, video: Counters) -> None:
        """Every 2 seconds: hold pictures back while less than the least bitrate is left to them."""
        traffic, target = self._channel.traffic, video.get("target_bitrate")
        if self._stage is None or not isinstance(target, float):
            return
        low = False
        if traffic is not None and traffic.enabled:
            low = self._least.look(target / 1000, traffic.min_bitrate_kbps, time.monotonic())
        self._stage.fps_limit = fps_limit(traffic.min_mode) if low and traffic is not None else None

    async def snapshot(self, position: PublisherTakeSnapshotPosition, path: str | Path | None) -> VideoFrame:
        """See ``Publisher.take_snapshot``."""
        stage = self._stage
        frame = None
        if stage is not None:
            captured = position is PublisherTakeSnapshotPosition.ON_CAPTURE
            frame = stage.captured if captured else stage.passed
        if frame is None:
            raise PublishError(ErrorCode.PUBLISH_SNAPSHOT_FAILED, "there is no picture to take")
        return await snapshot_of(frame, path, ErrorCode.PUBLISH_SNAPSHOT_FAILED)

    def close(self) -> None:
        """The stream ended."""
        self._stage = None
        if self._standing_in is not None:
            self._standing_in.cancel()

    async def _stand_in(self, stage: PictureStage) -> None:
        """Show the picture while the camera is off. What mutes the stream keeps it back like any other."""
        loop = asyncio.get_running_loop()
        while self._channel.stand_in is not None:
            if self._devices.camera_off or self._is_silent(stage):
                await loop.run_in_executor(None, stage.write_stand_in)
            await asyncio.sleep(STAND_IN_INTERVAL)

    def _is_silent(self, stage: PictureStage) -> bool:
        if self._channel.stand_in_mode is not DummyCaptureImageMode.AUTO:
            return False
        newest = stage.captured
        return newest is None or time.monotonic_ns() - newest.captured_ns > SILENT_NS


class PublisherPictures:
    """Base of a publisher."""

    _transport: PublisherTransport | None
    _devices: Devices

    def __init__(self, pictures: OutgoingPictures, config: PublisherConfig) -> None:
        self._pictures = pictures
        self._asked = config
        self._config = pictures.config(config)

    @property
    def config(self) -> PublisherConfig:
        """How the stream is encoded."""
        return self._config

    async def take_snapshot(
        self,
        *,
        position: PublisherTakeSnapshotPosition = PublisherTakeSnapshotPosition.AFTER_PROCESS,
        path: str | Path | None = None,
    ) -> VideoFrame:
        """The newest picture on its way as RGB24, written to ``path`` (.png, .jpg) if given. 1003030 without one."""
        return await self._pictures.snapshot(position, path)

    def camera_changed(self) -> None:
        """What stands in for a camera that is off is another picture."""
        if self._transport is not None:
            self._devices.apply(self._transport)
        self._pictures.changed()

    async def change_config(self) -> None:
        """The channel's configuration is another one: follow it."""
        self._config = replace(self._pictures.config(self._asked), video_codec=self._config.video_codec)
        if self._transport is not None:
            await self._transport.change(self._config)

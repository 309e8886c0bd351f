"""What is told about pictures on their way."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.enums import Channel, ObjectSegmentationState, SuperResolutionState
from sanderling.sdk.config import VideoCodec
from sanderling.sdk.events import Event

__all__ = [
    "PlayerVideoSuperResolutionUpdate",
    "PublisherDummyCaptureImagePathError",
    "PublisherVideoEncoderChanged",
    "VideoObjectSegmentationStateChanged",
]


@dataclass(frozen=True, slots=True)
class PublisherVideoEncoderChanged(Event):
    """Another codec than the one asked for is used."""

    from_codec: VideoCodec
    to_codec: VideoCodec
    channel: Channel


@dataclass(frozen=True, slots=True)
class PublisherDummyCaptureImagePathError(Event):
    """The picture that stands in for the camera cannot be read: 1003073."""

    error_code: int
    path: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class VideoObjectSegmentationStateChanged(Event):
    """Object segmentation is on or off; ``error_code``: 0, a warning (1003011 with ON), or why it is off."""

    state: ObjectSegmentationState
    channel: Channel
    error_code: int


@dataclass(frozen=True, slots=True)
class PlayerVideoSuperResolutionUpdate(Event):
    """The enlargement of a play is on or off; ``error_code``: 0, or why it is off."""

    stream_id: str
    state: SuperResolutionState
    error_code: int

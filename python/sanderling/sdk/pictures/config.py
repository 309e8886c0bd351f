"""What a program says about pictures: sizes and rates, watermark, background, stand-in."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Self

from sanderling.enums import (
    BackgroundBlurLevel,
    BackgroundProcessType,
    ObjectSegmentationType,
    TrafficControlMinVideoBitrateMode,
    TrafficControlProperty,
    VideoConfigPreset,
)
from sanderling.errors import ErrorCode, PublishError, SanderlingError
from sanderling.sdk.config import DegradationPreference, PublisherConfig, VideoCodec, check_video_bitrate

__all__ = [
    "BackgroundConfig",
    "ObjectSegmentationConfig",
    "Rect",
    "TrafficControl",
    "VideoConfig",
    "Watermark",
    "traffic_property",
]

MAX_SIDE = 8192
MAX_FPS = 120
MAX_URL_BYTES = 512
"""Of a watermark's picture (product-facts 5.6)."""

_PRESETS = {
    VideoConfigPreset.P180: (320, 180, 300),
    VideoConfigPreset.P270: (480, 270, 400),
    VideoConfigPreset.P360: (640, 360, 600),
    VideoConfigPreset.P540: (960, 540, 1200),
    VideoConfigPreset.P720: (1280, 720, 1500),
    VideoConfigPreset.P1080: (1920, 1080, 3000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoConfig:
    """Size, rate, bitrate and codec of what a channel publishes; the defaults are those of preset P360.

    ``width``, ``height``: of the encoded picture in pixels, even; a picture of another shape is cut at its edges.
    ``fps``: pictures per second at most. ``bitrate_kbps``: at most so many kbit/s; the link decides below it.
    Key frames are made when a viewer needs one, so there is no interval to set.

    Raises 1003002 for a bitrate outside 10 to 100000 kbit/s, 1000017 for a size or rate that cannot be.
    """

    width: int = 640
    height: int = 360
    fps: int = 15
    bitrate_kbps: int = 600
    codec: VideoCodec = VideoCodec.VP8

    def __post_init__(self) -> None:
        check_video_bitrate(self.bitrate_kbps, "bitrate_kbps")
        for name in ("width", "height"):
            side: int = getattr(self, name)
            if not 2 <= side <= MAX_SIDE or side % 2:
                raise SanderlingError(
                    ErrorCode.ILLEGAL_PARAMETER, f"{name} is {side}, even and from 2 to {MAX_SIDE} allowed"
                )
        if not 0 < self.fps <= MAX_FPS:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"fps is {self.fps}, 1 to {MAX_FPS} allowed")

    @classmethod
    def preset(cls, preset: VideoConfigPreset, *, codec: VideoCodec = VideoCodec.VP8) -> Self:
        """A usual size with its bitrate, at 15 pictures a second."""
        width, height, bitrate_kbps = _PRESETS[preset]
        return cls(width=width, height=height, bitrate_kbps=bitrate_kbps, codec=codec)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficControl:
    """How a channel follows the network. ``enabled`` False: the bitrate stays where it was set. ``properties``: None =
    as ``PublisherConfig`` says.
    """

    enabled: bool = True
    properties: TrafficControlProperty | None = None
    min_bitrate_kbps: int = 0
    min_mode: TrafficControlMinVideoBitrateMode = TrafficControlMinVideoBitrateMode.NO_VIDEO

    def degradation(self) -> DegradationPreference | None:
        """What the encoder gives up first; None: nothing was said about it."""
        if self.properties is None:
            return None
        fps = bool(self.properties & TrafficControlProperty.ADAPTIVE_FPS)
        size = bool(self.properties & TrafficControlProperty.ADAPTIVE_RESOLUTION)
        if not self.enabled or not (fps or size):
            return DegradationPreference.MAINTAIN_FRAMERATE_AND_RESOLUTION
        if fps and size:
            return DegradationPreference.BALANCED
        return DegradationPreference.MAINTAIN_RESOLUTION if fps else DegradationPreference.MAINTAIN_FRAMERATE

    def apply(self, config: PublisherConfig) -> PublisherConfig:
        """``config`` as the encoder is to be set up."""
        return dataclasses.replace(
            config,
            degradation=self.degradation() or config.degradation,
            fixed_bitrate=not self.enabled or config.fixed_bitrate,
        )


def traffic_property(value: object) -> TrafficControlProperty:
    """1003005 for a mask with bits that have no meaning."""
    known = ~TrafficControlProperty(0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or value & ~int(known):
        raise PublishError(
            ErrorCode.TRAFFIC_MODE_INVALID,
            f"traffic control has no property {value!r}",
            hint="combine members of TrafficControlProperty",
        )
    return TrafficControlProperty(value)


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a picture in pixels, from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """A picture laid over what is published.

    ``image_url``: a PNG or JPEG file, as a path or ``file://`` URL of at most 512 bytes; the transparency of a PNG is
    kept. ``layout``: where, in pixels of the encoded picture; the watermark is scaled to it.
    """

    image_url: str
    layout: Rect

    def check(self) -> None:
        """1003055 no URL, 1003056 a URL of more than 512 bytes, 1003058 a layout that cannot be."""
        if not self.image_url:
            raise PublishError(ErrorCode.WATERMARK_URL_EMPTY, "the watermark has no URL")
        size = len(self.image_url.encode(errors="surrogatepass"))
        if size > MAX_URL_BYTES:
            raise PublishError(
                ErrorCode.WATERMARK_URL_TOO_LONG,
                f"the watermark's URL has {size} bytes, {MAX_URL_BYTES} allowed",
            )
        layout = self.layout
        if min(layout.width, layout.height) < 2 or min(layout.x, layout.y) < 0:
            raise layout_error(f"the watermark's layout {layout} is none")
        if max(layout.x + layout.width, layout.y + layout.height) > MAX_SIDE:
            raise layout_error(f"the watermark's layout {layout} lies outside every picture")

    def check_fits(self, width: int, height: int) -> None:
        """1003058 for a layout that reaches beyond a picture of that size."""
        layout = self.layout
        if layout.x + layout.width > width or layout.y + layout.height > height:
            raise layout_error(
                f"the watermark's layout {layout} reaches beyond a picture of {width}x{height}"
            )


def layout_error(text: str) -> PublishError:
    """1003058."""
    return PublishError(
        ErrorCode.WATERMARK_LAYOUT_INVALID, text, hint="give a rectangle inside the encoded picture"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundConfig:
    """What replaces the background. ``color``: 0xRRGGBB. ``image_url``, ``video_url``: a picture or video file, as a
    path or ``file://`` URL; a film plays without its sound, over and over.
    """

    process_type: BackgroundProcessType = BackgroundProcessType.COLOR
    color: int = 0
    image_url: str = ""
    video_url: str = ""
    blur_level: BackgroundBlurLevel = BackgroundBlurLevel.MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSegmentationConfig:
    """How the subject is told from the background, and what comes in its place.

    ``GREEN_SCREEN_BACKGROUND`` works on every machine. ``ANY_BACKGROUND`` needs a model that is not part of this SDK.
    """

    type: ObjectSegmentationType = ObjectSegmentationType.GREEN_SCREEN_BACKGROUND
    background: BackgroundConfig = field(default_factory=BackgroundConfig)

    def check(self) -> None:
        """1003012 for a type that cannot be done here, 1003014 for parameters that mean nothing."""
        try:
            kind = ObjectSegmentationType(self.type)
            process = BackgroundProcessType(self.background.process_type)
            BackgroundBlurLevel(self.background.blur_level)
        except ValueError as error:
            raise _parameter(f"object segmentation: {error}") from None
        if kind is ObjectSegmentationType.ANY_BACKGROUND:
            raise PublishError(
                ErrorCode.SEGMENTATION_UNSUPPORTED,
                "telling a subject from any background needs a model that is not installed",
                hint="use a green screen and GREEN_SCREEN_BACKGROUND",
            )
        if process is BackgroundProcessType.TRANSPARENT:
            raise _parameter("a transparent background cannot be encoded", "use COLOR, BLUR, IMAGE or VIDEO")
        if process is BackgroundProcessType.COLOR and not 0 <= self.background.color <= 0xFFFFFF:
            raise _parameter(f"color is {self.background.color}, 0xRRGGBB allowed")
        if process is BackgroundProcessType.IMAGE and not self.background.image_url:
            raise _parameter("the background has no picture", "set image_url")
        if process is BackgroundProcessType.VIDEO and not self.background.video_url:
            raise _parameter("the background has no film", "set video_url")


def _parameter(text: str, hint: str = "") -> PublishError:
    return PublishError(ErrorCode.SEGMENTATION_PARAMETER, text, hint=hint)

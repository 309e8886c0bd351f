"""What is to be done with the pictures of a publish channel, whether it publishes, shows a preview, or neither yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sanderling.enums import Channel, DummyCaptureImageMode, ObjectSegmentationState
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.events import Event
from sanderling.sdk.pictures.config import TrafficControl, VideoConfig
from sanderling.sdk.pictures.events import VideoObjectSegmentationStateChanged
from sanderling.sdk.pictures.planes import Planes
from sanderling.sdk.pictures.watermark import Overlay

if TYPE_CHECKING:
    from sanderling.sdk.pictures.chroma_key import ChromaKey  # loads PyAV

__all__ = ["OBJECT_SEGMENTATION", "ChannelPictures"]

OBJECT_SEGMENTATION = "object_segmentation"
"""Name of the project's setting, as the server tells it at login when it is off."""


class ChannelPictures:
    """Settings of one channel. Set on the loop, read in the threads of sources; each is replaced as a whole."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop, dispatcher: Dispatcher) -> None:
        self._loop = loop
        self._dispatcher = dispatcher
        self.channel = channel
        self.config: VideoConfig | None = None
        self.traffic: TrafficControl | None = None
        self.overlay: Overlay | None = None
        self.overlay_in_preview = False
        self.key: ChromaKey | None = None
        self.stand_in: Planes | None = None
        self.stand_in_mode = DummyCaptureImageMode.MANUAL
        self.h265_fallback = True

    def publisher_config(self, config: PublisherConfig) -> PublisherConfig:
        """``config`` with what was set for the channel in place of its own."""
        if self.config is not None:
            config = replace(
                config,
                video_codec=self.config.codec,
                video_bitrate_kbps=self.config.bitrate_kbps,
                fps=float(self.config.fps),
            )
        return self.traffic.apply(config) if self.traffic is not None else config

    def check_allowed(self, switched_off: frozenset[str]) -> None:
        """Switch off what the project of a room does not allow."""
        if self.key is not None and OBJECT_SEGMENTATION in switched_off:
            self.key = None
            self.tell_segmentation(ObjectSegmentationState.OFF, ErrorCode.SEGMENTATION_NOT_ALLOWED)

    def tell_segmentation(self, state: ObjectSegmentationState, code: int = 0) -> None:
        """Report the state of object segmentation, from any thread."""
        self.tell(VideoObjectSegmentationStateChanged(state, self.channel, int(code)))

    def tell(self, event: Event) -> None:
        """Deliver an event, from any thread."""
        self._soon(lambda: self._dispatcher.emit(event))

    def report(self, error: SanderlingError, function: str) -> None:
        """Deliver a failure that nobody awaits, from any thread."""
        self._soon(lambda: self._dispatcher.report(error, function))

    def _soon(self, call: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

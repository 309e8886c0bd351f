"""Between a source and what takes its pictures: all that a channel does with them, in the source's own thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sanderling.enums import ObjectSegmentationState
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.frames import PixelFormat, VideoFrame
from sanderling.sdk.pictures.channel import ChannelPictures
from sanderling.sdk.pictures.pace import LIMIT, Pace, Strain
from sanderling.sdk.pictures.planes import Planes
from sanderling.sdk.pictures.watermark import Overlay
from sanderling.sdk.sources import VideoSink

if TYPE_CHECKING:
    from sanderling.sdk.pictures.chroma_key import ChromaKey  # loads PyAV

__all__ = ["PictureStage"]


class PictureStage:
    """A picture is thinned out, cut and scaled, freed of its background and marked, in this order.

    With nothing to do it is passed on as it is. A picture that comes while another is worked on waits for it, so that
    the source feels a work that is too slow and nothing piles up. The source's picture is never written to.

    ``camera_off``: asked for every picture, in the source's thread; while it is True none of the source's goes on.
    """

    def __init__(
        self,
        pictures: ChannelPictures,
        sink: VideoSink,
        *,
        preview: bool = False,
        camera_off: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pictures = pictures
        self._sink = sink
        self._preview = preview
        self._camera_off = camera_off
        self._lock = threading.Lock()
        self._pace = Pace()
        self._strain = Strain()
        self._strained: ChromaKey | None = None
        self._misfit: Overlay | None = None
        self.fps_limit: float | None = None
        """Pictures a second that the network is to be given at most, 0 = none; None = all of them."""
        self.captured: VideoFrame | None = None
        """The newest picture of the source."""
        self.passed: VideoFrame | None = None
        """The newest picture that went on."""

    def write(self, frame: VideoFrame) -> bool:
        """Take a picture of the source; False when it was dropped."""
        self.captured = frame
        if self._camera_off():
            return False
        config = self._pictures.config
        size = (config.width, config.height) if config is not None else None
        with self._lock:
            if not self._due(frame.captured_ns, config.fps if config is not None else None):
                return False
            overlay = self._overlay()
            key = self._pictures.key
            scales = size is not None and size != (frame.width, frame.height)
            if not scales and overlay is None and key is None:
                return self._pass(frame)
            begun_ns = time.perf_counter_ns()
            planes = Planes.of(frame, size)
            if key is not None:
                key.apply(planes, frame.captured_ns)
            if overlay is not None:
                self._mark(overlay, planes)
            if key is not None:
                self._look_at_strain(key, time.perf_counter_ns() - begun_ns, frame.captured_ns)
            return self._pass(planes.frame(frame))

    def write_stand_in(self) -> bool:
        """Send the picture that stands in for the source, marked as others are. Blocks for a moment."""
        picture = self._pictures.stand_in
        if picture is None:
            return False
        config = self._pictures.config
        with self._lock:
            size = (config.width, config.height) if config is not None else (picture.width, picture.height)
            planes = picture.filling(*size)
            overlay = self._overlay()
            if overlay is not None:
                self._mark(overlay, planes)
            now = VideoFrame(*size, PixelFormat.I420, captured_ns=time.monotonic_ns())
            return self._pass(planes.frame(now))

    def _due(self, captured_ns: int, fps: float | None) -> bool:
        limit = self.fps_limit
        if limit is not None:
            fps = min(limit, fps) if fps is not None else limit
        return fps is None or (fps > 0 and self._pace.take(captured_ns, fps))

    def _pass(self, frame: VideoFrame) -> bool:
        self.passed = frame
        return self._sink.write(frame)

    def _overlay(self) -> Overlay | None:
        shown = not self._preview or self._pictures.overlay_in_preview
        return self._pictures.overlay if shown else None

    def _mark(self, overlay: Overlay, planes: Planes) -> None:
        try:
            overlay.watermark.check_fits(planes.width, planes.height)
        except SanderlingError as error:
            if self._misfit is not overlay:
                self._misfit = overlay
                self._pictures.report(error, "set_publish_watermark")
            return
        overlay.blend(planes)

    def _look_at_strain(self, key: ChromaKey, spent_ns: int, captured_ns: int) -> None:
        share = self._strain.add(spent_ns, captured_ns)
        if share is None:
            return
        if share > LIMIT and self._strained is not key:
            self._strained = key
            self._pictures.tell_segmentation(ObjectSegmentationState.ON, ErrorCode.SEGMENTATION_SLOW)
        elif share <= LIMIT:
            self._strained = None

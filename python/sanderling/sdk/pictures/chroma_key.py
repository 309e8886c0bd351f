"""A green screen replaced: by a colour, a picture, a film, or the picture itself blurred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.enums import BackgroundBlurLevel, BackgroundProcessType
from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.pictures.config import BackgroundConfig, ObjectSegmentationConfig
from sanderling.sdk.pictures.film import Film
from sanderling.sdk.pictures.planes import Planes, Unreadable, read_picture

__all__ = ["ChromaKey", "load_chroma_key"]

NOT_GREEN = 10
"""Up to so much green, beyond what leans to another hue, a pixel belongs to the subject."""
RAMP = 12
"""How fast a pixel becomes background beyond that: opacity (of 255) per step of chroma."""

_BLUR = {BackgroundBlurLevel.LOW: 8, BackgroundBlurLevel.MEDIUM: 16, BackgroundBlurLevel.HIGH: 32}
"""By how much the picture is shrunk and enlarged again."""


class ChromaKey:
    """Works on I420: the mask is that of the chroma planes, where a green screen differs from everything else.

    Saturated green of BT.601 lies in direction (-74, -94) from grey in the plane of U and V. What counts as
    background points there more than aside, so that a dark or unevenly lit screen is one too.
    """

    def __init__(self, background: BackgroundConfig, picture: Planes | Film | None = None) -> None:
        self._background = background
        self._picture = self._colour() if picture is None else picture
        self._fitted: tuple[Planes, Planes] | None = None
        """A background, and the same in the size of the pictures; replaced as a whole, since streams share it."""

    def apply(self, planes: Planes, captured_ns: int) -> None:
        """Replace the background of ``planes``, taken at ``captured_ns``."""
        mask = self.mask(planes)
        if not mask.any():
            return
        behind = self._behind(planes, captured_ns)
        luma_mask = mask.repeat(2, axis=0).repeat(2, axis=1)
        _mix(planes.y, behind.y, luma_mask)
        _mix(planes.u, behind.u, mask)
        _mix(planes.v, behind.v, mask)

    @staticmethod
    def mask(planes: Planes) -> NDArray[np.uint16]:
        """0 for the subject to 255 for the background, for every two by two pixels."""
        u, v = planes.u.astype(np.int16) - 128, planes.v.astype(np.int16) - 128
        along = (-40 * u - 50 * v) >> 6  # (40, 50) / 64 has length 1
        aside = np.abs((50 * u - 40 * v) >> 6)
        opacity = np.clip((along - aside - NOT_GREEN) * RAMP, 0, 255)
        return np.asarray(opacity, np.uint16)

    def _behind(self, planes: Planes, captured_ns: int) -> Planes:
        size = (planes.width, planes.height)
        if self._background.process_type is BackgroundProcessType.BLUR:
            step = _BLUR[self._background.blur_level]
            small = planes.scaled(_even(size[0] // step), _even(size[1] // step), "AREA")
            return small.scaled(*size, "BILINEAR")
        picture = self._picture.at(captured_ns) if isinstance(self._picture, Film) else self._picture
        fitted = self._fitted
        if fitted is None or fitted[0] is not picture or (fitted[1].width, fitted[1].height) != size:
            fitted = self._fitted = (picture, picture.filling(*size))
        return fitted[1]

    def _colour(self) -> Planes:
        color = self._background.color
        pixel = np.array([color >> 16 & 255, color >> 8 & 255, color & 255], np.uint8)
        return Planes.of_rgb(np.broadcast_to(pixel, (2, 2, 3)))


def load_chroma_key(config: ObjectSegmentationConfig) -> ChromaKey:
    """Prepare the background. Blocks. 1003015 for a picture or film that cannot be read."""
    background = config.background
    if background.process_type not in (BackgroundProcessType.IMAGE, BackgroundProcessType.VIDEO):
        return ChromaKey(background)
    try:
        if background.process_type is BackgroundProcessType.VIDEO:
            return ChromaKey(background, Film(background.video_url))
        return ChromaKey(background, Planes.of_rgb(read_picture(background.image_url)[:, :, :3]))
    except Unreadable as error:
        raise PublishError(
            ErrorCode.SEGMENTATION_IMAGE,
            f"the file for the background cannot be read: {error}",
            hint="name a picture or video file, as a path or file:// URL",
        ) from None


def _mix(front: NDArray[np.uint8], behind: NDArray[np.uint8], mask: NDArray[np.uint16]) -> None:
    mixed = front * (255 - mask) + behind * mask + 128
    front[:] = (mixed + (mixed >> 8)) >> 8  # divides by 255


def _even(side: int) -> int:
    return max(2, side // 2 * 2)

"""A green screen replaced: by a colour, a picture, or the picture itself blurred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.enums import BackgroundBlurLevel, BackgroundProcessType
from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.pictures.config import BackgroundConfig, ObjectSegmentationConfig
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

    def __init__(self, background: BackgroundConfig, picture: Planes | None = None) -> None:
        self._background = background
        self._picture = picture
        self._fitted: Planes | None = None

    def apply(self, planes: Planes) -> None:
        """Replace the background of ``planes``."""
        mask = self.mask(planes)
        if not mask.any():
            return
        behind = self._behind(planes)
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

    def _behind(self, planes: Planes) -> Planes:
        size = (planes.width, planes.height)
        if self._background.process_type is BackgroundProcessType.BLUR:
            step = _BLUR[self._background.blur_level]
            small = planes.scaled(_even(size[0] // step), _even(size[1] // step), "AREA")
            return small.scaled(*size, "BILINEAR")
        if self._fitted is None or (self._fitted.width, self._fitted.height) != size:
            self._fitted = self._picture.filling(*size) if self._picture is not None else self._colour(*size)
        return self._fitted

    def _colour(self, width: int, height: int) -> Planes:
        color = self._background.color
        pixel = np.array([color >> 16, color >> 8 & 255, color & 255], np.uint8)
        one = Planes.of_rgb(np.broadcast_to(pixel, (2, 2, 3)))
        planes = Planes(width, height)
        planes.y[:], planes.u[:], planes.v[:] = one.y[0, 0], one.u[0, 0], one.v[0, 0]
        return planes


def load_chroma_key(config: ObjectSegmentationConfig) -> ChromaKey:
    """Prepare the background. Blocks. 1003015 for a picture that cannot be read."""
    background = config.background
    if background.process_type is not BackgroundProcessType.IMAGE:
        return ChromaKey(background)
    try:
        return ChromaKey(background, Planes.of_rgb(read_picture(background.image_url)[:, :, :3]))
    except Unreadable as error:
        raise PublishError(
            ErrorCode.SEGMENTATION_IMAGE,
            f"the picture for the background cannot be read: {error}",
            hint="name a picture file, as a path or file:// URL",
        ) from None


def _mix(front: NDArray[np.uint8], behind: NDArray[np.uint8], mask: NDArray[np.uint16]) -> None:
    mixed = front * (255 - mask) + behind * mask + 128
    front[:] = (mixed + (mixed >> 8)) >> 8  # divides by 255


def _even(side: int) -> int:
    return max(2, side // 2 * 2)

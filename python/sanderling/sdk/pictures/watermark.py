"""A watermark, prepared once and blended into every picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.pictures.config import Watermark
from sanderling.sdk.pictures.planes import Planes, Unreadable, read_picture

__all__ = ["Overlay", "load_overlay"]

SUFFIXES = (".png", ".jpg", ".jpeg")


class Overlay:
    """Where, and for each plane: the samples times their opacity, and how much of the picture remains."""

    def __init__(self, watermark: Watermark, picture: NDArray[np.uint8]) -> None:
        import av

        layout = watermark.layout
        # Chroma is shared by two by two pixels, so that place and size are even ones.
        self._x, self._y = layout.x // 2 * 2, layout.y // 2 * 2
        width, height = max(2, layout.width // 2 * 2), max(2, layout.height // 2 * 2)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgba")
        resized = frame.reformat(width, height, "rgba", interpolation="BICUBIC")
        scaled = np.require(resized.to_ndarray(), np.uint8)
        planes = Planes.of_rgb(scaled[:, :, :3])
        opacity = scaled[:, :, 3].astype(np.uint16)
        quarters = opacity.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3)) // 4
        self._parts = [
            _Part(planes.y, opacity),
            _Part(planes.u, quarters),
            _Part(planes.v, quarters),
        ]
        self.watermark = watermark

    def blend(self, planes: Planes) -> None:
        """Draw it into ``planes``; the layout fits (``Watermark.check_fits``)."""
        targets = ((planes.y, 1), (planes.u, 2), (planes.v, 2))
        for (plane, step), part in zip(targets, self._parts, strict=True):
            part.blend(plane, self._x // step, self._y // step)


class _Part:
    def __init__(self, samples: NDArray[np.uint8], opacity: NDArray[np.integer]) -> None:
        self._weighted = (samples.astype(np.uint16) * opacity + 128).astype(np.uint16)
        self._rest = (255 - opacity).astype(np.uint16)

    def blend(self, plane: NDArray[np.uint8], x: int, y: int) -> None:
        height, width = self._rest.shape
        target = plane[y : y + height, x : x + width]
        mixed = target * self._rest + self._weighted
        target[:] = (mixed + (mixed >> 8)) >> 8  # divides by 255


def load_overlay(watermark: Watermark) -> Overlay:
    """Read the picture and prepare it. Blocks. 1003057 when there is none that can be used."""
    try:
        return Overlay(watermark, read_picture(watermark.image_url, SUFFIXES))
    except Unreadable as error:
        raise PublishError(
            ErrorCode.WATERMARK_URL_INVALID,
            f"the watermark cannot be read: {error}",
            hint="name a PNG or JPEG file, as a path or file:// URL",
        ) from None

"""Pictures and blocks of sound as numpy sees them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import ErrorCode, SanderlingError

__all__ = ["AudioFrame", "ColorSpace", "PixelBuffer", "PixelFormat", "VideoFrame", "plane_shapes"]


class PixelFormat(StrEnum):
    """How the samples of a picture lie in memory (product-facts 1.7)."""

    I420 = "i420"
    NV12 = "nv12"
    RGBA = "rgba"
    BGRA = "bgra"
    RGB24 = "rgb24"
    BGR24 = "bgr24"


class ColorSpace(Enum):
    """Matrix and range of a picture's samples."""

    BT601_LIMITED = "bt601-limited"
    """What the software codecs of WebRTC assume unless told otherwise."""
    SRGB = "srgb"


_YUV = (PixelFormat.I420, PixelFormat.NV12)
_CHANNELS = {PixelFormat.RGBA: 4, PixelFormat.BGRA: 4, PixelFormat.RGB24: 3, PixelFormat.BGR24: 3}
_MAX_SIDE = 16384


class PixelBuffer(Protocol):
    """A picture held by the media engine; samples are copied or converted only when asked for."""

    @property
    def format(self) -> PixelFormat:
        """I420 or NV12."""

    def read_planes(self, destination: NDArray[np.uint8]) -> None:
        """Write the tightly packed planes into ``destination`` (one dimension)."""

    def read_packed(self, destination: NDArray[np.uint8], format: PixelFormat) -> None:
        """Write the picture as RGBA or BGRA into ``destination`` (height, width, 4)."""


def plane_shapes(format: PixelFormat, width: int, height: int) -> list[tuple[int, ...]]:
    """Shapes of a picture's planes, in memory order. Chroma of odd sizes is rounded up."""
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    if format is PixelFormat.I420:
        return [(height, width), (half_height, half_width), (half_height, half_width)]
    if format is PixelFormat.NV12:
        return [(height, width), (half_height, half_width, 2)]
    return [(height, width, _CHANNELS[format])]


class VideoFrame:
    """One picture. Immutable; owns its samples, or the engine's buffer of them until they are asked for.

    ``captured_ns``: monotonic time in nanoseconds (``time.monotonic_ns``). Of a picture to send: when it was taken.
    Of a received one: when it reached this program. ``rotation``: degrees clockwise, 0, 90, 180 or 270.
    """

    __slots__ = (
        "_buffer",
        "_planes",
        "captured_ns",
        "color",
        "format",
        "height",
        "rotation",
        "rtp_timestamp",
        "width",
    )

    def __init__(
        self,
        width: int,
        height: int,
        format: PixelFormat,
        *,
        captured_ns: int,
        rotation: int = 0,
        rtp_timestamp: int | None = None,
        planes: tuple[NDArray[np.uint8], ...] | None = None,
        buffer: PixelBuffer | None = None,
    ) -> None:
        self.width = width
        self.height = height
        self.format = format
        self.rotation = rotation
        self.captured_ns = captured_ns
        self.rtp_timestamp = rtp_timestamp
        self.color = ColorSpace.BT601_LIMITED if format in _YUV else ColorSpace.SRGB
        self._planes = planes
        self._buffer = buffer

    @property
    def planes(self) -> tuple[NDArray[np.uint8], ...]:
        """Read-only views of the samples, one array per plane; they keep the samples alive."""
        if self._planes is None:
            self._planes = self._read_planes()
            self._buffer = None
        return self._planes

    def to_ndarray(self, format: PixelFormat | str = PixelFormat.RGB24) -> NDArray[np.uint8]:
        """A new array: (height, width, channels) of an RGB format, (rows, width) of I420 or NV12.

        Converting a YUV picture to RGB happens here, without the interpreter lock; for large pictures call it in
        a thread (``Player.video(format=...)`` does).
        """
        wanted = _format(format)
        if wanted in _YUV:
            if wanted is not self.format:
                raise SanderlingError(
                    ErrorCode.ILLEGAL_PARAMETER, f"this picture is {self.format}, not {wanted}"
                )
            packed = np.concatenate([plane.ravel() for plane in self.planes])
            return packed.reshape(-1, self.width) if packed.size % self.width == 0 else packed
        if self.format not in _YUV:
            return _reorder(self.planes[0], self.format, wanted)
        packed_format = (
            PixelFormat.BGRA if wanted in (PixelFormat.BGRA, PixelFormat.BGR24) else PixelFormat.RGBA
        )
        out = np.empty((self.height, self.width, 4), np.uint8)
        self._native().read_packed(out, packed_format)
        return out if wanted is packed_format else np.ascontiguousarray(out[:, :, :3])

    @classmethod
    def from_ndarray(
        cls,
        array: NDArray[np.uint8],
        format: PixelFormat | str = PixelFormat.RGB24,
        *,
        captured_ns: int | None = None,
        rotation: int = 0,
    ) -> Self:
        """A picture from (height, width, channels) of an RGB format, or (height * 3 / 2, width) of I420 or NV12.

        Takes a copy when the array could change later (it is writable); 1000017 for a wrong shape or type.
        """
        wanted = _format(format)
        if array.dtype != np.uint8:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"samples are {array.dtype}, uint8 is needed")
        if rotation not in (0, 90, 180, 270):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"rotation is {rotation}, not 0, 90, 180 or 270"
            )
        if wanted in _YUV:
            if array.ndim != 2 or array.shape[0] % 3 or array.shape[1] % 2 or (array.shape[0] // 3 * 2) % 2:
                raise _bad_shape(array, "(height * 3 / 2, width) with an even height and width")
            height, width = array.shape[0] // 3 * 2, array.shape[1]
        else:
            if array.ndim != 3 or array.shape[2] != _CHANNELS[wanted]:
                raise _bad_shape(array, f"(height, width, {_CHANNELS[wanted]})")
            height, width = array.shape[:2]
        if not 0 < height <= _MAX_SIDE or not 0 < width <= _MAX_SIDE:
            raise _bad_shape(array, f"sides from 1 to {_MAX_SIDE}")
        data = np.array(array, order="C") if array.flags.writeable else np.ascontiguousarray(array)
        return cls(
            width,
            height,
            wanted,
            captured_ns=time.monotonic_ns() if captured_ns is None else captured_ns,
            rotation=rotation,
            planes=split_planes(data.reshape(-1), wanted, width, height),
        )

    def _read_planes(self) -> tuple[NDArray[np.uint8], ...]:
        shapes = plane_shapes(self.format, self.width, self.height)
        data = np.empty(sum(int(np.prod(shape)) for shape in shapes), np.uint8)
        self._native().read_planes(data)
        return split_planes(data, self.format, self.width, self.height)

    def _native(self) -> PixelBuffer:
        if self._buffer is not None:
            return self._buffer
        from sanderling.sdk.webrtc.tracks import buffer_of  # only pictures of the engine's formats come here

        return buffer_of(self)

    def __repr__(self) -> str:
        return f"<VideoFrame {self.width}x{self.height} {self.format.value} captured_ns={self.captured_ns}>"


def split_planes(
    data: NDArray[np.uint8], format: PixelFormat, width: int, height: int
) -> tuple[NDArray[np.uint8], ...]:
    """Read-only plane views of a tightly packed picture."""
    planes = []
    offset = 0
    for shape in plane_shapes(format, width, height):
        size = int(np.prod(shape))
        plane = data[offset : offset + size].reshape(shape)
        plane.flags.writeable = False
        planes.append(plane)
        offset += size
    return tuple(planes)


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A block of sound: ``samples`` is int16 (samples, channels); ``captured_ns`` as in :class:`VideoFrame`."""

    samples: NDArray[np.int16]
    rate: int
    captured_ns: int

    @property
    def duration_ms(self) -> float:
        """Length in milliseconds."""
        return len(self.samples) * 1000 / self.rate


def _format(value: PixelFormat | str) -> PixelFormat:
    try:
        return PixelFormat(value)
    except ValueError:
        known = ", ".join(format.value for format in PixelFormat)
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"unknown pixel format {value!r}", hint=f"one of {known}"
        ) from None


def _reorder(array: NDArray[np.uint8], source: PixelFormat, wanted: PixelFormat) -> NDArray[np.uint8]:
    swapped = (source in (PixelFormat.BGRA, PixelFormat.BGR24)) != (
        wanted in (PixelFormat.BGRA, PixelFormat.BGR24)
    )
    out = np.full((*array.shape[:2], _CHANNELS[wanted]), 255, np.uint8)
    out[:, :, :3] = array[:, :, 2::-1] if swapped else array[:, :, :3]
    if _CHANNELS[wanted] == _CHANNELS[source] == 4:
        out[:, :, 3] = array[:, :, 3]
    return out


def _bad_shape(array: NDArray[np.uint8], wanted: str) -> SanderlingError:
    return SanderlingError(
        ErrorCode.ILLEGAL_PARAMETER, f"an array of shape {array.shape} is no picture", hint=wanted
    )

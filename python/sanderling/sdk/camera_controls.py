"""Zoom and exposure of a V4L2 camera, by its controls (linux/videodev2.h)."""

from __future__ import annotations

import fcntl
import math
import os
import struct
from dataclasses import dataclass

from sanderling.errors import DeviceError, ErrorCode

__all__ = ["CameraControls"]

_QUERY_CONTROL = 0xC0445624  # VIDIOC_QUERYCTRL: _IOWR('V', 36, struct v4l2_queryctrl)
_SET_CONTROL = 0xC008561C  # VIDIOC_S_CTRL: _IOWR('V', 28, struct v4l2_control)
_QUERIED = struct.Struct("=II32siiiiI8x")
_CONTROL = struct.Struct("=Ii")
_ZOOM_ABSOLUTE = 0x009A090D
_EXPOSURE_BIAS = 0x009A0913
_DISABLED = 0x0001


@dataclass(frozen=True, slots=True)
class _Range:
    lowest: int
    highest: int
    default: int


class CameraControls:
    """Of the camera ``device_id``; each call opens and closes the device node."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id

    def max_zoom_factor(self) -> float:
        """The largest factor; 1.0 for a camera without zoom."""
        zoom = self._range(_ZOOM_ABSOLUTE)
        return zoom.highest / zoom.lowest if zoom is not None and 0 < zoom.lowest < zoom.highest else 1.0

    def set_zoom_factor(self, factor: float) -> None:
        """Zoom. 1006040 below 1.0 or above the camera's maximum."""
        largest = self.max_zoom_factor()
        if not 1.0 <= factor <= largest:
            raise DeviceError(
                ErrorCode.ZOOM_FACTOR_INVALID,
                f"a zoom factor of {factor}, 1.0 to {largest:g} possible",
                hint="see max_zoom_factor",
            )
        zoom = self._range(_ZOOM_ABSOLUTE)
        if zoom is not None:
            self._set(_ZOOM_ABSOLUTE, round(zoom.lowest * factor))

    def set_exposure_compensation(self, value: float) -> None:
        """Darker (down to -1.0) or brighter (up to 1.0) than the camera would. 1006041 outside of it, 1006001 for a
        camera that has no such control.
        """
        if not -1.0 <= value <= 1.0:  # not a number fails too
            raise DeviceError(
                ErrorCode.EXPOSURE_COMPENSATION_INVALID,
                f"an exposure compensation of {value}, -1.0 to 1.0 possible",
            )
        bias = self._range(_EXPOSURE_BIAS)
        if bias is None:
            raise DeviceError(
                ErrorCode.DEVICE_ERROR, f"camera {self._device_id} has no exposure compensation"
            )
        end = bias.highest if value > 0 else bias.lowest
        self._set(_EXPOSURE_BIAS, bias.default + math.trunc((end - bias.default) * abs(value)))

    def _range(self, control: int) -> _Range | None:
        query = bytearray(_QUERIED.pack(control, 0, b"", 0, 0, 0, 0, 0))
        if not self._ask(_QUERY_CONTROL, query):
            return None
        _, _, _, lowest, highest, _, default, flags = _QUERIED.unpack(query)
        return None if flags & _DISABLED else _Range(lowest, highest, default)

    def _set(self, control: int, value: int) -> None:
        if not self._ask(_SET_CONTROL, bytearray(_CONTROL.pack(control, value))):
            raise DeviceError(ErrorCode.DEVICE_ERROR, f"camera {self._device_id} refused the value {value}")

    def _ask(self, request: int, data: bytearray) -> bool:
        """Whether the device took the request."""
        from sanderling.sdk.capture import device_error

        try:
            node = os.open(self._device_id, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise device_error(error, "CAMERA", self._device_id) from None
        try:
            fcntl.ioctl(node, request, data)
        except OSError:
            return False  # no such control, or no camera
        finally:
            os.close(node)
        return True

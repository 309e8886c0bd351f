"""Cameras and microphones as sources, read by libavdevice on a thread of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

from sanderling.enums import DeviceType
from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.camera_controls import CameraControls
from sanderling.sdk.local_devices import DeviceTree, default_device
from sanderling.sdk.sources import AudioSink, AudioSource, SourceRun, VideoSink, VideoSource

__all__ = ["Camera", "Microphone", "device_error"]

PATIENCE = 5.0
"""Seconds without a picture or sound after which a device is taken for one that delivers nothing."""

_CODES = {
    errno.ENOENT: (ErrorCode.DEVICE_INVALID_ID, "there is no such device"),
    errno.ENOTDIR: (ErrorCode.DEVICE_INVALID_ID, "there is no such device"),
    errno.EISDIR: (ErrorCode.DEVICE_INVALID_ID, "it is a directory"),
    errno.ENOTTY: (ErrorCode.DEVICE_INVALID_ID, "it is another kind of device"),
    errno.EINVAL: (ErrorCode.DEVICE_INVALID_ID, "it is another kind of device, or cannot do what was asked"),
    errno.ENAMETOOLONG: (ErrorCode.DEVICE_INVALID_ID, "there is no such device"),
    errno.EACCES: (ErrorCode.DEVICE_NO_AUTHORIZATION, "the system does not allow it to be used"),
    errno.EPERM: (ErrorCode.DEVICE_NO_AUTHORIZATION, "the system does not allow it to be used"),
    errno.EBUSY: (ErrorCode.DEVICE_IN_USE, "another program has it"),
    errno.ENODEV: (ErrorCode.DEVICE_UNPLUGGED, "it was unplugged"),
    errno.ENXIO: (ErrorCode.DEVICE_UNPLUGGED, "it was unplugged"),
    errno.EIO: (ErrorCode.DEVICE_UNPLUGGED, "it was unplugged"),
}
_HINTS = {
    ErrorCode.DEVICE_INVALID_ID: "list the devices",
    ErrorCode.DEVICE_NO_AUTHORIZATION: "add the user to the group of the device node (video, audio)",
    ErrorCode.DEVICE_IN_USE: "close the other program",
}


def fault(code: ErrorCode, kind: str, device_id: str, what: str) -> DeviceError:
    """The error of one device. ``kind``: the name of a :class:`DeviceType`."""
    return DeviceError(
        code,
        f"{kind.lower()} {device_id}: {what}",
        hint=_HINTS.get(code, ""),
        context={"device_type": kind, "device_id": device_id},
    )


def device_error(error: OSError, kind: str, device_id: str) -> DeviceError:
    """What the system said, as 1006002, 1006003, 1006005, 1006006 or 1006001."""
    code, what = _CODES.get(error.errno or 0, (ErrorCode.DEVICE_ERROR, error.strerror or str(error)))
    return fault(code, kind, device_id, what)


class Camera(VideoSource):
    """A V4L2 camera. ``device_id``: its node, such as ``/dev/video0``; "" is the first one.

    ``width``, ``height`` and ``fps`` are asked of the camera, which takes the nearest it has. ``input_format`` names
    the libavformat reader; another one than ``v4l2`` (``mjpeg``, ``h264``) reads a named pipe or terminal line that
    delivers pictures as they are to be shown. ``patience``: seconds without a picture until 1006004.

    Publishing it fails with 1006020 without any camera, 1006002 invalid ID, 1006003 not allowed, 1006004 no pictures,
    1006005 in use, 1006006 unplugged, 1006001 another fault.
    """

    def __init__(
        self,
        device_id: str = "",
        *,
        width: int = 640,
        height: int = 480,
        fps: int = 30,
        input_format: str = "v4l2",
        patience: float = PATIENCE,
        tree: DeviceTree | None = None,
    ) -> None:
        _check_patience(patience)
        if not (0 < width <= 16384 and 0 < height <= 16384 and 0 < fps <= 240):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"a camera of {width}x{height} at {fps} pictures a second"
            )
        self._tree = tree or DeviceTree()
        self._wanted = device_id
        self._found = ""
        self._format = input_format
        self._patience = patience
        self._options = (
            {"video_size": f"{width}x{height}", "framerate": str(fps)}
            if input_format == "v4l2"
            else {"framerate": str(fps), "probesize": "32"}
        )

    @property
    def device_id(self) -> str:
        """The camera's node; 1006020 when none was named and there is none."""
        return self._wanted or self._found or default_device(DeviceType.CAMERA, self._tree)

    def max_zoom_factor(self) -> float:
        """The largest zoom factor; 1.0 for a camera without zoom. The codes of a device."""
        return CameraControls(self.device_id).max_zoom_factor()

    def set_zoom_factor(self, factor: float) -> None:
        """Zoom, also while the camera runs. 1006040 below 1.0 or above :meth:`max_zoom_factor`."""
        CameraControls(self.device_id).set_zoom_factor(factor)

    def set_exposure_compensation(self, value: float) -> None:
        """From -1.0, darkest, to 1.0, brightest, also while the camera runs. 1006041 outside of it."""
        CameraControls(self.device_id).set_exposure_compensation(value)

    async def prepare(self) -> tuple[bool, bool]:
        """See whether the camera can be opened; the codes of the class."""
        await asyncio.get_running_loop().run_in_executor(None, self._probe)
        return True, False

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Start the camera's thread."""
        from sanderling.sdk.device_reader import DeviceReader

        return DeviceReader(
            "CAMERA", self.device_id, self._format, self._options, self._patience, video, None, fail
        )

    def _probe(self) -> None:
        from sanderling.sdk.device_reader import probe

        self._found = node = self.device_id
        probe("CAMERA", node, Path(node), self._format, self._options)


class Microphone(AudioSource):
    """An ALSA microphone. ``device_id``: as ALSA calls it (``plughw:0,0``, ``default``); "" is the first one.

    ``input_format``: another reader than ``alsa`` (``s16le``) reads a named pipe of samples; then ``rate`` and
    ``channels`` say what comes. ``patience``: seconds without sound until 1006004. The codes of :class:`Camera`.
    """

    def __init__(
        self,
        device_id: str = "",
        *,
        rate: int = 48_000,
        channels: int = 2,
        input_format: str = "alsa",
        patience: float = PATIENCE,
        tree: DeviceTree | None = None,
    ) -> None:
        _check_patience(patience)
        if channels not in (1, 2) or not 8000 <= rate <= 192_000:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"a microphone of {channels} channels at {rate} Hz"
            )
        self._tree = tree or DeviceTree()
        self._wanted = device_id
        self._found = ""
        self._format = input_format
        self._patience = patience
        layout = "channels" if input_format == "alsa" else "ch_layout"
        self._options = {
            "sample_rate": str(rate),
            layout: str(channels) if input_format == "alsa" else ("mono" if channels == 1 else "stereo"),
        }

    @property
    def device_id(self) -> str:
        """The microphone's name; 1006020 when none was named and there is none."""
        return self._wanted or self._found or default_device(DeviceType.MICROPHONE, self._tree)

    async def prepare(self) -> tuple[bool, bool]:
        """See whether the microphone can be opened; the codes of the class."""
        await asyncio.get_running_loop().run_in_executor(None, self._probe)
        return False, True

    def start(
        self, video: VideoSink | None, audio: AudioSink | None, fail: Callable[[SanderlingError], None]
    ) -> SourceRun:
        """Start the microphone's thread."""
        from sanderling.sdk.device_reader import DeviceReader

        return DeviceReader(
            "MICROPHONE", self.device_id, self._format, self._options, self._patience, None, audio, fail
        )

    def _probe(self) -> None:
        from sanderling.sdk.device_reader import probe

        self._found = name = self.device_id
        probe("MICROPHONE", name, self._node(name), self._format, self._options)

    def _node(self, name: str) -> Path | None:
        """The kernel's node behind an ALSA name of hardware; libasound itself does not tell why it cannot open one."""
        if self._format != "alsa":
            return Path(name)
        place = re.fullmatch(r"(?:plug)?hw:(\d+)(?:,(\d+))?", name)
        if place is None:
            return None
        return self._tree.nodes / f"snd/pcmC{place[1]}D{place[2] or 0}c"


def _check_patience(seconds: float) -> None:
    if not 0 < seconds < float("inf"):
        raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"a patience of {seconds} seconds")


def open_node(path: Path, kind: str, device_id: str) -> int:
    """A descriptor of a device node, opened without waiting; the codes of a device."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise device_error(error, kind, device_id) from None

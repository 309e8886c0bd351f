"""I420 pictures that may be written to, and picture files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from sanderling.sdk.frames import PixelFormat, VideoFrame, split_planes

__all__ = ["Planes", "Unreadable", "local_path", "read_picture"]

_AV_FORMATS = {
    PixelFormat.I420: "yuv420p",
    PixelFormat.NV12: "nv12",
    PixelFormat.RGBA: "rgba",
    PixelFormat.BGRA: "bgra",
    PixelFormat.RGB24: "rgb24",
    PixelFormat.BGR24: "bgr24",
}

MAX_FILE_PIXELS = 8192 * 8192
"""A picture file that unpacks to more is refused."""


class Unreadable(Exception):
    """A picture file that cannot be used; the text says why."""


class Planes:
    """One picture of even size as tightly packed Y, U and V, which may be written to."""

    __slots__ = ("data", "height", "u", "v", "width", "y")

    def __init__(self, width: int, height: int, data: NDArray[np.uint8] | None = None) -> None:
        luma, chroma = width * height, width * height // 4
        if data is None:
            data = np.empty(luma + 2 * chroma, np.uint8)
        self.width = width
        self.height = height
        self.data = data
        self.y = data[:luma].reshape(height, width)
        self.u = data[luma : luma + chroma].reshape(height // 2, width // 2)
        self.v = data[luma + chroma :].reshape(height // 2, width // 2)

    @classmethod
    def of(cls, frame: VideoFrame, size: tuple[int, int] | None = None) -> Planes:
        """A copy of ``frame``, as large as it is (an odd last row or column goes) or cut and scaled to ``size``."""
        if frame.format is not PixelFormat.I420:
            return cls._converted(frame)._sized(size)
        width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
        y, u, v = frame.planes
        if min(frame.width, frame.height) < 2:
            y, u, v = (np.resize(y, (height, width)), np.resize(u, (1, 1)), np.resize(v, (1, 1)))
        cut = cls._cut(y, u, v, width, height, size)
        made = cls(cut[0].shape[1], cut[0].shape[0])
        for plane, part in zip((made.y, made.u, made.v), cut, strict=True):
            plane[:] = part
        return made._sized(size)

    @classmethod
    def of_rgb(cls, rgb: NDArray[np.uint8]) -> Planes:
        """A copy of (height, width, 3) samples; an odd last row or column is scaled away."""
        import av

        width, height = max(2, rgb.shape[1] // 2 * 2), max(2, rgb.shape[0] // 2 * 2)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
        samples = frame.reformat(width, height, "yuv420p").to_ndarray()
        return cls(width, height, np.require(samples, np.uint8, ["C", "W"]).reshape(-1))

    def frame(self, like: VideoFrame) -> VideoFrame:
        """These samples as a picture with the times of ``like``. They must not be written to any more."""
        return VideoFrame(
            self.width,
            self.height,
            PixelFormat.I420,
            captured_ns=like.captured_ns,
            rotation=like.rotation,
            rtp_timestamp=like.rtp_timestamp,
            planes=split_planes(self.data, PixelFormat.I420, self.width, self.height),
        )

    def scaled(self, width: int, height: int, method: str = "BILINEAR") -> Planes:
        """Scaled to that size, whatever the shape; ``method`` as libswscale calls it."""
        import av

        if (width, height) == (self.width, self.height):
            return Planes(width, height, self.data.copy())
        packed = self.data.reshape(self.height * 3 // 2, self.width)
        frame = av.VideoFrame.from_ndarray(packed, "yuv420p")
        result = frame.reformat(width, height, "yuv420p", interpolation=method).to_ndarray()
        return Planes(width, height, np.require(result, np.uint8, ["C", "W"]).reshape(-1))

    def filling(self, width: int, height: int, method: str = "AREA") -> Planes:
        """Scaled so that it fills that size; what is too wide or too high is cut off at both sides."""
        y, u, v = self._cut(self.y, self.u, self.v, self.width, self.height, (width, height))
        if y.shape != self.y.shape:
            cut = Planes(y.shape[1], y.shape[0])
            for plane, part in zip((cut.y, cut.u, cut.v), (y, u, v), strict=True):
                plane[:] = part
            return cut.scaled(width, height, method)
        return self.scaled(width, height, method)

    def _sized(self, size: tuple[int, int] | None) -> Planes:
        if size is None or size == (self.width, self.height):
            return self
        return self.filling(*size)

    @staticmethod
    def _cut(
        y: NDArray[np.uint8],
        u: NDArray[np.uint8],
        v: NDArray[np.uint8],
        width: int,
        height: int,
        size: tuple[int, int] | None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The middle of ``width`` x ``height`` samples that has the shape of ``size``."""
        left = top = 0
        if size is not None and width * size[1] != height * size[0]:
            if width * size[1] > height * size[0]:
                kept = max(2, height * size[0] // size[1] // 2 * 2)
                left, width = (width - kept) // 4 * 2, kept
            else:
                kept = max(2, width * size[1] // size[0] // 2 * 2)
                top, height = (height - kept) // 4 * 2, kept
        rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        return y[top : top + height, left : left + width], u[rows, columns], v[rows, columns]

    @classmethod
    def _converted(cls, frame: VideoFrame) -> Planes:
        import av

        if frame.format is PixelFormat.NV12:
            planes = frame.planes
            if frame.width % 2 or frame.height % 2:
                frame = VideoFrame.from_ndarray(
                    frame.to_ndarray(PixelFormat.RGB24), captured_ns=frame.captured_ns
                )
                return cls._converted(frame)
            samples = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, frame.width)
        else:
            samples = np.ascontiguousarray(frame.planes[0])
        picture = av.VideoFrame.from_ndarray(samples, _AV_FORMATS[frame.format])
        width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
        made = picture.reformat(width, height, "yuv420p").to_ndarray()
        return cls(width, height, np.require(made, np.uint8, ["C", "W"]).reshape(-1))


def local_path(url: str) -> Path:
    """The file that a path or ``file:`` URL names; :class:`Unreadable` for another scheme."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise Unreadable(f"{url} is on another machine")
        return Path(unquote(parts.path))
    if "://" in url:
        raise Unreadable(f"{parts.scheme} is no scheme for a picture; name a file")
    return Path(url)


def read_picture(url: str, suffixes: tuple[str, ...] = ()) -> NDArray[np.uint8]:
    """The picture file as RGBA (height, width, 4). Blocks. ``suffixes``: the only ones allowed, with the dot."""
    import av

    path = local_path(url)
    if suffixes and path.suffix.lower() not in suffixes:
        raise Unreadable(f"{path.name} is none of {', '.join(suffixes)}")
    if not path.is_file():
        raise Unreadable(f"there is no file {path}")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > MAX_FILE_PIXELS:
                raise Unreadable(f"{path.name} is too large")
            return np.require(next(container.decode(stream)).to_ndarray(format="rgba"), np.uint8)
    except (av.FFmpegError, OSError, StopIteration, IndexError, ValueError) as error:
        raise Unreadable(f"{path.name} is no picture: {error}") from None

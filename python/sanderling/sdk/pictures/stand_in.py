"""The picture that is sent while a camera is off."""

from __future__ import annotations

from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.pictures.planes import Planes, Unreadable, read_picture

__all__ = ["load_stand_in"]


def load_stand_in(path: str) -> Planes:
    """Read the file. Blocks. 1003073 when it cannot be read."""
    try:
        return Planes.of_rgb(read_picture(path)[:, :, :3])
    except Unreadable as error:
        raise PublishError(
            ErrorCode.DUMMY_IMAGE_PATH_ERROR,
            f"the picture for a camera that is off cannot be read: {error}",
            hint="name a picture file, as a path or file:// URL",
        ) from None

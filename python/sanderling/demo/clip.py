"""Where the film clip is: ``material/bigbuckbunny.mp4`` beside this file, put there by the build, never committed."""

from __future__ import annotations

from pathlib import Path

from sanderling.errors import DeviceError, ErrorCode

__all__ = ["CLIP_NAME", "clip_path"]

CLIP_NAME = "bigbuckbunny.mp4"
"""Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0: 1280x720, 25 fps, 5.3 s, H.264 and AAC."""

_MATERIAL = Path(__file__).parent / "material"


def clip_path(folder: Path = _MATERIAL) -> Path:
    """Return the path of the film clip; DeviceError 1008006 with the remedy when it is not there."""
    path = folder / CLIP_NAME
    if not path.is_file():
        raise DeviceError(
            ErrorCode.FILE_NOT_FOUND,
            f"the demo's film clip is missing: {path}",
            hint="in a checkout run `make setup`, which unpacks it; an installed package that lacks it is damaged",
        )
    return path

"""The burned-in clock: time and frame number written into the luma plane, readable after lossy coding.

96 black or white cells, 3 rows of 32, sit in the upper part of the picture at places relative to its size, so a
reader needs nothing but a luma plane of any size. They carry, most significant bit first:

    48 bits   Unix time in units of 0.1 ms
    16 bits   frame number, modulo 65536
    32 bits   CRC-32 (IEEE 802.3) of the eight bytes before

The CRC makes a damaged picture read as "no time" rather than as a wrong one (one wrong value in 2^32 pictures of
noise). Normative description and vectors: docs/reference/burned-in-clock.md, vectors/clock/.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLACK",
    "COLUMNS",
    "MIN_HEIGHT",
    "MIN_WIDTH",
    "ROWS",
    "UNIT_NS",
    "WHITE",
    "Reading",
    "bits",
    "burn",
    "read",
]

ROWS = 3
COLUMNS = 32
UNIT_NS = 100_000
"""Resolution of the clock: 0.1 ms, in nanoseconds."""

BLACK = 16
WHITE = 235
"""Limited-range luma, so that neither end is clipped by a colour conversion (ITU-R BT.601/709)."""

# The picture is thought of as 40 x 22.5 squares at 16:9; the grid takes columns 4..35 and rows 1..3 of them. At
# 1280x720 a cell is 32x32 and at 320x180 8x8, both on the codecs' own block borders, which keeps a change cheap.
_SQUARES_ACROSS = 40
_FIRST_COLUMN = 4
_FIRST_ROW = 1
# Row edges are multiples of 2/45 of the height.
_ROW_NUMERATOR = 2
_ROW_DENOMINATOR = 45

MIN_WIDTH = 160
MIN_HEIGHT = 90
"""Smallest picture that is read or written, pixels: cells of 4x4, whose inner half is still 2x2."""

# A reader looks at 4 x 4 points in the inner half of a cell: sixteenths of its width and height.
_SAMPLES = (5, 7, 9, 11)
_SIXTEENTHS = 16

# Darkest and brightest cell must differ by this many luma steps; below it there is no clock in the picture.
# Lower reads more washed-out pictures, higher wastes less time on pictures without one. The CRC decides anyway.
_MIN_CONTRAST = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture's clock says."""

    unix_ns: int
    """Unix time in nanoseconds, a multiple of ``UNIT_NS``; the true time is 0 to 0.1 ms later."""
    frame: int
    """Frame number modulo 65536."""


def bits(unix_ns: int, frame: int) -> NDArray[np.uint8]:
    """Return the clock as ``ROWS`` x ``COLUMNS`` cells of 0 (black) and 1 (white).

    ``unix_ns``: Unix time in nanoseconds, 0 or later. ``frame``: any frame number, taken modulo 65536.
    """
    if unix_ns < 0:
        raise ValueError(f"the clock cannot show a time before 1970: {unix_ns} ns")
    units = (unix_ns // UNIT_NS) & 0xFFFF_FFFF_FFFF
    data = units.to_bytes(6, "big") + (frame & 0xFFFF).to_bytes(2, "big")
    word = data + zlib.crc32(data).to_bytes(4, "big")
    return np.unpackbits(np.frombuffer(word, dtype=np.uint8)).reshape(ROWS, COLUMNS)


def burn(luma: NDArray[np.uint8], unix_ns: int, frame: int) -> None:
    """Write the clock into ``luma`` (height, width), in place.

    ``unix_ns``: Unix time in nanoseconds. ``frame``: frame number. ValueError when the picture is smaller than
    ``MIN_WIDTH`` x ``MIN_HEIGHT``.
    """
    height, width = _size(luma)
    columns, rows = _edges(width, height)
    levels = np.where(bits(unix_ns, frame), np.uint8(WHITE), np.uint8(BLACK))
    lines = np.repeat(levels, np.diff(columns), axis=1)
    for row in range(ROWS):
        luma[rows[row] : rows[row + 1], columns[0] : columns[-1]] = lines[row]


def read(luma: NDArray[np.uint8]) -> Reading | None:
    """Read the clock off ``luma`` (height, width); None when the picture shows none or it is damaged.

    ValueError when the picture is smaller than ``MIN_WIDTH`` x ``MIN_HEIGHT``.
    """
    height, width = _size(luma)
    down, across = _sample_points(width, height)
    points = luma[down, across].reshape(ROWS, len(_SAMPLES), COLUMNS, len(_SAMPLES))
    cells = points.sum(axis=(1, 3), dtype=np.int32)
    low, high = int(cells.min()), int(cells.max())
    if high - low < _MIN_CONTRAST * len(_SAMPLES) ** 2:
        return None
    # Midway between the extremes rather than a fixed grey: brightness and range conversions move both ends.
    word = np.packbits((2 * cells > low + high).reshape(-1)).tobytes()
    if zlib.crc32(word[:8]) != int.from_bytes(word[8:], "big"):
        return None
    return Reading(int.from_bytes(word[:6], "big") * UNIT_NS, int.from_bytes(word[6:8], "big"))


def _size(luma: NDArray[np.uint8]) -> tuple[int, int]:
    if luma.ndim != 2 or luma.dtype != np.uint8:
        raise ValueError(
            f"a luma plane is a (height, width) array of uint8, not {luma.shape} of {luma.dtype}"
        )
    height, width = luma.shape
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        raise ValueError(
            f"a picture of {width}x{height} is too small for the clock ({MIN_WIDTH}x{MIN_HEIGHT})"
        )
    return height, width


@lru_cache(maxsize=16)
def _edges(width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Cell borders in pixels: 33 columns, 4 rows; a cell goes from its border up to the next one."""
    columns = np.arange(_FIRST_COLUMN, _FIRST_COLUMN + COLUMNS + 1) * width // _SQUARES_ACROSS
    rows = np.arange(_FIRST_ROW, _FIRST_ROW + ROWS + 1) * _ROW_NUMERATOR * height // _ROW_DENOMINATOR
    return columns.astype(np.intp), rows.astype(np.intp)


@lru_cache(maxsize=16)
def _sample_points(width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the points a reader looks at, as an open mesh (12 rows x 128 columns)."""
    offsets = np.array(_SAMPLES)
    columns = (np.arange(_FIRST_COLUMN, _FIRST_COLUMN + COLUMNS)[:, None] * _SIXTEENTHS + offsets).reshape(-1)
    rows = (np.arange(_FIRST_ROW, _FIRST_ROW + ROWS)[:, None] * _SIXTEENTHS + offsets).reshape(-1)
    across = columns * width // (_SQUARES_ACROSS * _SIXTEENTHS)
    down = rows * _ROW_NUMERATOR * height // (_ROW_DENOMINATOR * _SIXTEENTHS)
    mesh = np.ix_(down.astype(np.intp), across.astype(np.intp))
    return mesh[0], mesh[1]

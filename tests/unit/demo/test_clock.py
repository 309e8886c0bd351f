"""The burned-in clock: layout, vectors, and what it survives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sanderling.demo import clock

VECTORS = Path(__file__).parents[3] / "vectors" / "clock" / "cells.json"
NOW_NS = 1_760_000_000_123_456_789


def _grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width), 126, np.uint8)


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["vectors"], ids=lambda v: v["name"])
def test_vectors(vector: dict[str, object]) -> None:
    cells = clock.bits(int(str(vector["unix_ns"])), int(str(vector["frame"])))
    assert ["".join(map(str, row)) for row in cells] == vector["cells"]


@pytest.mark.parametrize(
    "size", [(1280, 720), (1920, 1080), (640, 360), (320, 180), (160, 90), (854, 480), (641, 359)]
)
def test_reads_back_what_was_burned(size: tuple[int, int]) -> None:
    picture = _grey(*size)
    clock.burn(picture, NOW_NS, 70_000)
    reading = clock.read(picture)
    assert reading is not None
    assert 0 <= NOW_NS - reading.unix_ns < clock.UNIT_NS
    assert reading.frame == 70_000 % 65_536


def test_geometry_at_720p_is_32_pixel_cells_from_128_32() -> None:
    picture = _grey(1280, 720)
    clock.burn(picture, NOW_NS, 1)
    changed = np.argwhere(picture != 126)
    assert changed.min(axis=0).tolist() == [32, 128]
    assert changed.max(axis=0).tolist() == [32 + 96 - 1, 128 + 1024 - 1]
    cells = picture[32:128, 128:1152].reshape(3, 32, 32, 32)
    assert (cells == cells[:, :1, :, :1]).all(), "a cell is not of one colour"
    assert ((cells[:, 0, :, 0] == clock.WHITE) == clock.bits(NOW_NS, 1).astype(bool)).all()


def test_works_on_a_strided_plane_in_place() -> None:
    padded = np.full((360, 704), 90, np.uint8)
    picture = padded[:, :640]
    clock.burn(picture, NOW_NS, 7)
    assert (padded[:, 640:] == 90).all()
    reading = clock.read(picture)
    assert reading is not None
    assert reading.frame == 7


def test_a_picture_without_a_clock_reads_as_none() -> None:
    random = np.random.default_rng(7)
    assert clock.read(_grey(1280, 720)) is None
    assert all(clock.read(random.integers(0, 256, (90, 160), dtype=np.uint8)) is None for _ in range(2_000))


def test_every_single_damaged_cell_is_noticed() -> None:
    for cell in range(clock.ROWS * clock.COLUMNS):
        picture = _grey(320, 180)
        clock.burn(picture, NOW_NS, 9)
        row, column = divmod(cell, clock.COLUMNS)
        top, left = 8 * (1 + row), 8 * (4 + column)
        picture[top : top + 8, left : left + 8] = 255 - picture[top : top + 8, left : left + 8]
        assert clock.read(picture) is None, f"cell {cell}"


@pytest.mark.parametrize(("gain", "offset"), [(0.3, 90), (1.16, -19), (0.5, 0)])
def test_brightness_and_range_do_not_matter(gain: float, offset: int) -> None:
    picture = _grey(640, 360)
    clock.burn(picture, NOW_NS, 3)
    changed = np.clip(picture * gain + offset, 0, 255).astype(np.uint8)
    reading = clock.read(changed)
    assert reading is not None
    assert reading.frame == 3


def test_too_small_or_wrong_arrays_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="too small"):
        clock.burn(_grey(158, 90), NOW_NS, 0)
    with pytest.raises(ValueError, match="too small"):
        clock.read(_grey(160, 88))
    with pytest.raises(ValueError, match="uint8"):
        clock.read(np.zeros((720, 1280)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="height, width"):
        clock.read(np.zeros((720, 1280, 3), np.uint8))
    with pytest.raises(ValueError, match="1970"):
        clock.bits(-1, 0)

"""The package's names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sanderling


def test_every_public_name_is_there_and_none_is_missing_from_the_list() -> None:
    assert sorted(sanderling.__all__) == sorted(sanderling._HOME)
    for name in sanderling.__all__:
        assert getattr(sanderling, name) is not None
    assert set(sanderling.__all__) <= set(dir(sanderling))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Engines"):
        _ = sanderling.Engines  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import sanderling", {"numpy", "av", "webrtc", "sanderling._engine", "sanderling.sdk.engine"}),
        # Devices and the media extension are imported only when used; the media engine at the first login.
        (
            "from sanderling import Engine, CustomVideoSource",
            {"webrtc", "wrtc", "sanderling._engine", "sanderling.server", "av"},
        ),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

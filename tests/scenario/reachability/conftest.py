"""Networks need root and system packages. In strict mode their absence fails; else it skips, with the line to run."""

from __future__ import annotations

import os

import pytest

from scenario.reachability.network import missing, remove_stale

STRICT = os.environ.get("SANDERLING_STRICT", "") not in ("", "0")
TOOLS = {"nginx": "nginx-light", "turnserver": "coturn", "chromium": "chromium"}


@pytest.fixture(scope="session")
def _networks_can_be_made() -> None:
    reason = missing(TOOLS)
    if reason and STRICT:
        pytest.fail(reason, pytrace=False)
    elif reason:
        pytest.skip(reason)
    remove_stale()


@pytest.fixture(autouse=True)
def _possible(_networks_can_be_made: None) -> None:
    """Every test here needs them."""

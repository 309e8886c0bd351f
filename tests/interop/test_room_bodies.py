"""The bodies of ``scenario.bodies`` from the browser: alone, and with the Python SDK on the other side."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from interop.browser_user import browser_stage
from scenario.bodies import BODIES, Body

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.processes,
    pytest.mark.timeout(180),
]


@pytest.mark.parametrize(
    "native", [(), ("alice",), ("bob",)], ids=["browsers", "native host", "native viewer"]
)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
async def test_from_the_browser(
    body: Body, native: tuple[str, ...], browser: Browser, tmp_path: Path
) -> None:
    async with browser_stage(tmp_path / "state", browser, native) as stage:
        await body(stage)

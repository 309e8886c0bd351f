"""The link that the demo prints, opened in a browser."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
from playwright.async_api import Browser

from interop.browser import TIMEOUT_MS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.processes]

LIMIT_SECONDS = 40.0


async def test_the_demo_s_link_opens_a_page_that_plays(browser: Browser) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sanderling.demo", "--json", "--seconds", "60"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        link = ""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not link:
                line = (await process.stderr.readline()).decode()
                assert line, "the demo ended without printing a link"
                link = line.partition("in a browser: ")[2].strip()
        rest = asyncio.create_task(process.stderr.read())
        page = await browser.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(link)
        await page.wait_for_function(
            "() => Number(document.querySelector('.tile[data-local=\"false\"]')?.dataset.readable ?? 0) >= 10"
        )
        assert await page.locator("#token").input_value() in link.replace("%3D", "=").replace(
            "%2B", "+"
        ).replace("%2F", "/")
        await page.close()
        process.send_signal(signal.SIGINT)
        await rest
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()

"""The page over TLS with the certificate that the server makes itself: what a phone opens."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser

from interop.browser import INSECURE_HOST, SCREENSHOTS, TIMEOUT_MS
from sanderling import tokens
from sanderling.demo.link import debug_link

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.processes]

LIMIT_SECONDS = 30.0
LOOPBACK = "127.0.0.1"


async def sanderling(*arguments: str) -> dict[str, object]:
    """Run a command; the JSON object it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sanderling.cli.main", *arguments, "--json"), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
    assert process.returncode == 0
    printed: dict[str, object] = json.loads(output)
    return printed


@asynccontextmanager
async def serving(state: Path) -> AsyncIterator[str]:
    """Run ``sanderling serve`` with a certificate of its own; its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sanderling.cli.main", "serve", "--tls", "self-signed", "--ready-json"),
        *("--state", str(state), "--host", LOOPBACK, "--port", "0"),
        *("--media-listen", LOOPBACK, "--public-address", LOOPBACK, "--media-ports", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), LIMIT_SECONDS)
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        await process.communicate()


async def test_over_self_signed_tls_the_camera_works_from_any_name(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as url:
        assert url.startswith("https://")
        project = await sanderling("project", "create", "--name", "tls", "--state", str(tmp_path))
        app_id, secret = int(str(project["app_id"])), str(project["server_secret"])
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        # Not localhost: over plain HTTP the camera would be off here.
        address = f"https://{INSECURE_HOST}:{urlsplit(url).port}"
        token = tokens.generate(app_id, "alice", secret, 3600, now=time.time())
        await page.goto(debug_link(address, app_id=app_id, room_id="tls", user_id="alice", token=token))
        assert await page.locator("#capture-note").is_hidden()
        assert await page.locator("#server").input_value() == address
        await page.get_by_role("button", name="Camera").click()
        await page.wait_for_function(
            "() => document.getElementById('publish-state').dataset.state === 'PUBLISHING'"
        )
        await page.wait_for_function("() => document.querySelector('.tile video').videoWidth > 0")
        await page.screenshot(path=SCREENSHOTS / "tls-camera.png", full_page=True)
        await context.close()


async def test_a_server_without_tls_is_refused_in_words_by_a_page_that_came_over_tls(
    browser: Browser, tmp_path: Path
) -> None:
    async with serving(tmp_path) as url:
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{url}/debug/?appid=1&server=http://{INSECURE_HOST}:9&autoplay=1")
        alert = page.locator("#alert")
        await alert.wait_for(state="visible")
        assert await alert.get_attribute("data-code") == "1102013"
        assert await page.locator("#room-state").get_attribute("data-reason") == "LOGIN_FAILED"
        await context.close()

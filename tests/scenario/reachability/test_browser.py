"""The debug page in a real browser on the far side: through nginx with TLS and a prefix, and through a relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from interop.browser import EXECUTABLE, FLAGS, SOUND_AT_ONCE, TIMEOUT_MS
from sanderling import tokens
from sanderling.demo import participant
from sanderling.demo.link import debug_link
from scenario.reachability import coturn
from scenario.reachability.network import Network
from scenario.reachability.nginx import TARGETS, certificate_for, command
from scenario.reachability.parts import TOKEN_S, Server, origin, start, viewer_paths

pytestmark = pytest.mark.processes

USER = "phone"
PLAYING = """() => Number(document.querySelector('.tile[data-local="false"]')?.dataset.readable ?? 0) >= 10"""


@asynccontextmanager
async def browser_on(network: Network, host: str, folder: Path) -> AsyncIterator[Page]:
    """A page of a headless Chromium that runs on ``host`` and takes any certificate, as a user does who goes on."""
    wrapper = folder / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(network.inside(host))} {EXECUTABLE} "$@"\n')
    wrapper.chmod(0o755)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=wrapper, args=[*FLAGS, SOUND_AT_ONCE])
        try:
            context = await browser.new_context(ignore_https_errors=True)
            page = await context.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            yield page
        finally:
            await browser.close()


async def plays(page: Page, server: Server, url: str) -> dict[str, Any]:
    """Open the link that `serve` prints, wait for pictures with a readable clock; the server's snapshot then."""
    project = server.project
    token = tokens.generate(project.app_id, USER, project.server_secret, TOKEN_S, now=time.time())
    link = debug_link(url, app_id=project.app_id, room_id=participant.ROOM_ID, user_id=USER, token=token)
    await page.goto(link)
    await page.wait_for_function(PLAYING)
    return await server.snapshot()


async def test_a_browser_through_nginx_with_tls_and_a_prefix(tmp_path: Path) -> None:
    with Network({"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"]}) as network:
        address = network.address("server")
        certificate = await asyncio.to_thread(certificate_for, tmp_path / "proxy", address)
        public = f"https://{address}/live"
        nginx = command(network, tmp_path, certificate, TARGETS["kept"])
        arguments = ["--proxy-headers", "--public-url", public]
        async with (
            start("nginx", nginx),
            Server.start(network, tmp_path / "state", *arguments) as server,
            server.participant("host", "server", public, fingerprint=certificate.fingerprint),
            browser_on(network, "viewer", tmp_path) as page,
        ):
            snapshot = await plays(page, server, public)
            assert origin(snapshot, USER) == network.address("viewer")
            assert await page.evaluate("isSecureContext"), "so that the page may use the camera"
            assert {path["protocol"] for path in viewer_paths(snapshot, USER)} == {"udp"}


async def test_a_browser_through_a_relay(tmp_path: Path) -> None:
    with Network(coturn.HOSTS, rules=coturn.only_signalling("tcp")) as network:
        arguments = coturn.server_arguments(network, tmp_path)
        async with start("coturn", coturn.command(network, tmp_path)) as relay:
            await relay.listens(3478)
            async with (
                Server.start(network, tmp_path / "state", *arguments) as server,
                server.participant("host", "server", server.ready["url"]),
                browser_on(network, "viewer", tmp_path) as page,
            ):
                snapshot = await plays(page, server, server.ready["urls"][0])
                paths = viewer_paths(snapshot, USER)
                assert {path["remote"].rpartition(":")[0] for path in paths} == {network.address("turn")}

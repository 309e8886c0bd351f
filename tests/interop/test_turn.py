"""Browsers on networks that let nothing through but a TURN server."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from playwright.async_api import Browser

from interop.browser import DebugPage
from interop.turn import EXECUTABLE, coturn
from sanderling.testing.server import server

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELAY_ONLY = """
    const Direct = window.RTCPeerConnection;
    const walled = configuration => ({ ...configuration, iceTransportPolicy: "relay" });
    window.RTCPeerConnection = class extends Direct {
        constructor(configuration) { super(walled(configuration)); }
        setConfiguration(configuration) { super.setConfiguration(walled(configuration)); }
    };
"""
"""A wall around the page: the browser's connections use relayed paths only."""


async def test_host_and_viewer_behind_walls_meet_over_the_server_s_turn(
    browser: Browser, tmp_path: Path
) -> None:
    if not EXECUTABLE:
        pytest.skip("no coturn here; run:  sudo apt-get install -y coturn")
    secret = secrets.token_hex(16)
    secret_file = tmp_path / "turn-secret"
    secret_file.write_text(secret)
    secret_file.chmod(0o600)
    async with (
        coturn(tmp_path, secret) as port,
        server(turn=[f"127.0.0.1:{port}"], turn_secret_file=str(secret_file)) as host,
    ):
        project = await host.create_project("walled")
        pages: list[DebugPage] = []
        for _ in range(2):
            context = await browser.new_context()
            await context.add_init_script(RELAY_ONLY)
            pages.append(DebugPage(await context.new_page(), host, project))
        alice, bob = pages
        await alice.open("alice", publish="test", stream="film")
        await alice.wait_published()
        await bob.open("bob", autoplay=1)
        await bob.wait_frames("film")
        (worker,) = (await host.snapshot())["workers"]
        (publisher,) = worker["publishers"]
        # The media came from the relay's address, not from the browser's own.
        assert publisher["paths"][0]["remote"].startswith("127.0.0.1:")
        for page in pages:
            assert page.errors == []
            await page.page.context.close()

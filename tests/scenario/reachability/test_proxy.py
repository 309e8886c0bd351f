"""Behind nginx: TLS and a path prefix at the proxy, plain HTTP on this machine's loopback behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.nginx import TARGETS, certificate_for, command
from scenario.reachability.parts import Server, fetch, origin, start, streaming

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("prefix", TARGETS)
async def test_a_viewer_through_nginx_with_tls_and_a_prefix(tmp_path: Path, prefix: str) -> None:
    with Network({"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"]}) as network:
        address = network.address("server")
        certificate = await asyncio.to_thread(certificate_for, tmp_path / "proxy", address)
        nginx = command(network, tmp_path, certificate, TARGETS[prefix])
        public = f"https://{address}/live"

        def look(snapshot: dict[str, Any]) -> None:
            # Not the proxy's address.
            assert origin(snapshot) == network.address("viewer")

        arguments = ["--proxy-headers", "--path-prefix", "/live", "--public-url", public]
        async with start("nginx", nginx), Server.start(network, tmp_path / "state", *arguments) as server:
            assert server.ready["urls"] == [public]
            # /live/debug redirects to /live/debug/, with the proxy's scheme and host.
            assert "debug page" in await fetch(network, "viewer", f"{public}/debug")
            assert '"ok"' in await fetch(network, "viewer", f"{public}/healthz")
            # Links on the pages are relative.
            assert 'href="/' not in await fetch(network, "viewer", f"{public}/")
            # Without the prefix for those who come straight to the server.
            assert '"ok"' in await fetch(network, "server", "http://127.0.0.1:7700/healthz")
            await streaming(server, public, fingerprint=certificate.fingerprint, look=look)

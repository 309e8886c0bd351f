"""A network that lets no UDP through: media comes over ICE-TCP (RFC 6544)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.parts import Server, publisher_paths, streaming, viewer_paths

pytestmark = pytest.mark.processes

NO_UDP = """
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy accept
        meta l4proto udp drop
    }
}
"""


async def test_a_host_and_a_viewer_without_udp(tmp_path: Path) -> None:
    with Network({"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"]}, rules=NO_UDP) as network:

        def look(snapshot: dict[str, Any]) -> None:
            for paths in (viewer_paths(snapshot), publisher_paths(snapshot)):
                assert {path["protocol"] for path in paths} == {"tcp"}

        async with Server.start(network, tmp_path, "--host", "0.0.0.0") as server:
            await streaming(server, server.ready["urls"][0], host_at="viewer", look=look)

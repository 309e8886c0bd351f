"""A network without IPv4, and one with both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.parts import Server, fetch, origin, streaming, viewer_paths

pytestmark = pytest.mark.processes


async def test_a_viewer_with_ipv6_only(tmp_path: Path) -> None:
    with Network({"server": ["fd00:1::/64"], "viewer": ["fd00:2::/64"]}) as network:

        def look(snapshot: dict[str, Any]) -> None:
            viewer = f"[{network.address('viewer', 6)}]:"
            assert origin(snapshot).startswith(viewer)
            assert all(path["remote"].startswith(viewer) for path in viewer_paths(snapshot))

        async with Server.start(network, tmp_path, "--host", "::") as server:
            assert server.ready["urls"] == [f"http://[{network.address('server', 6)}]:7700"]
            await streaming(server, server.ready["urls"][0], look=look)


async def test_both_families_are_on_by_default(tmp_path: Path) -> None:
    hosts = {"server": ["203.0.113.0/24", "fd00:1::/64"], "viewer": ["198.51.100.0/24", "fd00:2::/64"]}
    with Network(hosts) as network:
        async with Server.start(network, tmp_path, "--host", "::") as server:
            four, six = network.address("server"), network.address("server", 6)
            assert server.ready["urls"] == [f"http://{four}:7700", f"http://[{six}]:7700"]
            for url in server.ready["urls"]:
                assert '"ok"' in await fetch(network, "viewer", f"{url}/healthz")
            wanted = {f"{protocol} {address} 42000" for protocol in ("udp", "tcp") for address in (four, six)}
            assert wanted <= set(server.ready["candidates"][0])

"""A network without IPv4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.parts import Server, origin, streaming, viewer_paths

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

"""Viewers and servers behind address translation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.parts import Server, origin, streaming, viewer_paths

pytestmark = pytest.mark.processes

PUBLIC, HOME, OFFICE = "203.0.113.0/24", "10.77.0.0/24", "10.78.0.0/24"

# As a home router: out goes everything, in comes only what was asked for.
MASQUERADE = """
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname "server" masquerade
    }
}
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "viewer" accept
    }
}
"""

# The server sits behind the same kind of router, which forwards its ports.
FORWARDED_PORTS = """
table ip nat {
    chain in {
        type nat hook prerouting priority dstnat
        iifname "viewer" ip daddr 203.0.113.1 tcp dport { 7700, 42000-42015 } dnat to 10.78.0.2
        iifname "viewer" ip daddr 203.0.113.1 udp dport 42000-42015 dnat to 10.78.0.2
    }
}
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        ct status dnat accept
    }
}
"""


async def test_a_viewer_behind_nat(tmp_path: Path) -> None:
    with Network({"server": [PUBLIC], "viewer": [HOME]}, rules=MASQUERADE) as network:

        def look(snapshot: dict[str, Any]) -> None:
            translated = network.router_address("server")
            assert origin(snapshot).startswith(translated + ":")
            paths = viewer_paths(snapshot)
            assert paths
            assert {path["remote"].rpartition(":")[0] for path in paths} == {translated}
            assert paths[0]["protocol"] == "udp"

        async with Server.start(network, tmp_path, "--host", "0.0.0.0") as server:
            assert server.ready["urls"] == [f"http://{network.address('server')}:7700"]
            await streaming(server, server.ready["urls"][0], look=look)


async def test_a_server_behind_forwarded_ports(tmp_path: Path) -> None:
    with Network({"server": [OFFICE], "viewer": [PUBLIC]}, rules=FORWARDED_PORTS) as network:
        public = network.router_address("viewer")

        def look(snapshot: dict[str, Any]) -> None:
            assert snapshot["candidates"][0][0] == f"udp {public} 42000"
            assert {path["local"] for path in viewer_paths(snapshot)} == {f"{public}:42000"}

        async with Server.start(
            network, tmp_path, "--host", "0.0.0.0", "--public-address", f"{public},interfaces"
        ) as server:
            url = f"http://{public}:7700"
            assert url in server.ready["urls"]
            await streaming(server, url, host_url=server.ready["url"], look=look)

"""A host and a viewer that reach nothing but the signalling and a TURN server: coturn with its shared secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability.network import Network
from scenario.reachability.parts import Server, documented, publisher_paths, start, streaming, viewer_paths

pytestmark = pytest.mark.processes

# Between viewer and server only the signalling passes, so that neither UDP nor ICE-TCP is a way. To the relay there is
# one: UDP, or TCP for those who are left nothing else.
ONLY_SIGNALLING = """
table inet filter {{
    chain forward {{
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "viewer" oifname "server" tcp dport 7700 accept
        iifname "viewer" oifname "turn" {protocol} dport 3478 accept
        iifname "turn" oifname "server" udp dport 42000-42015 accept
    }}
}}
"""

# Besides what the page about deployment shows.
PRIVATE = """
listening-ip={relay}
relay-ip={relay}
no-tls
no-dtls
log-file=stdout
simple-log
pidfile={folder}/turnserver.pid
userdb={folder}/turn.sqlite
"""

SECRET = "shared-by-node-and-relay"


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_host_and_a_viewer_through_a_relay(tmp_path: Path, protocol: str) -> None:
    hosts = {"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"], "turn": ["192.0.2.0/24"]}
    with Network(hosts, rules=ONLY_SIGNALLING.format(protocol=protocol)) as network:
        relay = network.address("turn")
        configuration = tmp_path / "turnserver.conf"
        text = documented("conf", "turnserver.conf")
        for shown, real in {"203.0.113.10": network.address("server"), "CHANGE-ME": SECRET}.items():
            assert shown in text
            text = text.replace(shown, real)
        configuration.write_text(text + PRIVATE.format(relay=relay, folder=tmp_path))
        secret = tmp_path / "secret"
        secret.write_text(SECRET + "\n")

        def look(snapshot: dict[str, Any]) -> None:
            for paths in (viewer_paths(snapshot), publisher_paths(snapshot)):
                assert {path["remote"].rpartition(":")[0] for path in paths} == {relay}

        coturn = [*network.inside("turn"), "turnserver", "-c", str(configuration)]
        arguments = ["--host", "0.0.0.0", "--turn", f"{relay}:3478", "--turn-secret-file", str(secret)]
        async with start("coturn", coturn) as process:
            await process.listens(3478)
            async with Server.start(network, tmp_path / "state", *arguments) as server:
                await streaming(server, server.ready["urls"][0], host_at="viewer", look=look)

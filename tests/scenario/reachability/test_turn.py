"""A host and a viewer that reach nothing but the signalling and a TURN server: coturn with its shared secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenario.reachability import coturn
from scenario.reachability.network import Network
from scenario.reachability.parts import Server, publisher_paths, start, streaming, viewer_paths

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_host_and_a_viewer_through_a_relay(tmp_path: Path, protocol: str) -> None:
    with Network(coturn.HOSTS, rules=coturn.only_signalling(protocol)) as network:

        def look(snapshot: dict[str, Any]) -> None:
            for paths in (viewer_paths(snapshot), publisher_paths(snapshot)):
                assert {path["remote"].rpartition(":")[0] for path in paths} == {network.address("turn")}

        arguments = coturn.server_arguments(network, tmp_path)
        async with start("coturn", coturn.command(network, tmp_path)) as relay:
            await relay.listens(3478)
            async with Server.start(network, tmp_path / "state", *arguments) as server:
                await streaming(server, server.ready["urls"][0], host_at="viewer", look=look)

"""Behind nginx: TLS and a path prefix at the proxy, plain HTTP on this machine's loopback behind it."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, prepare_certificate
from scenario.reachability.network import Network
from scenario.reachability.parts import Server, fetch, origin, start, streaming

pytestmark = pytest.mark.processes

# The two ways proxies are set up: the first hands the prefix on, the second cuts it off.
TARGETS = {"kept": "http://127.0.0.1:7700", "cut": "http://127.0.0.1:7700/"}

NGINX = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 443 ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location /live/ {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 120s;
        }}
    }}
}}
"""


def certificate_for(folder: Path, address: str) -> Certificate:
    config = ServerConfig(tls="self-signed", state=str(folder))
    certificate = prepare_certificate(config, [address], now=dt.datetime.now(dt.UTC))
    assert certificate is not None
    return certificate


@pytest.mark.parametrize("prefix", TARGETS)
async def test_a_viewer_through_nginx_with_tls_and_a_prefix(tmp_path: Path, prefix: str) -> None:
    with Network({"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"]}) as network:
        address = network.address("server")
        certificate = await asyncio.to_thread(certificate_for, tmp_path / "proxy", address)
        configuration = tmp_path / "nginx.conf"
        text = NGINX.format(
            folder=tmp_path, certificate=certificate.certificate, key=certificate.key, target=TARGETS[prefix]
        )
        configuration.write_text(text)
        public = f"https://{address}/live"

        def look(snapshot: dict[str, Any]) -> None:
            # Not the proxy's address.
            assert origin(snapshot) == network.address("viewer")

        nginx = [
            *network.inside("server"),
            "nginx",
            "-p",
            str(tmp_path),
            "-c",
            str(configuration),
            "-e",
            "stderr",
        ]
        arguments = ["--proxy-headers", "--path-prefix", "/live", "--public-url", public]
        async with start("nginx", nginx), Server.start(network, tmp_path / "state", *arguments) as server:
            assert server.ready["urls"] == [public]
            # /live/debug redirects to /live/debug/, with the proxy's scheme and host.
            assert "debug page" in await fetch(network, "viewer", f"{public}/debug")
            assert '"ok"' in await fetch(network, "viewer", f"{public}/healthz")
            # Without the prefix for those who come straight to the server.
            assert '"ok"' in await fetch(network, "server", "http://127.0.0.1:7700/healthz")
            await streaming(server, public, fingerprint=certificate.fingerprint, look=look)

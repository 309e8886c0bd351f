"""Behind nginx: TLS and a path prefix at the proxy, plain HTTP on this machine's loopback behind it."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, prepare_certificate
from scenario.reachability.network import Network
from scenario.reachability.parts import Server, documented, fetch, origin, start, streaming

pytestmark = pytest.mark.processes

PASSED = "proxy_pass http://127.0.0.1:7700;"
# The two ways proxies are set up: the first hands the prefix on, the second cuts it off.
TARGETS = {"kept": PASSED, "cut": "proxy_pass http://127.0.0.1:7700/;"}

# Around what the page about deployment shows; everything that nginx writes goes into the test's folder.
FRAME = """
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
    {documented}
}}
"""


def configuration(folder: Path, certificate: Certificate, target: str) -> str:
    """The documented configuration with this certificate and the wanted treatment of the prefix."""
    text = documented("nginx")
    assert PASSED in text
    text = text.replace(PASSED, target)
    text = re.sub(r"ssl_certificate .*;", f"ssl_certificate {certificate.certificate};", text)
    text = re.sub(r"ssl_certificate_key .*;", f"ssl_certificate_key {certificate.key};", text)
    return FRAME.format(folder=folder, documented=text)


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
        file = tmp_path / "nginx.conf"
        file.write_text(configuration(tmp_path, certificate, TARGETS[prefix]))
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
            str(file),
            "-e",
            "stderr",
        ]
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

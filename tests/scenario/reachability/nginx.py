"""nginx in front of a server, as the page about deployment shows it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, prepare_certificate
from scenario.reachability.network import Network
from scenario.reachability.parts import documented

__all__ = ["TARGETS", "certificate_for", "command"]

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


def command(network: Network, folder: Path, certificate: Certificate, target: str) -> list[str]:
    """What runs nginx on the server's host; it writes into ``folder`` alone."""
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, certificate, target))
    return [*network.inside("server"), "nginx", "-p", str(folder), "-c", str(file), "-e", "stderr"]

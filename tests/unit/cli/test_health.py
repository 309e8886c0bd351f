from __future__ import annotations

import datetime as dt
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sanderling.cli.main import app
from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, prepare_certificate


@contextmanager
def answering(status: int, body: bytes, certificate: Certificate | None = None) -> Iterator[int]:
    """A server that says the same to everybody; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(port: int, *, host: str = "", tls: str = "") -> Result:
    environment = {
        "SANDERLING_PORT": str(port),
        "SANDERLING_TLS": tls,
        "SANDERLING_HOST": host or "127.0.0.1",
    }
    return CliRunner().invoke(app, ["health"], env=environment)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_node_that_is_well(host: str) -> None:
    with answering(200, b'{"status":"ok"}') as port:
        result = ask(port, host=host)
    assert (result.exit_code, result.stdout) == (0, '{"status":"ok"}\n')


def test_a_node_that_is_not_says_what_is_down() -> None:
    with answering(503, b'{"status":"down","down":{"media":"MediaFailed"}}') as port:
        result = ask(port)
    assert result.exit_code == 1
    assert "MediaFailed" in result.stderr


def test_a_node_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = ask(port)
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} does not answer" in result.stderr


def test_a_node_with_tls(tmp_path: Path) -> None:
    config = ServerConfig(tls="self-signed", state=str(tmp_path))
    certificate = prepare_certificate(config, ["example"], now=dt.datetime.now(dt.UTC))
    with answering(200, b"{}", certificate) as port:
        assert ask(port, tls="self-signed").exit_code == 0
        assert ask(port).exit_code == 1


def test_wrong_settings_are_refused() -> None:
    result = CliRunner().invoke(app, ["health"], env={"SANDERLING_PORT": "x"})
    assert result.exit_code == 1
    assert "1000017" in result.stderr

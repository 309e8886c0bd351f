"""``sanderling health``: ask a running node on this machine whether it is well; for containers and supervisors."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli.terminal import errors_as_sentences, fail, results
from sanderling.server.addresses import url_host
from sanderling.server.config import load_config

__all__ = ["health"]

TIMEOUT_S = 4.0
"""A health check that takes longer than this has failed; the server's own parts get 2 seconds each."""


def health(
    host: Annotated[str | None, typer.Option(help="As given to `serve`.  [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="As given to `serve`.  [7700]")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="As given to `serve`.")] = None,
) -> None:
    """Exit with 0 when media and storage of the node are up. Reads the same settings as `serve`."""
    with errors_as_sentences():
        settings = load_config(file=config, flags={"host": host, "port": port})
    where = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host).strip("[]")
    shown = f"{url_host(where)}:{settings.port}"
    connection: http.client.HTTPConnection
    if settings.tls:
        # Itself, on its own machine: there is nobody in between, and the name need not be the certificate's.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(where, settings.port, timeout=TIMEOUT_S, context=trusting)
    else:
        connection = http.client.HTTPConnection(where, settings.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        text = reply.read(65_536).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        fail(f"the node at {shown} does not answer: {str(error) or type(error).__name__}")
    finally:
        connection.close()
    if reply.status != 200:
        fail(f"the node at {shown} is not well: {text}")
    results.print(text)

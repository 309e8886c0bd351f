"""``sanderling serve``: run one node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sanderling.cli.terminal import errors_as_sentences, progress, results
from sanderling.server.app import SIGNALLING_PATH
from sanderling.server.app import serve as run_server
from sanderling.server.config import ServerConfig, load_config
from sanderling.server.lifecycle import Services
from sanderling.server.telemetry import configure_logging

__all__ = ["serve"]


def serve(
    host: Annotated[str | None, typer.Option(help="Address for HTTP and signalling.  [127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port for HTTP and signalling; 0 = any free one.  [7700]")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="DIR", help="State folder.  [$XDG_STATE_HOME/sanderling]")
    ] = None,
    media_ports: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="Ports for media, UDP and TCP; 0 = any free ones.  [42000-42999]"),
    ] = None,
    media_address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP", help="Address clients send media to; may be repeated.  [all of this machine]"
        ),
    ] = None,
    media_listen: Annotated[
        list[str] | None,
        typer.Option(metavar="IP", help="Address media sockets are bound to; may be repeated.  [every one]"),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Media worker threads.  [1]")] = None,
    log_format: Annotated[str | None, typer.Option(metavar="console|json", help="Form of log lines.")] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="debug|info|warning|error", help="Least level.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings file (TOML).")] = None,
    ready_json: Annotated[
        bool,
        typer.Option("--ready-json", help="Print one JSON object to standard output once clients may come."),
    ] = False,
) -> None:
    """Run a node: HTTP, signalling and media. Settings come from a file, SANDERLING_* variables and flags."""
    with errors_as_sentences():
        settings = load_config(
            file=config,
            flags={
                "host": host,
                "port": port,
                "state": state,
                "media_ports": media_ports,
                "media_address": media_address or None,
                "media_listen": media_listen or None,
                "workers": workers,
                "log_format": log_format,
                "log_level": log_level,
            },
        )
        configure_logging(settings.log_format, settings.log_level)

        def on_ready(services: Services, bound_port: int) -> None:
            _announce(settings, services, bound_port, ready_json=ready_json)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_server(settings, on_ready=on_ready))
    if not ready_json:
        progress.print("stopped")


def _announce(settings: ServerConfig, services: Services, port: int, *, ready_json: bool) -> None:
    # An address that means "every one" is none a client can connect to.
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    url = f"http://{shown}:{port}"
    if ready_json:
        ready = {
            "url": url,
            "ws_url": f"ws://{shown}:{port}{SIGNALLING_PATH}",
            "port": port,
            "candidates": services.engine.candidates,
        }
        print(json.dumps(ready), flush=True)
        return
    where = f" --state {settings.state}" if settings.state else ""
    media = sorted({candidate.split()[-1] for worker in services.engine.candidates for candidate in worker})
    results.print(f"Sanderling serves at {url}  (media: port {', '.join(media)}, UDP and TCP)")
    results.print(f"  an AppID:  sanderling project create --name mine{where}")
    results.print(f"  a token:   sanderling token create --app-id APPID --user-id alice{where}")
    results.print("  Ctrl-C stops")

"""``sanderling serve``: run one node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sanderling.cli.announcement import Announcement, entry_of
from sanderling.cli.terminal import errors_as_sentences, progress, results
from sanderling.server.app import serve as run_server
from sanderling.server.config import load_config
from sanderling.server.lifecycle import Services
from sanderling.server.reach import split_list
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
        typer.Option(metavar="A-B", help="Ports for media, UDP and TCP; 0 = any free ones.  [42000-42015]"),
    ] = None,
    public_address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP[,IP]",
            help="Addresses clients send media to, in place of this machine's own; 'interfaces' in the list adds"
            " those.  [all of this machine]",
        ),
    ] = None,
    media_listen: Annotated[
        list[str] | None,
        typer.Option(metavar="IP", help="Address media sockets are bound to; may be repeated.  [every one]"),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Media worker threads.  [processors - 1]")] = None,
    tls: Annotated[
        str | None,
        typer.Option(
            metavar="self-signed|CERT,KEY", help="HTTPS: a certificate made here, or PEM files.  [off]"
        ),
    ] = None,
    proxy_headers: Annotated[
        bool | None, typer.Option("--proxy-headers", help="Believe X-Forwarded-* of a proxy on this machine.")
    ] = None,
    trusted_proxies: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR[,CIDR]", help="Believe X-Forwarded-* of proxies in these networks."),
    ] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="/PATH", help="Path under which a proxy shows this server.")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address people open, where it is not this machine's own."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="CN|NA|EU|AS|IN", help="Where this server stands, for clients with a geo-fence."
        ),
    ] = None,
    turn: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT[,…]", help="TURN servers for clients; turns:HOST:PORT for TLS."),
    ] = None,
    turn_secret_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="The secret shared with the TURN servers.")
    ] = None,
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
                "public_address": split_list(public_address),
                "media_listen": split_list(media_listen),
                "workers": workers,
                "tls": tls,
                "proxy_headers": proxy_headers,
                "trusted_proxies": split_list(trusted_proxies),
                "path_prefix": path_prefix,
                "public_url": public_url,
                "region": region,
                "turn": split_list(turn),
                "turn_secret_file": turn_secret_file,
                "log_format": log_format,
                "log_level": log_level,
            },
        )
        configure_logging(settings.log_format, settings.log_level)

        async def on_ready(services: Services, bound_port: int) -> None:
            announcement = Announcement(settings, services, bound_port)
            if ready_json:
                print(json.dumps(announcement.as_json()), flush=True)
                return
            # A link with a token is for the eyes of whoever sits here, not for a journal.
            entry = await entry_of(services) if sys.stdout.isatty() else None
            for line in announcement.lines(entry):
                results.print(line)

        # The server takes signals itself once it runs; one that comes earlier cancels the start.
        with (
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(run_server(settings, on_ready=on_ready))
    if not ready_json:
        progress.print("stopped")

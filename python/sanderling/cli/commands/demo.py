"""``sanderling demo``: a first live stream on this machine, measured in the picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]

MAX_SECONDS = 7200.0


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=MAX_SECONDS,
            metavar="N",
            help="Watch for N seconds from the first picture on, then stop. Without it: until Ctrl-C "
            "(with --json: 10 seconds).",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="No panel; progress goes to standard error, and the last line of standard output is the result "
            "as one JSON object.",
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Write received pictures (PNG, two a second), received sound (WAV) and frames.csv to DIR; "
            "`python -m sanderling.demo.recompute DIR` computes the figures from them again.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="P", help="Port of the server (TCP). 0 = a free one.")
    ] = 0,
    media_ports: Annotated[
        str | None,
        typer.Option(
            metavar="A-B",
            help="Ports the media engine takes from, UDP and TCP. Without it: any free ones.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a live stream end to end: a server, a publisher and a viewer in three processes on this machine.

    The publisher sends a film clip with its sound, with a clock burned into every picture; the viewer plays it in
    ONLY_L3 and reads that clock off the decoded pictures. Needs no display, sound device, camera or Internet.
    """
    # Said before anything heavy is imported, so that there is a sign of life at once.
    typer.echo("sanderling demo: starting a server, a host and a viewer …", err=True)
    from sanderling.demo.run import Options, run

    options = Options(
        seconds=DEFAULT_JSON_SECONDS if seconds is None and json else seconds,
        json=json,
        save=save,
        port=port,
        media_ports=_port_range(media_ports),
    )
    raise typer.Exit(run(options))


DEFAULT_JSON_SECONDS = 10.0


def _port_range(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None or not 0 < int(match[1]) <= int(match[2]) <= 65535:
        raise typer.BadParameter(
            f"{text!r} is not a range of ports such as 42000-42099", param_hint="--media-ports"
        )
    return int(match[1]), int(match[2])

"""``python -m sanderling.demo`` is ``sanderling demo``."""

from __future__ import annotations

import typer

from sanderling.cli.commands.demo import demo

if __name__ == "__main__":
    typer.run(demo)

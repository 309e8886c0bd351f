"""The ``sanderling`` command. Each subcommand's module is imported only when it runs, so that help is quick."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["app"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("sanderling.cli.commands.serve", "serve"),
    "health": ("sanderling.cli.commands.health", "health"),
    "project": ("sanderling.cli.commands.project", "app"),
    "room": ("sanderling.cli.commands.room", "app"),
    "token": ("sanderling.cli.commands.token", "app"),
    "demo": ("sanderling.cli.commands.demo", "demo"),
    "bench": ("sanderling.cli.commands.bench", "app"),
}


class LazyGroup(TyperGroup):
    """Finds subcommands by name and imports them on use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the subcommands this installation has."""
        return [
            name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(module) is not None
        ]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module of ``cmd_name`` and return its command, None when there is none."""
        if cmd_name not in COMMANDS or cmd_name not in self.list_commands(ctx):
            return None
        module, attribute = COMMANDS[cmd_name]
        loaded = getattr(importlib.import_module(module), attribute)
        if not isinstance(loaded, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(cmd_name)(loaded)
            loaded = single
        command: Any = typer.main.get_command(loaded)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="sanderling",
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    # A traceback with local variables would print secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    """Self-hosted ultra-low-latency live streaming."""
    for stream in (sys.stdout, sys.stderr):
        # A project's name that the terminal's encoding lacks must not stop the command half-way.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if version:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        try:
            print(installed("sanderling"))
        except PackageNotFoundError:
            print("not installed")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


if __name__ == "__main__":
    app()

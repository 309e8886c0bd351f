"""``sanderling project``: AppIDs, their secrets and their switches. Works with or without a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from sanderling.cli.terminal import errors_as_sentences, fail, print_json, results
from sanderling.server.config import load_config
from sanderling.server.storage import Project, SqliteStorage
from sanderling.server.storage.base import DEFAULT_MAX_PLAYS

__all__ = ["app", "find_project", "with_storage"]

T = TypeVar("T")

app = typer.Typer(
    help="Create, list and change projects (AppIDs).", no_args_is_help=True, rich_markup_mode=None
)

State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="State folder of the server.  [$XDG_STATE_HOME/sanderling]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def with_storage(state: Path | None, work: Callable[[SqliteStorage], Awaitable[T]]) -> T:
    """Open the storage of a state folder, do ``work``, close it."""

    async def run() -> T:
        folder = load_config(flags={"state": str(state) if state is not None else None}).state_folder
        storage = SqliteStorage(folder)
        try:
            await storage.open()
            return await work(storage)
        finally:
            await storage.aclose()

    return asyncio.run(run())


def find_project(state: Path | None, app_id: int | None) -> Project:
    """The project with this AppID; without one, the only project there is."""
    found = with_storage(state, lambda storage: storage.projects())
    if not found:
        fail("there is no project yet", hint="make one with `sanderling project create`")
    chosen = found if app_id is None else [project for project in found if project.app_id == app_id]
    if not chosen:
        fail(
            f"there is no project with AppID {app_id} (1001004)", hint="`sanderling project list` shows them"
        )
    if len(chosen) > 1:
        fail(
            f"there are {len(found)} projects",
            hint="name one with --app-id; `sanderling project list` shows them",
        )
    return chosen[0]


def _switch(text: str | None) -> bool | None:
    if text is None:
        return None
    if text.lower() not in {"on", "off"}:
        raise typer.BadParameter("on or off", param_hint="--l3")
    return text.lower() == "on"


def _settings(texts: list[str]) -> dict[str, str]:
    changes = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter("NAME=VALUE", param_hint="--setting")
        changes[name.strip()] = value.strip()
    return changes


def _values(project: Project, *, secrets: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "app_id": project.app_id,
        "name": project.name,
        "l3": project.l3,
        "max_plays": project.max_plays,
        "created": project.created,
        "settings": msgspec.structs.asdict(project.settings),
    }
    if secrets:
        values |= {"app_sign": project.app_sign, "server_secret": project.server_secret}
    return values


def _print(project: Project, *, as_json: bool, secrets: bool) -> None:
    if as_json:
        print_json(_values(project, secrets=secrets))
        return
    results.print(f"AppID         {project.app_id}")
    results.print(f"name          {project.name}")
    if secrets:
        results.print(f"AppSign       {project.app_sign}")
        results.print(f"ServerSecret  {project.server_secret}")
    results.print(f"L3            {'on' if project.l3 else 'off'}")
    results.print(f"max plays     {project.max_plays}")
    for setting, value in msgspec.structs.asdict(project.settings).items():
        results.print(f"{setting:<22}{value}")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Name, for people.")] = "project",
    l3: Annotated[str, typer.Option(metavar="on|off", help="Ultra-low-latency play.")] = "off",
    max_plays: Annotated[
        int, typer.Option(help="Streams one user plays at once, 1 to 16.")
    ] = DEFAULT_MAX_PLAYS,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Make a project and print its AppID and secrets."""
    switch = bool(_switch(l3))
    with errors_as_sentences():
        project = with_storage(state, lambda s: s.create_project(name, l3=switch, max_plays=max_plays))
    _print(project, as_json=as_json, secrets=True)


@app.command("list")
def list_projects(
    secrets: Annotated[bool, typer.Option("--secrets", help="Show AppSign and ServerSecret too.")] = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """List all projects; secrets only on request."""
    with errors_as_sentences():
        found = with_storage(state, lambda storage: storage.projects())
    if as_json:
        print_json([_values(project, secrets=secrets) for project in found])
        return
    if not found:
        results.print("no project yet; make one with `sanderling project create`")
        return
    # Written by hand: a table of Rich's cuts secrets off where the terminal is narrow.
    rows = [["AppID", "name", "L3", "max plays", *(["ServerSecret", "AppSign"] if secrets else [])]]
    for project in found:
        switches = ["on" if project.l3 else "off", str(project.max_plays)]
        shown = [project.server_secret, project.app_sign] if secrets else []
        rows.append([str(project.app_id), project.name, *switches, *shown])
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        results.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def show(
    app_id: Annotated[int | None, typer.Option(help="AppID; not needed when there is one project.")] = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Print one project with its secrets."""
    with errors_as_sentences():
        project = find_project(state, app_id)
    _print(project, as_json=as_json, secrets=True)


@app.command("set")
def change(
    app_id: Annotated[int | None, typer.Option(help="AppID; not needed when there is one project.")] = None,
    l3: Annotated[str | None, typer.Option(metavar="on|off", help="Ultra-low-latency play.")] = None,
    max_plays: Annotated[int | None, typer.Option(help="Streams one user plays at once, 1 to 16.")] = None,
    name: Annotated[str | None, typer.Option(help="Name, for people.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A setting that `project show` lists.")
    ] = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Change a project. A running server follows at once, without a restart."""
    switch = _switch(l3)
    settings = _settings(setting or [])
    if switch is None and max_plays is None and name is None and not settings:
        fail("nothing to change", hint="give --l3, --max-plays, --name or --setting", exit_code=2)
    with errors_as_sentences():
        found = find_project(state, app_id)
        project = with_storage(
            state,
            lambda s: s.update_project(
                found.app_id, l3=switch, max_plays=max_plays, name=name, settings=settings
            ),
        )
    _print(project, as_json=as_json, secrets=False)

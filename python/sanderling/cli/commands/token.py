"""``sanderling token``: make tokens, and say in words what is right and wrong in one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sanderling import token_inspection, tokens
from sanderling.cli.commands.project import AsJson, State, find_project
from sanderling.cli.terminal import errors_as_sentences, fail, print_json, results
from sanderling.ids import parse_room_id, parse_stream_id, parse_user

__all__ = ["app"]

DAY_S = 86_400

app = typer.Typer(help="Create and inspect tokens (Token04).", no_args_is_help=True, rich_markup_mode=None)

MARKS = {"right": "ok   ", "wrong": "WRONG", "unknown": "?    "}


@app.command()
def create(
    user_id: Annotated[str, typer.Option(help="userID the token is for.")],
    app_id: Annotated[int | None, typer.Option(help="AppID; not needed when there is one project.")] = None,
    room_id: Annotated[str, typer.Option(help="Only this room; needed for the options below.")] = "",
    can_login: Annotated[
        bool, typer.Option("--can-login/--no-login", help="Allow the login (with --room-id).")
    ] = True,
    can_publish: Annotated[
        bool, typer.Option("--can-publish/--no-publish", help="Allow publishing (with --room-id).")
    ] = True,
    stream_id: Annotated[
        list[str] | None, typer.Option(help="Only this streamID may be published; may be repeated.")
    ] = None,
    expire: Annotated[int, typer.Option(metavar="SECONDS", help="Validity from now on.")] = DAY_S,
    gcm: Annotated[bool, typer.Option("--gcm", help="AES-GCM instead of AES-CBC: tamper-proof.")] = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for one user of a project and print it."""
    with errors_as_sentences():
        parse_user(user_id, user_id)
        payload = _payload(room_id, can_login, can_publish, stream_id or [])
        project = find_project(state, app_id)
    mode = tokens.EnvelopeMode.GCM if gcm else tokens.EnvelopeMode.CBC
    now = time.time()
    try:
        token = tokens.generate(
            project.app_id, user_id, project.server_secret, expire, payload, now=now, mode=mode
        )
    except ValueError as error:
        fail(str(error), exit_code=2)
    if as_json:
        print_json(
            {"app_id": project.app_id, "user_id": user_id, "expire": int(now) + expire, "token": token}
        )
    else:
        results.print(token)


def _payload(room_id: str, can_login: bool, can_publish: bool, stream_ids: list[str]) -> str:
    if not room_id:
        if stream_ids or not can_login or not can_publish:
            fail("privileges need a room", hint="give --room-id", exit_code=2)
        return ""
    parse_room_id(room_id)
    for stream_id in stream_ids:
        parse_stream_id(stream_id)
    return tokens.privilege_payload(
        room_id, can_login=can_login, can_publish=can_publish, stream_ids=stream_ids
    )


@app.command()
def inspect(
    token: Annotated[str, typer.Argument(help="The token; - reads it from standard input.")],
    app_id: Annotated[
        int | None, typer.Option(help="AppID it should be for; its secret is looked up.")
    ] = None,
    user_id: Annotated[str | None, typer.Option(help="userID it should be for.")] = None,
    secret: Annotated[str, typer.Option(help="ServerSecret, instead of the one in the state folder.")] = "",
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="State folder to look the secret up in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say field by field what is right and wrong. Exit code 0: valid, 1: not, or not known."""
    if token == "-":
        token = typer.get_text_stream("stdin").read(tokens.MAX_TOKEN_LENGTH + 64)
    if not secret and (app_id is not None or state is not None):
        with errors_as_sentences():
            project = find_project(state, app_id)
        secret, app_id = project.server_secret, project.app_id
    report = token_inspection.inspect(token, now=time.time(), secret=secret, app_id=app_id, user_id=user_id)
    if as_json:
        print_json(report.to_dict())
    else:
        for finding in report.findings:
            code = f"  [{finding.code}]" if finding.code else ""
            results.print(f"{MARKS[finding.verdict]}  {finding.field:<14}  {finding.says}{code}")
        if report.valid:
            results.print("the token is valid")
        elif report.code:
            results.print(f"a login with it ends in {report.code}")
        else:
            results.print("whether it is valid shows only with the ServerSecret (--app-id or --secret)")
    if not report.valid:
        raise typer.Exit(1)

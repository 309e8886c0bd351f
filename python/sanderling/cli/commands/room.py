"""``sanderling room``: who is in the rooms of a running server; kick, forbid, close, speak. Uses the server API."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from sanderling.cli.commands.project import AsJson, State, find_project
from sanderling.cli.terminal import errors_as_sentences, fail, print_json, results
from sanderling.server_signature import signed_parameters

__all__ = ["app"]

TIMEOUT_S = 10.0
LONGEST_ANSWER = 4 * 1024 * 1024
NOTHING_THERE = 104
"""Code of a room that nobody is in."""

app = typer.Typer(
    help="Look into the rooms of a running server, and act in them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AppId = Annotated[int | None, typer.Option(help="AppID; not needed when there is one project.")]
Url = Annotated[str, typer.Option(metavar="URL", help="The server.")]
Reason = Annotated[str, typer.Option(help="What the users concerned are told; at most 256 bytes.")]
RoomId = Annotated[str, typer.Argument(metavar="ROOM", help="roomID.")]
USERS_EVERY_S = 1.05
ROOMS_EVERY_S = 0.11
"""Pause between parts of a long list, as the server's limits of these calls need it."""
LOCAL = "http://127.0.0.1:7700"

Parameters = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Api:
    """The server API of a server, for one project."""

    url: str
    app_id: int
    server_secret: str

    def call(
        self, action: str, parameters: Parameters = (), *, allowed: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Data of the answer; a failure ends the command, but for the codes ``allowed``, which give nothing."""
        signed = signed_parameters(self.app_id, self.server_secret, now=time.time())
        answer = self._get(urlencode([("Action", action), *signed.items(), *parameters]))
        code = answer.get("Code")
        if code in allowed:
            return {}
        if code != 0:
            fail(f"{answer.get('Message', 'the server gave no reason')} ({code})")
        return dict(answer.get("Data") or {})

    def _get(self, query: str) -> dict[str, Any]:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            fail(f"{self.url!r} is not the URL of a server", hint=f"write it as {LOCAL}", exit_code=2)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/api/?{query}")
            answer: Any = json.loads(connection.getresponse().read(LONGEST_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            fail(f"{self.url} does not answer: {why}", hint="start it with `sanderling serve`, or give --url")
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}


def _api(state: State, app_id: int | None, url: str) -> Api:
    with errors_as_sentences():
        project = find_project(state, app_id)
    return Api(url, project.app_id, project.server_secret)


def _print(rows: list[dict[str, Any]], columns: dict[str, str], *, as_json: bool, nothing: str) -> None:
    """Rows as JSON, or as a table with these columns (key and title)."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        results.print(nothing)
        return
    table = [list(columns.values()), *([str(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for line in table:
        results.print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _done(sentence: str, values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        results.print(sentence)


@app.command("list")
def list_rooms(app_id: AppId = None, url: Url = LOCAL, state: State = None, as_json: AsJson = False) -> None:
    """List the rooms that somebody is in."""
    api = _api(state, app_id, url)
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        part = api.call("DescribeRooms", [("Marker", marker)])
        found += part["RoomList"]
        marker = part.get("Marker", "")
        if not marker:
            break
        time.sleep(ROOMS_EVERY_S)
    columns = {"RoomId": "room", "UserCount": "users", "StreamCount": "streams"}
    _print(found, columns, as_json=as_json, nothing="nobody is in any room")


@app.command()
def users(
    room_id: RoomId, app_id: AppId = None, url: Url = LOCAL, state: State = None, as_json: AsJson = False
) -> None:
    """List who is in a room, in the order of their logins."""
    api = _api(state, app_id, url)
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        part = api.call(
            "DescribeUserList", [("RoomId", room_id), ("Marker", marker)], allowed=(NOTHING_THERE,)
        )
        found += part.get("UserList", [])
        marker = part.get("Marker", "")
        if not marker:
            break
        time.sleep(USERS_EVERY_S)
    for user in found:
        user["Role"] = "publishes" if user["UserRole"] == 1 else ""
    columns = {"UserId": "userID", "UserName": "name", "Role": "role"}
    _print(found, columns, as_json=as_json, nothing="nobody is there")


@app.command()
def streams(
    room_id: RoomId, app_id: AppId = None, url: Url = LOCAL, state: State = None, as_json: AsJson = False
) -> None:
    """List the streams of a room."""
    api = _api(state, app_id, url)
    part = api.call("DescribeSimpleStreamList", [("RoomId", room_id)], allowed=(NOTHING_THERE,))
    columns = {"StreamId": "streamID", "UserId": "userID", "UserName": "name"}
    _print(part.get("StreamList", []), columns, as_json=as_json, nothing="nothing is published there")


@app.command()
def kick(
    room_id: RoomId,
    user_ids: Annotated[list[str], typer.Argument(metavar="USER...", help="userIDs, at most 5.")],
    reason: Reason = "",
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Remove users from a room (1002055). They may come back: see `shut-out`."""
    named = [("UserId[]", user_id) for user_id in user_ids]
    _api(state, app_id, url).call("KickoutUser", [("RoomId", room_id), ("CustomReason", reason), *named])
    _done(f"removed from {room_id}: {', '.join(user_ids)}", {"kicked": user_ids}, as_json=as_json)


@app.command()
def close(
    room_id: RoomId,
    reason: Reason = "",
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Remove everybody from a room."""
    _api(state, app_id, url).call("CloseRoom", [("RoomId", room_id), ("CustomReason", reason)])
    _done(f"closed: {room_id}", {"closed": room_id}, as_json=as_json)


@app.command("shut-out")
def shut_out(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="userID.")],
    seconds: Annotated[int, typer.Option(min=1, max=86_400, help="For how long; at most a day.")] = 3600,
    lift: Annotated[bool, typer.Option("--lift", help="Let the user in again.")] = False,
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a user's logins to every room (1002066). Does not remove it from where it is: see `kick`."""
    rule = [("RuleType", "3"), ("UserId", user_id)]
    api = _api(state, app_id, url)
    if lift:
        api.call("DelForbidUserRule", rule)
        _done(f"may log in again: {user_id}", {"lifted": user_id}, as_json=as_json)
    else:
        limits = [("DisabledPrivilege[]", "1"), ("EffectiveTime", str(seconds))]
        until = api.call("SetForbidUserRule", [*rule, *limits]).get("ExpireTime")
        _done(f"shut out: {user_id}", {"shut_out": user_id, "until": until}, as_json=as_json)


@app.command()
def forbid(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM", help="streamID.")],
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """End a stream and forbid its ID, until `resume` (1003025, 1004025)."""
    _api(state, app_id, url).call("ForbidRTCStream", [("StreamId", stream_id), ("Sequence", _sequence())])
    _done(f"forbidden: {stream_id}", {"forbidden": stream_id}, as_json=as_json)


@app.command()
def resume(
    stream_id: Annotated[str, typer.Argument(metavar="STREAM", help="streamID.")],
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Let a forbidden streamID be published again."""
    _api(state, app_id, url).call("ResumeRTCStream", [("StreamId", stream_id), ("Sequence", _sequence())])
    _done(f"may be published again: {stream_id}", {"resumed": stream_id}, as_json=as_json)


@app.command()
def send(
    room_id: RoomId,
    text: Annotated[str, typer.Argument(help="What is said; 1 to 1024 bytes.")],
    sender: Annotated[str, typer.Option("--from", metavar="USER", help="userID it is from.")] = "server",
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="USER", help="As a custom command to this user; up to 10 times."),
    ] = None,
    app_id: AppId = None,
    url: Url = LOCAL,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Say something in a room: a broadcast message, or with --to a custom command."""
    api = _api(state, app_id, url)
    where = [("RoomId", room_id), ("MessageContent", text)]
    if to:
        receivers = [("ToUserId[]", user_id) for user_id in to]
        failed = api.call("SendCustomCommand", [*where, ("FromUserId", sender), *receivers])["FailUsers"]
        missing = [entry["Uid"] for entry in failed]
        _done(
            "sent" if not missing else f"not there: {', '.join(missing)}",
            {"missing": missing},
            as_json=as_json,
        )
        if missing:
            raise typer.Exit(1)
    else:
        number = api.call("SendBroadcastMessage", [*where, ("UserId", sender), ("MessageCategory", "1")])
        _done("sent", {"message_id": number["MessageId"]}, as_json=as_json)


def _sequence() -> str:
    return str(time.time_ns() // 1_000_000)

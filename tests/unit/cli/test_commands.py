from __future__ import annotations

import json
import logging
import socket
import time

import pytest
import structlog
from typer.testing import CliRunner

from sanderling import tokens
from sanderling.cli.main import COMMANDS, app
from sanderling.errors import SanderlingError
from sanderling.server.app import bind_port


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was():
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_name_that_the_terminal_cannot_show_stops_nothing(tmp_path):
    """The listing of a project whose name is not ASCII, in a terminal that is."""
    state = ["--state", str(tmp_path / "state")]
    runner = CliRunner(charset="ascii")
    for arguments in (["project", "create", "--name", "\u2603"], ["project", "list"]):
        result = runner.invoke(app, [*arguments, *state])
        assert result.exit_code == 0, result.exception
    assert "\\u2603" in result.output


@pytest.fixture
def run(tmp_path):
    runner = CliRunner()

    def invoke(*arguments: str, code: int = 0, stdin: str | None = None):
        state = (
            []
            if "--help" in arguments or arguments[0] == "--version"
            else ["--state", str(tmp_path / "state")]
        )
        result = runner.invoke(app, [*arguments, *state], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return invoke


def make(run, *arguments: str):
    return json.loads(run("project", "create", "--json", *arguments).stdout)


def test_every_command_shows_its_help(run):
    listed = run("--help").stdout
    for name in COMMANDS:
        assert name in listed
        assert "Usage" in run(name, "--help").stdout


def test_an_unknown_command_is_refused():
    assert CliRunner().invoke(app, ["dance"]).exit_code == 2


def test_a_project_is_made_with_l3_off_and_changed(run):
    project = make(run, "--name", "mine")
    assert (project["name"], project["l3"], project["max_plays"]) == ("mine", False, 12)
    assert (len(project["app_sign"]), len(project["server_secret"])) == (64, 32)
    run("project", "set", "--l3", "on", "--max-plays", "16")
    shown = json.loads(run("project", "show", "--json").stdout)
    assert (shown["l3"], shown["max_plays"], shown["server_secret"]) == (True, 16, project["server_secret"])


def test_a_list_hides_secrets_unless_asked(run):
    project = make(run)
    for arguments in (("list",), ("list", "--json")):
        text = run("project", *arguments).stdout
        assert str(project["app_id"]) in text
        assert project["server_secret"] not in text
        assert project["server_secret"] in run("project", *arguments, "--secrets").stdout


def test_two_projects_have_to_be_told_apart(run):
    first = make(run)
    make(run)
    refused = run("project", "show", code=1)
    assert "--app-id" in refused.stderr
    assert str(first["app_id"]) in run("project", "show", "--app-id", str(first["app_id"])).stdout
    assert "1001004" in run("project", "show", "--app-id", "1", code=1).stderr


def test_nothing_to_show_and_nothing_to_change_are_said(run):
    assert "project create" in run("project", "list").stdout
    assert "project create" in run("project", "show", code=1).stderr
    assert "nothing to change" in run("project", "set", code=2).stderr
    run("project", "set", "--l3", "maybe", code=2)
    assert "1 to 16" in run("project", "create", "--max-plays", "17", code=1).stderr


@pytest.mark.parametrize("gcm", [False, True])
def test_a_token_that_is_made_is_valid(run, gcm):
    project = make(run)
    arguments = ["--user-id", "alice", "--expire", "60", *(["--gcm"] if gcm else [])]
    token = run("token", "create", *arguments).stdout.strip()
    parsed = tokens.verify(
        token, project["server_secret"], app_id=project["app_id"], user_id="alice", now=time.time()
    )
    assert parsed.expire - parsed.created == 60
    assert parsed.mode == int(gcm)
    report = run("token", "inspect", token, "--user-id", "alice").stdout
    assert "the token is valid" in report


def test_privileges_go_into_the_token(run):
    project = make(run)
    token = run(
        "token",
        "create",
        "--user-id",
        "a",
        "--room-id",
        "r",
        "--no-publish",
        "--stream-id",
        "s1",
        "--stream-id",
        "s2",
    ).stdout.strip()
    parsed = tokens.parse(token, project["server_secret"], now=time.time())
    assert parsed.privileges == tokens.Privileges("r", can_publish=False, stream_ids=("s1", "s2"))
    assert "--room-id" in run("token", "create", "--user-id", "a", "--no-publish", code=2).stderr
    assert "1002005" in run("token", "create", "--user-id", "", code=1).stderr


def test_inspection_says_which_field_is_wrong(run):
    make(run)
    token = run("token", "create", "--user-id", "alice").stdout.strip()
    text = run("token", "inspect", token, "--user-id", "bob", code=1).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("WRONG")]
    assert "user_id" in line
    assert "1002077" in text
    report = json.loads(run("token", "inspect", token[:40], "--json", code=1).stdout)
    assert (report["valid"], report["code"]) == (False, 1002033)
    assert "the token is valid" in run("token", "inspect", "-", stdin=token + "\n").stdout


def test_inspection_without_a_secret_reads_the_envelope(run, tmp_path):
    make(run)
    token = run("token", "create", "--user-id", "alice").stdout.strip()
    result = CliRunner().invoke(app, ["token", "inspect", token])
    assert result.exit_code == 1
    assert "ServerSecret" in result.stdout
    assert "alice" not in result.stdout


def test_a_port_in_use_is_named_with_its_flag():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SanderlingError) as caught:
            bind_port("127.0.0.1", port)
    assert str(port) in caught.value.message
    assert "--port" in caught.value.hint


def test_serve_refuses_wrong_settings_in_a_sentence(run):
    assert "port" in run("serve", "--port", "70000", code=1).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run("serve", "--port", str(taken.getsockname()[1]), code=1)
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr

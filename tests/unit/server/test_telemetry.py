from __future__ import annotations

import io
import json
import logging
import time

import pytest
import structlog

from sanderling import tokens
from sanderling.server.telemetry import configure_logging, redact, redact_text
from sanderling.signaling.messages import IceServer, Login, User

SECRET = "0123456789abcdef0123456789ABCDEF"
APP_SIGN = "93a3e65ed7f41e3e2dc8ac137a2a6cadec0cd4180539a1c263ebea80eb6ef5be"
TOKEN = tokens.generate(5, "alice", SECRET, 3600, now=time.time())
PASSWORD = "hJ7/+kQmv0Lz9sT3bXyWc2eR"
SDP = f"v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{PASSWORD}\r\na=setup:actpass\r\n"

SECRETS = [SECRET, APP_SIGN, TOKEN, TOKEN[2:], PASSWORD]

CARRIERS = {
    "a token in a sentence": f"login with {TOKEN} failed",
    "a token in a URL": f"GET /ws?token={TOKEN}&x=1",
    "an AppSign in a sentence": f"AppSign is {APP_SIGN}",
    "a secret by name": f"server_secret='{SECRET}'",
    "a secret in JSON": json.dumps({"serverSecret": SECRET, "app_sign": APP_SIGN}),
    "SDP": SDP,
    "SDP in JSON": json.dumps({"offer": SDP}),
    "a field named for it": {"token": TOKEN, "nested": [{"ServerSecret": SECRET}]},
    "a message": repr(
        Login(1, 5, "room", User("alice", "Alice"), token=TOKEN, app_sign=APP_SIGN, viewer_offer=SDP)
    ),
    "bytes": SDP.encode(),
}


@pytest.fixture
def stream():
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_secret_survives(carrier):
    text = str(redact(CARRIERS[carrier]))
    assert not [secret for secret in SECRETS if secret in text]
    assert "***" in text


@pytest.mark.parametrize(
    "text", ["room 'mine' made", "stream_id=cam", "a=ice-ufrag:abcd", "token: it expired 5 s ago"]
)
def test_what_is_no_secret_stays_readable(text):
    assert redact_text(text).split()[0] == text.split()[0]
    assert "mine" in redact_text("room 'mine' made")
    assert redact({"app_id": 5, "user": "alice", "seconds": 1.5}) == {
        "app_id": 5,
        "user": "alice",
        "seconds": 1.5,
    }


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_secret_reaches_the_log(stream, form, carrier):
    configure_logging(form, "debug", stream=stream)
    value = CARRIERS[carrier]
    structlog.get_logger("x").info("event", value=value)
    structlog.get_logger("x").info(str(value))
    logging.getLogger("other").warning("said %s", value)
    try:
        raise ValueError(str(value))
    except ValueError:
        structlog.get_logger("x").exception("broken")
        logging.getLogger("other").exception("broken")
    written = stream.getvalue()
    assert written.count("broken") >= 2
    assert not [secret for secret in SECRETS if secret in written]


def test_json_lines_are_json_with_level_and_time(stream):
    configure_logging("json", "info", stream=stream)
    structlog.get_logger("x").info("room_made", room="r")
    structlog.get_logger("x").debug("not shown")
    logging.getLogger("uvicorn.error").info("not shown")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["room"], entry["level"]) == ("room_made", "r", "info")
    assert entry["timestamp"].endswith("Z")


def test_configuring_twice_writes_lines_once(stream):
    for _ in range(2):
        configure_logging("json", "info", stream=stream)
    logging.getLogger("other").warning("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_turn_credentials_are_not_shown():
    server = IceServer(("turn:192.0.2.1",), "user", "very-secret")
    assert "very-secret" not in repr(server)
    assert "very-secret" not in str(redact({"credential": "very-secret"}))

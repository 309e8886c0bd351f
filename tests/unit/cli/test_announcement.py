from __future__ import annotations

import ipaddress
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sanderling import tokens
from sanderling.cli.announcement import Announcement, Entry, entry_of
from sanderling.server.config import ServerConfig
from sanderling.server.lifecycle import Services
from sanderling.server.storage.base import new_project
from sanderling.server.tls import Certificate

ADDRESSES = tuple(ipaddress.ip_address(text) for text in ("192.0.2.2", "fd00::2", "127.0.0.1", "::1"))
FINGERPRINT = ":".join(["AB"] * 32)


def announce(
    *, addresses: tuple[Any, ...] = ADDRESSES, certificate: Certificate | None = None, **settings: Any
):
    services = SimpleNamespace(
        addresses=addresses,
        certificate=certificate,
        engine=SimpleNamespace(candidates=[["udp 192.0.2.2 42000", "tcp 192.0.2.2 42000"]]),
    )
    return Announcement(ServerConfig(**settings), cast(Services, services), 7700)


def made(*, self_signed: bool = True) -> Certificate:
    return Certificate(Path("c.pem"), Path("k.pem"), FINGERPRINT, self_signed)


def test_a_server_for_this_machine_says_how_to_open_it():
    announcement = announce()
    text = "\n".join(announcement.lines())
    assert announcement.as_json()["urls"] == []
    assert "http://127.0.0.1:7700/debug/" in text
    assert "--host 0.0.0.0" in text
    assert "media: port 42000, UDP and TCP" in text


@pytest.mark.parametrize(
    ("settings", "local", "urls"),
    [
        ({"host": "0.0.0.0"}, "http://127.0.0.1:7700", ["http://192.0.2.2:7700"]),
        ({"host": "::"}, "http://[::1]:7700", ["http://192.0.2.2:7700", "http://[fd00::2]:7700"]),
        ({"host": "fd00::2"}, "http://[fd00::2]:7700", ["http://[fd00::2]:7700"]),
        (
            {"host": "0.0.0.0", "public_address": ("203.0.113.9", "interfaces")},
            "http://127.0.0.1:7700",
            ["http://192.0.2.2:7700", "http://203.0.113.9:7700"],
        ),
        (
            {"host": "0.0.0.0", "path_prefix": "live"},
            "http://127.0.0.1:7700/live",
            ["http://192.0.2.2:7700/live"],
        ),
        ({"public_url": "https://a.example/live/"}, "http://127.0.0.1:7700/live", ["https://a.example/live"]),
    ],
)
def test_addresses_for_here_and_for_elsewhere(settings, local, urls):
    announcement = announce(**settings)
    said = announcement.as_json()
    assert (said["url"], said["urls"]) == (local, urls)
    assert said["ws_url"] == local.replace("http", "ws") + "/ws"
    lines = announcement.lines()
    for url in urls:
        assert any(line.endswith(f" {url}/debug/") for line in lines)


def test_plain_http_says_why_cameras_are_off_and_what_to_run():
    assert any("--tls self-signed" in line for line in announce(host="0.0.0.0").lines())
    for settings in ({"public_url": "https://a.example"}, {}):
        assert not any("HTTPS pages" in line for line in announce(**settings).lines())


def test_the_fingerprint_is_shown():
    announcement = announce(host="0.0.0.0", tls="self-signed", certificate=made())
    text = "\n".join(announcement.lines())
    assert "https://192.0.2.2:7700/debug/" in text
    assert FINGERPRINT in text
    assert "browsers warn once" in text
    assert announcement.as_json()["fingerprint"] == FINGERPRINT
    own = "\n".join(announce(host="0.0.0.0", tls="a,b", certificate=made(self_signed=False)).lines())
    assert FINGERPRINT in own
    assert "warn" not in own


def test_every_interface_without_an_address_is_told():
    lines = announce(host="0.0.0.0", addresses=ADDRESSES[2:]).lines()
    assert any("no network interface" in line for line in lines)
    assert not any("--host" in line for line in lines)


def test_with_an_entry_the_link_is_filled_in():
    entry = Entry(7, "0001", "web-1", "04tok+en", 2)
    (line,) = [line for line in announce(host="0.0.0.0").lines(entry) if "/debug/" in line]
    assert line.endswith("/debug/?appid=7&room=0001&user=web-1&mode=2&autoplay=1#token=04tok%2Ben")
    assert "04tok" not in repr(entry)


@pytest.mark.parametrize(("l3", "mode"), [(True, 2), (False, 0)])
async def test_an_entry_is_a_token_of_the_only_project(l3, mode):
    project = new_project("mine", l3=l3, max_plays=12, now=1_700_000_000.0)

    class Storage:
        def __init__(self) -> None:
            self.kept = [project]

        async def projects(self):
            return self.kept

    storage = Storage()
    services = cast(Services, SimpleNamespace(storage=storage))
    entry = await entry_of(services)
    assert entry is not None
    assert (entry.app_id, entry.mode) == (project.app_id, mode)
    # Raises for a token of another project or user.
    tokens.verify(
        entry.token, project.server_secret, app_id=project.app_id, user_id=entry.user_id, now=time.time()
    )
    again = await entry_of(services)
    assert again is not None
    assert again.user_id != entry.user_id, "two devices must not end each other's session"
    for kept in ([], [project, project]):
        storage.kept = kept
        assert await entry_of(services) is None

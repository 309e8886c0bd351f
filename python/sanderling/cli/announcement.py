"""What ``sanderling serve`` says once clients may come: where it is reached, from here and from elsewhere."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from sanderling import tokens
from sanderling.demo.link import L3, debug_link
from sanderling.server.addresses import parse_address, reachable_hosts, url_host
from sanderling.server.app import SIGNALLING_PATH
from sanderling.server.config import ServerConfig
from sanderling.server.lifecycle import Services

__all__ = ["DEBUG_PAGE", "Announcement", "Entry", "entry_of"]

DEBUG_PAGE = "/debug/"
ROOM = "0001"
"""The debug page's own default."""
RTC = 0
"""The web's number of the resource mode (product-facts 1.13)."""
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Entry:
    """What a link carries: room, user and a token. ``mode``: the web's number of the resource mode."""

    app_id: int
    room_id: str
    user_id: str
    token: str = field(repr=False)
    mode: int


async def entry_of(services: Services) -> Entry | None:
    """An entry to the project of this server; None when there is none, or more than one to choose from."""
    projects = await services.storage.projects()
    if len(projects) != 1:
        return None
    project = projects[0]
    # A name nobody else has: a second login of one user ends the first.
    user_id = f"web-{secrets.token_hex(3)}"
    token = tokens.generate(project.app_id, user_id, project.server_secret, DAY_S, now=time.time())
    return Entry(project.app_id, ROOM, user_id, token, L3 if project.l3 else RTC)


class Announcement:
    """The addresses of a running server. ``port``: the one that was bound."""

    def __init__(self, settings: ServerConfig, services: Services, port: int) -> None:
        self._settings = settings
        self._services = services
        self._certificate = services.certificate
        self._scheme = "https" if self._certificate else "http"
        hosts = reachable_hosts(settings.host, services.addresses)
        self._port = port
        self._hosts = hosts
        # An address that means "every one" is none a client can connect to.
        unspecified = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        self.url = self._link(unspecified.get(settings.host.strip("[]"), settings.host))

    @property
    def public_urls(self) -> list[str]:
        """Addresses to open on another machine; none when only this machine can."""
        if self._settings.public_url:
            return [self._settings.public_url.rstrip("/")]
        public = [name for name in self._settings.public_address if parse_address(name) is not None]
        everywhere = not (bound := parse_address(self._settings.host.strip("[]"))) or bound.is_unspecified
        hosts = dict.fromkeys([*self._hosts, *(public if everywhere else [])])
        return [self._link(host) for host in hosts if not _is_local(host)]

    def as_json(self) -> dict[str, object]:
        """For programs; ``url`` and ``ws_url`` are for clients on this machine, ``urls`` for those elsewhere."""
        return {
            "url": self.url,
            "ws_url": f"{self.url.replace('http', 'ws', 1)}{SIGNALLING_PATH}",
            "urls": self.public_urls,
            "port": self._port,
            "fingerprint": self._certificate.fingerprint if self._certificate else "",
            "candidates": self._services.engine.candidates,
        }

    def lines(self, entry: Entry | None = None) -> list[str]:
        """For people. With ``entry`` the links open the page filled in and already playing."""
        settings = self._settings
        where = f" --state {settings.state}" if settings.state else ""
        candidates = self._services.engine.candidates
        media = sorted({candidate.split()[-1] for worker in candidates for candidate in worker})
        ports = f"media: port {', '.join(media)}, UDP and TCP"
        lines = [f"Sanderling serves at {self.url}  ({ports})", *self._elsewhere(entry), *self._security()]
        return [
            *lines,
            f"  an AppID:  sanderling project create --name mine{where}",
            f"  a token:   sanderling token create --app-id APPID --user-id alice{where}",
            "  Ctrl-C stops",
        ]

    def _elsewhere(self, entry: Entry | None) -> list[str]:
        urls = self.public_urls
        if not urls:
            bound = parse_address(self._settings.host.strip("[]"))
            why = "only this machine reaches it; for phones and others: --host 0.0.0.0, or --host :: for IPv6 too"
            if bound is not None and bound.is_unspecified:
                why = "no network interface has an address by which another machine could reach it"
            return [f"  debug page:  {_page(self.url, entry)}", f"  {why}"]
        first, *more = (_page(url, entry) for url in urls)
        return [f"  on a phone or another machine:  {first}", *(f"{'':34}{link}" for link in more)]

    def _security(self) -> list[str]:
        certificate = self._certificate
        if certificate is not None:
            kind = "self-signed certificate" if certificate.self_signed else "certificate"
            lines = [
                f"  {kind} {certificate.certificate}",
                f"  its SHA-256 fingerprint:  {certificate.fingerprint}",
            ]
            if certificate.self_signed:
                lines.append(
                    "  browsers warn once: compare the fingerprint, then go on; the SDK takes TLS(fingerprint=…)"
                )
            return lines
        if self._settings.public_url.startswith("https:") or not self.public_urls:
            return []
        return [
            "  browsers give camera and microphone only to HTTPS pages: add --tls self-signed, or --tls CERT,KEY",
        ]

    def _link(self, host: str) -> str:
        return f"{self._scheme}://{url_host(host)}:{self._port}{self._settings.prefix}"


def _page(url: str, entry: Entry | None) -> str:
    if entry is None:
        return f"{url}{DEBUG_PAGE}"
    return debug_link(
        url,
        app_id=entry.app_id,
        room_id=entry.room_id,
        user_id=entry.user_id,
        token=entry.token,
        mode=entry.mode,
    )


def _is_local(host: str) -> bool:
    address = parse_address(host.strip("[]"))
    return address.is_loopback if address is not None else host.lower() == "localhost"

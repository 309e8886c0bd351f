"""What ``sanderling serve`` says once clients may come: where it is reached, from here and from elsewhere."""

from __future__ import annotations

from sanderling.server.addresses import parse_address, reachable_hosts, url_host
from sanderling.server.app import SIGNALLING_PATH
from sanderling.server.config import ServerConfig
from sanderling.server.lifecycle import Services

__all__ = ["DEBUG_PAGE", "Announcement"]

DEBUG_PAGE = "/debug/"


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

    def lines(self) -> list[str]:
        """For people."""
        settings = self._settings
        where = f" --state {settings.state}" if settings.state else ""
        candidates = self._services.engine.candidates
        media = sorted({candidate.split()[-1] for worker in candidates for candidate in worker})
        ports = f"media: port {', '.join(media)}, UDP and TCP"
        lines = [f"Sanderling serves at {self.url}  ({ports})", *self._elsewhere(), *self._security()]
        return [
            *lines,
            f"  an AppID:  sanderling project create --name mine{where}",
            f"  a token:   sanderling token create --app-id APPID --user-id alice{where}",
            "  Ctrl-C stops",
        ]

    def _elsewhere(self) -> list[str]:
        urls = self.public_urls
        if not urls:
            bound = parse_address(self._settings.host.strip("[]"))
            why = "only this machine reaches it; for phones and others: --host 0.0.0.0, or --host :: for IPv6 too"
            if bound is not None and bound.is_unspecified:
                why = "no network interface has an address by which another machine could reach it"
            return [f"  debug page:  {self.url}{DEBUG_PAGE}", f"  {why}"]
        first, *more = (f"{url}{DEBUG_PAGE}" for url in urls)
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


def _is_local(host: str) -> bool:
    address = parse_address(host.strip("[]"))
    return address.is_loopback if address is not None else host.lower() == "localhost"

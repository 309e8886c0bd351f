"""How settings say where a server is reached: addresses, proxies, paths, TURN servers. Text in, checked values out.

Every function raises ValueError with one sentence that names the setting.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = [
    "INTERFACES",
    "LOCAL_PROXIES",
    "SELF_SIGNED",
    "check_public_addresses",
    "check_tls",
    "check_url",
    "parse_networks",
    "parse_prefix",
    "split_list",
    "turn_urls",
]

INTERFACES = "interfaces"
"""In a list of public addresses: those of this machine's interfaces as well."""

SELF_SIGNED = "self-signed"

LOCAL_PROXIES = ("127.0.0.0/8", "::1/128")

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def split_list(values: Sequence[str] | None) -> list[str] | None:
    """Flags that may be repeated and may hold commas, as one list; None when there is none."""
    if not values:
        return None
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def check_public_addresses(values: Sequence[str]) -> None:
    """Each is an IP address that somebody else can send to, or ``interfaces``."""
    for value in values:
        if value == INTERFACES:
            continue
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(f"public_address holds {value!r}, which is no IP address") from None
        if address.is_unspecified or address.is_multicast:
            raise ValueError(f"public_address holds {value}, which is no address of one machine")
    if set(values) == {INTERFACES}:
        raise ValueError("public_address says only interfaces, which is the default: add an address")


def check_tls(value: str) -> None:
    """Nothing, ``self-signed`` or two file names."""
    if value not in ("", SELF_SIGNED) and len([part for part in value.split(",") if part.strip()]) != 2:
        raise ValueError(f"tls is {value!r}, expected {SELF_SIGNED} or CERT,KEY (two PEM files)")


def parse_networks(values: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks in CIDR notation; an address stands for itself alone."""
    networks = []
    for value in values:
        try:
            networks.append(ipaddress.ip_network(value))
        except ValueError as error:
            raise ValueError(f"trusted_proxies holds {value!r}: {error}") from None
    return tuple(networks)


def parse_prefix(text: str) -> str:
    """``/live`` out of ``live``, ``/live`` and ``/live/``; "" for "" and "/"."""
    prefix = "/" + text.strip("/") if text.strip("/") else ""
    if not _PREFIX.fullmatch(prefix) or "/../" in prefix + "/" or "/./" in prefix + "/":
        raise ValueError(f"path_prefix is {text!r}, expected letters, digits and ._~- between slashes")
    return prefix


def check_url(text: str) -> None:
    """Nothing, or ``http(s)://host[:port][/path]`` with nothing behind it."""
    if not text:
        return
    parts = urlsplit(text)
    try:
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    plain = not parts.query and not parts.fragment and parts.username is None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid or not plain:
        raise ValueError(f"public_url is {text!r}, expected https://host/path")
    parse_prefix(parts.path)


def turn_urls(server: str) -> tuple[str, ...]:
    """URLs (RFC 7065) of ``HOST:PORT`` over UDP and TCP, or of ``turns:HOST:PORT`` over TLS."""
    secure = server.startswith("turns:")
    text = server.removeprefix("turns:").removeprefix("turn:")
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    host = parts.hostname or ""
    if (
        not port
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username is not None
        or not _is_host(host)
    ):
        raise ValueError(f"turn holds {server!r}, expected HOST:PORT or turns:HOST:PORT")
    shown = f"[{host}]" if ":" in host else host
    if secure:
        return (f"turns:{shown}:{port}?transport=tcp",)
    return (f"turn:{shown}:{port}?transport=udp", f"turn:{shown}:{port}?transport=tcp")


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text))
    return True

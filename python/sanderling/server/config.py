"""Settings of ``sanderling serve``: defaults, then a TOML file, then SANDERLING_* variables, then flags."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.reach import (
    LOCAL_PROXIES,
    check_public_addresses,
    check_tls,
    check_url,
    parse_networks,
    parse_prefix,
    turn_urls,
)

__all__ = ["ServerConfig", "default_state_folder", "load_config", "parse_port_range", "usable_processors"]

ENVIRONMENT_PREFIX = "SANDERLING_"
RATES = "is from 0.1 to 100000, or 0 for any number"
LISTS = frozenset({"media_listen", "public_address", "trusted_proxies", "turn"})
"""Settings that take several values, separated by commas in variables and flags."""

MAX_WORKERS = 256
"""Upper bound of media worker threads; a machine with more processors gains nothing from more."""


def usable_processors() -> int:
    """Processors that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def default_state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``$XDG_STATE_HOME/sanderling``, by default ``~/.local/state/sanderling`` (XDG base directories)."""
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return folder / "sanderling"


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default."""

    host: str = "127.0.0.1"
    """Address for HTTP and signalling."""
    port: int = 7700
    """TCP port for HTTP and signalling; 0 = any free one."""
    state: str = ""
    """State folder; "" = ``default_state_folder()``."""
    media_ports: str = "42000-42015"
    """Ports for media, UDP and TCP, "first-last"; "0" = any free ones. A worker takes one port, the first free one."""
    media_listen: tuple[str, ...] = ()
    """Addresses media sockets are bound to; none = every interface."""
    public_address: tuple[str, ...] = ()
    """Addresses clients send media to, in place of the interfaces'; "interfaces" in the list adds those."""
    workers: int | None = None
    """Media worker threads; none = as many as ``media_workers`` says."""
    max_sessions: int = 20_000
    """Media transports of this node."""
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    heartbeat_timeout_s: float = 30.0
    """A session silent for so long has ended; clients are told to send every third of it."""
    closed_timeout_s: float = 5.0
    """A session without its connection and without media for so long is shown to the others as gone."""
    resume_timeout_s: float = 90.0
    """A session without its connection for so long is over."""
    login_timeout_s: float = 10.0
    """A connection without a login for so long is closed."""
    messages_per_s: float = 50.0
    """Messages per second on one connection, after a burst of double that."""
    logins_per_s: float = 50.0
    """Logins per second from one address, after a burst of ten times that; 0 = any number."""
    posts_per_s: float = 20.0
    """POSTs to WHIP and WHEP per second from one address, after a burst of ten times that; 0 = any number."""
    admin_secret: str = ""
    """Opens /debug from other machines than this one; "" = only this machine."""
    static: str = ""
    """Folder of the web page; "" = the one in the package."""
    tls: str = ""
    """"self-signed", or "CERT,KEY": PEM files of the certificate chain and its key; "" = plain HTTP."""
    proxy_headers: bool = False
    """Believe X-Forwarded-* of proxies on this machine."""
    trusted_proxies: tuple[str, ...] = ()
    """Believe X-Forwarded-* of proxies with these addresses or networks (CIDR) instead."""
    path_prefix: str = ""
    """Path under which a proxy shows this server, for example "/live"."""
    public_url: str = ""
    """Address that people open, where it is not this machine's own: behind a proxy or a name. Printed in links."""
    region: Literal["", "CN", "NA", "EU", "AS", "IN"] = ""
    """Where this server stands, told to clients with a geo-fence; "" = not told."""
    turn: tuple[str, ...] = ()
    """TURN servers for clients that reach this one no other way: "HOST:PORT", or "turns:HOST:PORT" for TLS."""
    turn_secret_file: str = ""
    """File with the secret shared with the TURN servers (coturn: static-auth-secret)."""
    turn_ttl_s: int = 86_400
    """How long TURN credentials are valid, in seconds."""

    def __post_init__(self) -> None:
        problems = [
            (0 <= self.port <= 65535, "port is from 0 to 65535"),
            (self.workers is None or 1 <= self.workers <= MAX_WORKERS, f"workers is from 1 to {MAX_WORKERS}"),
            (1 <= self.max_sessions <= 1_000_000, "max_sessions is from 1 to 1000000"),
            (0.1 <= self.heartbeat_timeout_s <= 3600, "heartbeat_timeout_s is from 0.1 to 3600"),
            (0.1 <= self.closed_timeout_s <= 3600, "closed_timeout_s is from 0.1 to 3600"),
            (0.1 <= self.resume_timeout_s <= 3600, "resume_timeout_s is from 0.1 to 3600"),
            (0.1 <= self.login_timeout_s <= 600, "login_timeout_s is from 0.1 to 600"),
            (1 <= self.messages_per_s <= 100_000, "messages_per_s is from 1 to 100000"),
            (self.logins_per_s == 0 or 0.1 <= self.logins_per_s <= 100_000, f"logins_per_s {RATES}"),
            (self.posts_per_s == 0 or 0.1 <= self.posts_per_s <= 100_000, f"posts_per_s {RATES}"),
            (60 <= self.turn_ttl_s <= 30 * 86_400, "turn_ttl_s is from 60 to 2592000"),
            (bool(self.turn) == bool(self.turn_secret_file), "turn and turn_secret_file belong together"),
        ]
        for good, rule in problems:
            if not good:
                raise ValueError(rule)
        parse_port_range(self.media_ports)
        check_public_addresses(self.public_address)
        check_tls(self.tls)
        parse_networks(self.trusted_proxies)
        parse_prefix(self.path_prefix)
        check_url(self.public_url)
        for server in self.turn:
            turn_urls(server)

    @property
    def believed_proxies(self) -> tuple[str, ...]:
        """Networks whose X-Forwarded-* headers count; none by default."""
        return self.trusted_proxies or (LOCAL_PROXIES if self.proxy_headers else ())

    @property
    def prefix(self) -> str:
        """Path under which everything is shown, "" or "/name": ``path_prefix``, else that of ``public_url``."""
        return parse_prefix(self.path_prefix or urlsplit(self.public_url).path)

    @property
    def media_workers(self) -> int:
        """Media worker threads: ``workers``, by default one per processor but one, which is left to everything else.

        Never more by default than ``media_ports`` has ports, of which each worker takes one, and at least one.
        """
        if self.workers is not None:
            return self.workers
        first, last = parse_port_range(self.media_ports)
        most = MAX_WORKERS if first == 0 else min(last - first + 1, MAX_WORKERS)
        return max(1, min(usable_processors() - 1, most))

    @property
    def state_folder(self) -> Path:
        """Where the server keeps its state."""
        return Path(self.state) if self.state else default_state_folder()

    def __repr__(self) -> str:
        # Without the admin secret.
        return f"ServerConfig(host={self.host!r}, port={self.port}, state={self.state!r})"


def parse_port_range(text: str) -> tuple[int, int]:
    """Return "first-last" (or one port) as two numbers; "0" = (0, 0), any free ports. ValueError otherwise."""
    first, dash, last = text.partition("-")
    try:
        low = int(first)
        high = int(last) if dash else low
    except ValueError:
        raise ValueError(f"media_ports is {text!r}, expected FIRST-LAST") from None
    if (low, high) != (0, 0) and not 1 <= low <= high <= 65535:
        raise ValueError(f"media_ports is {text!r}, expected FIRST-LAST between 1 and 65535")
    return low, high


def load_config(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> ServerConfig:
    """Put the settings together; the last source that names one wins. ``flags`` that are None were not given.

    1000017 with a sentence for an unknown key, a value of the wrong type or out of range, an unreadable file.
    """
    known = set(ServerConfig.__struct_fields__)
    values: dict[str, Any] = {}
    if file is not None:
        values |= _from_file(file, known)
    values |= _from_environment(os.environ if environment is None else environment, known)
    for key, value in (flags or {}).items():
        if key not in known:
            raise _wrong(f"unknown setting {key!r}", _suggest(key, known))
        if value is not None:
            values[key] = value
    try:
        return msgspec.convert(values, ServerConfig, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise _wrong(f"the settings are wrong: {error}") from None


def _wrong(message: str, hint: str = "") -> SanderlingError:
    return SanderlingError(ErrorCode.ILLEGAL_PARAMETER, message, hint=hint)


def _suggest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"


def _from_file(file: Path, known: set[str]) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            values = tomllib.load(stream)
    except OSError as error:
        raise _wrong(f"the settings file {file} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"the settings file {file} is not TOML: {error}") from None
    for key in values:
        if key not in known:
            raise _wrong(f"unknown setting {key!r} in {file}", _suggest(key, known))
    return values


def _from_environment(environment: Mapping[str, str], known: set[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        if key in known:
            lists = key in LISTS
            values[key] = [part.strip() for part in text.split(",") if part.strip()] if lists else text
        elif near := difflib.get_close_matches(key, known, n=1, cutoff=0.8):
            # Other parts of the product have variables of this prefix too; a slip of the pen is told apart.
            raise _wrong(f"unknown variable {name}", f"did you mean {ENVIRONMENT_PREFIX}{near[0].upper()}?")
    return values

"""Networks of namespaces: hosts around one router, made for a test and removed after it whatever happens.

Each host hangs on the router by a cable of its own (a veth pair) and knows nothing but its default route. Interfaces
of the router are named after the host they lead to, so that rules read ``iifname "viewer"``. Nothing is changed
outside of the namespaces, except that ``ip netns`` keeps a file for each.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = ["Network", "missing", "remove_stale"]

ROOT = Path(__file__).resolve().parents[3]
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where tools are looked for: those of administrators are not on everybody's path."""
TOOLS = {"ip": "iproute2", "nft": "nftables"}
COMMAND_S = 20.0
"""How long one command may take; each takes milliseconds."""
ROUTER = "router"
PREFIX = "sdl"

_numbers = itertools.count()


def run(command: Sequence[str], *, text: str | None = None) -> str:
    """Run a command; its output. AssertionError with what it said when it fails."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=COMMAND_S, check=False, stdin=None
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def missing(tools: Mapping[str, str]) -> str:
    """Why networks cannot be made here, with the line to run; "" when they can. ``tools``: package by command."""
    wanted = {**TOOLS, **tools}
    absent = sorted({package for tool, package in wanted.items() if not _found(tool)})
    if absent:
        return f"system packages are missing; run:  sudo apt-get install -y {' '.join(absent)}"
    if os.geteuid() != 0:
        return "network namespaces need root; run:  sudo make test-python"
    return ""


def _found(tool: str) -> bool:
    return shutil.which(tool, path=PATH) is not None


def remove_stale() -> None:
    """Remove what a test run left behind that was killed: namespaces of this sort whose maker is gone."""
    for line in run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0] if line.split() else ""
        made_by = re.match(rf"{PREFIX}(\d+)-", name)
        if made_by is None or os.path.exists(f"/proc/{made_by[1]}"):
            continue
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            for number in run(["ip", "netns", "pids", name]).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(number), signal.SIGKILL)
            run(["ip", "netns", "delete", name])


class Network:
    """``hosts``: for each name its network, in which the router has the first address and the host the second.

    A name may have an IPv4 network, an IPv6 network or both. ``rules``: the router's nftables rule set.
    """

    def __init__(self, hosts: Mapping[str, Sequence[str]], *, rules: str = "") -> None:
        # Short: the names of namespaces are seen by everybody on this machine, and two test runs may meet.
        self._mark = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self._hosts = {
            name: [ipaddress.ip_network(network) for network in networks] for name, networks in hosts.items()
        }
        self._rules = rules
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def inside(self, host: str) -> list[str]:
        """What to put before a command that is to run on ``host``."""
        return ["ip", "netns", "exec", self._namespace(host)]

    def address(self, host: str, version: int = 4) -> str:
        """The host's address."""
        return str(self._network(host, version)[2])

    def router_address(self, host: str, version: int = 4) -> str:
        """The router's address on the side of ``host``."""
        return str(self._network(host, version)[1])

    def _network(self, host: str, version: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return next(network for network in self._hosts[host] if network.version == version)

    def _namespace(self, host: str) -> str:
        return f"{self._mark}-{host}"

    def _build(self) -> None:
        for name in (ROUTER, *self._hosts):
            run(["ip", "netns", "add", self._namespace(name)])
            self._made.append(name)
            # Link-local addresses that come into use a second or two later are a change of network to a browser: it
            # breaks off the page that it loads.
            at_once = "for of in all default; do echo 0 >/proc/sys/net/ipv6/conf/$of/accept_dad; done"
            run([*self.inside(name), "sh", "-c", at_once])
            run(["ip", "-n", self._namespace(name), "link", "set", "lo", "up"])
        router = self._namespace(ROUTER)
        for host, networks in self._hosts.items():
            namespace = self._namespace(host)
            run(["ip", "link", "add", "name", "uplink", "netns", namespace,
                 "type", "veth", "peer", "name", host, "netns", router])  # fmt: skip
            for where, interface, at in ((router, host, 1), (namespace, "uplink", 2)):
                for network in networks:
                    # nodad: an IPv6 address is otherwise not usable for a second.
                    dad = ["nodad"] if network.version == 6 else []
                    address = f"{network[at]}/{network.prefixlen}"
                    run(["ip", "-n", where, "address", "add", address, "dev", interface, *dad])
                run(["ip", "-n", where, "link", "set", interface, "up"])
            for network in networks:
                run(["ip", "-n", namespace, f"-{network.version}", "route", "add", "default", "via",
                     str(network[1])])  # fmt: skip
        forward = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
        run([*self.inside(ROUTER), "sh", "-c", forward])
        if self._rules:
            run([*self.inside(ROUTER), "nft", "-f", "-"], text=self._rules)

    def _remove(self) -> None:
        while self._made:
            namespace = self._namespace(self._made.pop())
            # The interfaces go with their namespaces.
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                run(["ip", "netns", "delete", namespace])

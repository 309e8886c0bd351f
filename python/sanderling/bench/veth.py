"""A server's network whose far end drops: two namespaces joined by a cable (a veth pair), as root.

The server is in one, the load generator in the other, at two addresses: one for viewers, one for publishers and
control. Once the viewers are connected, the server's neighbour entry for their address is replaced by a hardware
address that nobody has, so that what goes to them crosses the cable and is thrown away on arrival; publishers and
control go on. What is measured then is sending, and nothing of receiving.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sanderling.bench.failure import BenchFailed

__all__ = ["Cable", "remove_stale"]

PREFIX = "sdb"
"""Of the namespaces' names; the number of the process that made them follows."""
COMMAND_SECONDS = 20.0
NETWORK = "10.213.7.0/24"
SERVER = "10.213.7.1"
VIEWERS = "10.213.7.2"
PUBLISHERS = "10.213.7.3"
NOBODY = "02:00:00:00:00:99"
_INTERFACE = "cable"


class Cable:
    """The two namespaces; ``mark`` names a pair that exists (for a process inside it), None makes one."""

    server_address = SERVER
    viewers_address = VIEWERS
    publishers_address = PUBLISHERS

    def __init__(self, mark: str | None = None) -> None:
        self.mark = mark or f"{PREFIX}{os.getpid()}"

    def __enter__(self) -> Self:
        """Make it; BenchFailed without root or the tools."""
        if _tool() is None:
            raise BenchFailed("--sink veth needs the command ip", "sudo apt-get install -y iproute2")
        if os.geteuid() != 0:
            raise BenchFailed(
                "--sink veth makes network namespaces, which needs root",
                "run it with sudo, or measure with --sink loopback",
            )
        remove_stale()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def at_server(self) -> list[str]:
        """What to put before a command that is to run on the server's side."""
        return [_tool() or "ip", "netns", "exec", self._namespace("server")]

    @property
    def at_load(self) -> list[str]:
        """What to put before a command that is to run on the load generator's side."""
        return [_tool() or "ip", "netns", "exec", self._namespace("load")]

    def cut(self) -> None:
        """From now on what the server sends to the viewers' address is dropped at the far end."""
        _run(
            "-n", self._namespace("server"), "neigh", "replace", VIEWERS, "lladdr", NOBODY, "dev", _INTERFACE,
            "nud", "permanent",
        )  # fmt: skip

    def sent_bytes(self) -> int:
        """Bytes the server's end of the cable has sent, with Ethernet, IP and UDP headers."""
        command = [*self.at_server, "cat", f"/sys/class/net/{_INTERFACE}/statistics/tx_bytes"]
        return int(_output(command))

    def _namespace(self, side: str) -> str:
        return f"{self.mark}-{side}"

    def _build(self) -> None:
        server, load = self._namespace("server"), self._namespace("load")
        for name in (server, load):
            _run("netns", "add", name)
            _run("-n", name, "link", "set", "lo", "up")
        _run("link", "add", "name", _INTERFACE, "netns", server, "type", "veth",
             "peer", "name", _INTERFACE, "netns", load)  # fmt: skip
        # The first address of a network is the one that control connections come from.
        for name, addresses in ((server, [SERVER]), (load, [PUBLISHERS, VIEWERS])):
            for address in addresses:
                _run("-n", name, "address", "add", f"{address}/24", "dev", _INTERFACE)
            _run("-n", name, "link", "set", _INTERFACE, "up")

    def _remove(self) -> None:
        for side in ("server", "load"):
            # The cable goes with its ends.
            with contextlib.suppress(BenchFailed):
                _run("netns", "delete", self._namespace(side))


def remove_stale() -> None:
    """Remove namespaces of this sort whose maker was killed, and what still runs in them."""
    for line in _run("netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        made_by = re.match(rf"{PREFIX}(\d+)-", name)
        if made_by is None or _runs(made_by[1]):
            continue
        with contextlib.suppress(BenchFailed):
            for number in _run("netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(number), signal.SIGKILL)
            _run("netns", "delete", name)


def _runs(process: str) -> bool:
    """Whether there is such a process; one that has ended and that nobody has waited for is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def _tool() -> str | None:
    # The folders of administrators are not on everybody's path.
    return shutil.which(
        "ip", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    )


def _run(*arguments: str) -> str:
    return _output([_tool() or "ip", *arguments])


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchFailed(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise BenchFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout

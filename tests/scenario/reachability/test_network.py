"""The networks themselves: nothing is left behind, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scenario.reachability import network
from scenario.reachability.network import Network, missing, remove_stale, run

HOSTS = {"server": ["203.0.113.0/24", "fd00:1::/64"], "viewer": ["198.51.100.0/24"]}


def namespaces(mark: str) -> list[str]:
    return [line for line in run(["ip", "netns", "list"]).splitlines() if line.startswith(mark)]


def own() -> list[str]:
    return namespaces(f"{network.PREFIX}{os.getpid()}-")


def test_hosts_have_their_addresses_and_vanish_with_the_network() -> None:
    with Network(HOSTS) as made:
        assert len(own()) == 3
        shown = run([*made.inside("server"), "ip", "-brief", "address", "show", "uplink"])
        assert made.address("server") == "203.0.113.2"
        assert made.address("server") in shown
        assert made.address("server", 6) in shown
    assert own() == []


def test_a_network_that_cannot_be_built_leaves_nothing() -> None:
    with pytest.raises(AssertionError, match="nft"), Network(HOSTS, rules="nonsense"):
        pass
    assert own() == []


def test_a_failure_inside_leaves_nothing() -> None:
    with pytest.raises(ZeroDivisionError), Network(HOSTS):
        _ = 1 // 0
    assert own() == []


def test_what_a_killed_run_left_is_removed_with_its_processes() -> None:
    script = (
        "import os, signal, subprocess\n"
        "quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "from scenario.reachability.network import Network\n"
        "network = Network({'server': ['203.0.113.0/24']}).__enter__()\n"
        "child = subprocess.Popen([*network.inside('server'), 'sleep', '60'], **quiet)\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = str(network.ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": tests, "PATH": network.PATH},
    )
    assert done.stdout, done.stderr
    killed, _ = done.stdout.split()
    assert namespaces(f"{network.PREFIX}{killed}-")
    remove_stale()
    assert namespaces(f"{network.PREFIX}{killed}-") == []


def test_without_root_the_line_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert missing({}).endswith("sudo make test-python")


def test_missing_tools_are_named_with_the_line_to_run() -> None:
    assert missing({"no-such-tool": "no-such-package"}).endswith("sudo apt-get install -y no-such-package")
    assert missing({}) == ""

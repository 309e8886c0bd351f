"""System packages: installed by root, named in one line to anybody else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from architecture.repository import ROOT

INSTALLED = "present"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with a dpkg-query that knows one package, an apt-get that writes down its arguments, and root."""
    tools = {
        "dpkg-query": f'[ "$4" = {INSTALLED} ] && printf "install ok installed"',
        "apt-get": f'echo "$@" >> "{tmp_path}/log"',
        "id": "echo 0",
    }
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def packages(machine: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "build/packages.sh"), *names]
    return subprocess.run(command, env={"PATH": str(machine)}, capture_output=True, text=True, check=False)


def log(machine: Path) -> list[str]:
    file = machine / "log"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("names", [(), (INSTALLED,)])
def test_nothing_happens_when_nothing_is_missing(machine: Path, names: tuple[str, ...]) -> None:
    assert packages(machine, *names).returncode == 0
    assert log(machine) == []


def test_root_installs_only_what_is_missing(machine: Path) -> None:
    assert packages(machine, "one", INSTALLED, "two").returncode == 0
    assert log(machine) == ["update -qq", "install -y -qq one two"]


def test_anybody_else_is_told_the_line(machine: Path) -> None:
    (machine / "id").write_text("#!/bin/sh\necho 1000\n")
    result = packages(machine, "one", INSTALLED, "two")
    assert result.returncode == 1
    assert result.stderr.strip().endswith("sudo apt-get install -y one two")
    assert len(result.stderr.splitlines()) == 1
    assert log(machine) == []


def test_a_failed_installation_fails(machine: Path) -> None:
    (machine / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    assert packages(machine, "one").returncode != 0

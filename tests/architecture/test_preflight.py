"""The first step names everything that is missing, one line each, and needs nothing itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from architecture.repository import ROOT

TOOLS = {
    "cargo": "cargo 1.99.0",
    "rustc": "rustc 1.99.0 (abc 2026-01-01)",
    "node": "v22.1.0",
    "npm": "11.0.0",
    "make": "GNU Make 4.4",
    "cc": "cc 14.0",
}


def preflight(path: Path | str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "build/preflight.sh")]
    return subprocess.run(
        command, env={"PATH": str(path)}, capture_output=True, text=True, check=False, cwd="/"
    )


def missing(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("missing: ")]


def write_tool(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    """A folder with every tool, each as new as it needs to be."""
    for name, version in TOOLS.items():
        write_tool(tmp_path, name, f"echo '{version}'")
    # First it is asked for its version, then whether it has venv and ensurepip.
    write_tool(tmp_path, "python3", 'case "$2" in *version_info*) echo 3.11 ;; esac')
    return tmp_path


def test_a_complete_machine_passes_in_silence(complete: Path) -> None:
    result = preflight(complete)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_empty_path_lists_everything_at_once(tmp_path: Path) -> None:
    result = preflight(tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    words = [line.removeprefix("missing: ").split()[0].rstrip(":") for line in missing(result)]
    assert words == ["Python", "Rust", "Node.js", "npm", "make", "a"]
    assert "a C compiler" in missing(result)[-1]
    assert result.stderr.splitlines()[-1].startswith("6 thing(s) missing")


def test_every_line_says_what_to_do(tmp_path: Path) -> None:
    for line in missing(preflight(tmp_path)):
        assert any(word in line for word in ("apt-get install", "install ", "PYTHON=")), line


@pytest.mark.parametrize("tool", sorted(TOOLS.keys() - {"rustc"}))
def test_one_missing_tool_is_one_line(complete: Path, tool: str) -> None:
    (complete / tool).unlink()
    result = preflight(complete)
    assert result.returncode == 1
    assert len(missing(result)) == 1


@pytest.mark.parametrize(
    ("tool", "script", "expected"),
    [
        ("rustc", "echo 'rustc 1.70.0 (abc 2023-01-01)'", "rustup update"),
        ("rustc", "exit 1", "Rust"),
        ("node", "echo v18.20.0", "Node.js 20"),
        ("python3", "echo 3.10", "3.11 or newer ('python3' is 3.10)"),
        ("python3", 'case "$2" in *version_info*) echo 3.12 ;; *) exit 1 ;; esac', "python3.12-venv"),
    ],
)
def test_an_old_or_broken_tool_is_one_line(complete: Path, tool: str, script: str, expected: str) -> None:
    write_tool(complete, tool, script)
    result = preflight(complete)
    assert result.returncode == 1
    assert len(missing(result)) == 1
    assert expected in missing(result)[0]


def test_a_newer_major_version_is_new_enough(complete: Path) -> None:
    write_tool(complete, "rustc", "echo 'rustc 2.0.0 (abc 2030-01-01)'")
    write_tool(complete, "node", "echo v100.0.0")
    assert preflight(complete).returncode == 0


def test_every_target_that_builds_checks_first() -> None:
    plan = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert plan[0].startswith("build/preflight.sh")

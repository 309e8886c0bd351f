"""The steps of the container image in an empty root: the wheel, an unprivileged user, a read-only file system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "build/container_steps.sh"
STRICT = os.environ.get("SANDERLING_STRICT", "") not in ("", "0")


def newest_source() -> float:
    """When a Python file of the package was changed last."""
    return max(path.stat().st_mtime for path in (ROOT / "python").rglob("*.py"))


@pytest.mark.processes
@pytest.mark.timeout(180)
def test_the_image_would_be_healthy_and_stop_in_order() -> None:
    wheels = list((ROOT / "dist").glob("*.whl"))
    reason = ""
    if os.geteuid() != 0:
        reason = "an empty root needs root; run:  sudo make test-python"
    elif len(wheels) != 1 or wheels[0].stat().st_mtime < newest_source():
        reason = "there is no wheel of these sources in dist/; run:  make wheel"
    if reason and STRICT:
        pytest.fail(reason, pytrace=False)
    elif reason:
        pytest.skip(reason)
    done = subprocess.run(
        [str(SCRIPT), str(wheels[0])],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ['{"status":"ok"}', "healthy"]


def test_it_says_what_it_needs() -> None:
    done = subprocess.run(
        [str(SCRIPT), "no-such.whl"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "WHEEL" in done.stderr

"""What the tests' own set-up promises: strict mode has no skips, settings stay outside, blocking calls are caught."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.repository import ROOT

CASES = {
    "passes": "def test_passes(): pass",
    "skips": "import pytest\ndef test_skips(): pytest.skip('no reason')",
    "environment": "import os\ndef test_environment(): assert 'SANDERLING_PORT' not in os.environ",
    "blocks": (
        "import asyncio, sanderling, time\n"
        "exec(compile('def block(): time.sleep(0.001)', sanderling.__path__[0] + '/x.py', 'exec'))\n"
        "async def test_blocks(): block()"
    ),
}


def outcome(folder: Path, case: str, *, strict: bool) -> int:
    """Exit status of pytest with this repository's set-up on one small test."""
    shutil.copy(ROOT / "tests/conftest.py", folder / "conftest.py")
    (folder / f"test_{case}.py").write_text(CASES[case])
    environment = {**os.environ, "SANDERLING_STRICT": "1" if strict else "", "SANDERLING_PORT": "1"}
    # As pyproject.toml has it: the set-up takes modules from there.
    environment["PYTHONPATH"] = str(ROOT / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    command += ["--rootdir", str(folder), str(folder)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("case", "strict", "expected"),
    [
        ("passes", True, 0),
        ("skips", False, 0),
        ("skips", True, 1),
        ("environment", True, 0),
        ("blocks", False, 1),
    ],
)
def test_the_set_up_of_the_tests(tmp_path: Path, case: str, strict: bool, expected: int) -> None:
    assert outcome(tmp_path, case, strict=strict) == expected

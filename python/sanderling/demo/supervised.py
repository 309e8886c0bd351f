"""Run the ``sanderling`` command line so that it ends with its parent.

``python -m sanderling.demo.supervised serve …`` is ``sanderling serve …`` that also stops, as on SIGTERM, when its
standard input ends. A parent that is killed therefore leaves no server behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

__all__ = ["main"]

_CHUNK = 4096


def main() -> None:
    """Watch standard input and run the command line with this process's arguments."""
    threading.Thread(target=_end_with_input, name="sanderling-parent-watch", daemon=True).start()
    from sanderling.cli.main import app

    app(args=sys.argv[1:], prog_name="sanderling")


def _end_with_input() -> None:
    # os.read and not sys.stdin: a thread inside a buffered reader would abort the interpreter's shutdown.
    while os.read(0, _CHUNK):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()

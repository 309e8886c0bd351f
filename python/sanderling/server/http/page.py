"""The web page: static files of the package, or of a folder the operator names."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.staticfiles import StaticFiles

__all__ = ["mount_page"]

# Reads the system's tables now, and not in the middle of the first request.
mimetypes.init()

PACKAGED = Path(__file__).parent.parent / "static"

_WITHOUT_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sanderling</title>
<p>The server is running. The web page is not built into this installation: <code>make web</code> builds it.
<p><a href="healthz">/healthz</a> · <a href="metrics">/metrics</a></html>
"""


def mount_page(app: FastAPI, folder: str) -> None:
    """Serve the page at ``/``; must be the last route. Without one, a sentence stands there."""
    path = Path(folder) if folder else PACKAGED
    if (path / "index.html").is_file():
        app.mount("/", StaticFiles(directory=path, html=True), name="page")
        return

    async def without_page() -> Response:
        return Response(_WITHOUT_PAGE, media_type="text/html")

    app.add_api_route("/", without_page, methods=["GET"], include_in_schema=False)

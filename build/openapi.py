"""Generate the OpenAPI document of the HTTP surface from the routes.

build/openapi.py            write schema/openapi.json
build/openapi.py --check    write nothing, exit 1 when the file differs from what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sanderling.server.app import api_document

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "schema/openapi.json"


def document_text() -> str:
    return json.dumps(api_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    text = document_text()
    if "--check" not in arguments:
        DOCUMENT.write_text(text)
        return 0
    if not DOCUMENT.is_file() or DOCUMENT.read_text() != text:
        print(f"{DOCUMENT.relative_to(ROOT)} differs from the routes; run 'make schema'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Generate the reference of error codes from build/codes.toml: one table, and a page for each code.

build/codes.py            write docs/reference/errors.md and docs/reference/errors/
build/codes.py --check    write nothing, exit 1 when a file differs from what would be written
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECLARED = ROOT / "build/codes.toml"
TABLE = ROOT / "docs/reference/errors.md"
PAGES = ROOT / "docs/reference/errors"

SECTIONS = {
    "Common and engine": (0, 1000, 1001),
    "Room, login and token": (1002,),
    "Publish": (1003,),
    "Play": (1004,),
    "Devices and files": (1006, 1008),
    "Messages and data": (1009,),
}

INTRODUCTION = """\
# Errors

Every error has a number that does not change, a sentence that says what is wrong, and mostly one that says what to
do. Programs switch on the number (`error.code`), never on the sentence. The numbers are 1 MMM NNN: 000 common, 001
engine, 002 room, 003 publish, 004 play, 006 devices, 008 files, 009 messages. This page and those it links are
generated from `build/codes.toml` by `make schema`.
"""

COVERAGE = """\
## Codes of the product, and how each is shown

*Different*: another code, or nothing, comes of the same situation. *Not applicable*: the situation cannot come about.
Of the {total} codes of the families 1000–1004, 1006 and 1009, {raised} are raised by a test, {different} are different
and {none} not applicable.

| Code | Product's name | Raised by the test, or why not |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Code:
    """One declaration."""

    number: int
    symbol: str
    name: str
    cause: str
    remedy: str
    test: str
    status: str
    reason: str


def declared() -> list[Code]:
    """All declarations, by number."""
    with DECLARED.open("rb") as file:
        entries = tomllib.load(file)
    fields = ("symbol", "name", "cause", "remedy", "test", "status", "reason")
    codes = [Code(int(n), *(entry.get(field, "") for field in fields)) for n, entry in entries.items()]
    return sorted(codes, key=lambda code: code.number)


def _row(code: Code) -> str:
    return f'| <a id="{code.number}"></a>{code.number} | {code.name} | {code.cause} | {code.remedy} |'


def _shown(code: Code) -> str:
    return f"`{code.test}`" if code.test else f"{code.status}: {code.reason}"


def table_text(codes: list[Code]) -> str:
    """The table, with what is raised first and what is not after it."""
    parts = [INTRODUCTION]
    for title, families in SECTIONS.items():
        rows = [_row(code) for code in codes if code.name and code.number // 1000 in families]
        parts += [
            f"\n## {title}\n",
            "| Code | Name | What is wrong | What to do |",
            "|---|---|---|---|",
            *rows,
        ]
    product = [code for code in codes if code.symbol]
    statuses = [code.status for code in product]
    parts.append(
        "\n"
        + COVERAGE.format(
            total=len(product),
            raised=sum(bool(code.test) for code in product),
            different=statuses.count("different"),
            none=statuses.count("not applicable"),
        ).rstrip("\n")
    )
    parts += [f"| {code.number} | {code.symbol} | {_shown(code)} |" for code in product]
    return "\n".join(parts) + "\n"


def page_text(code: Code) -> str:
    """The page of one code."""
    title = code.name or code.symbol
    lines = [f"# {code.number} {title}", ""]
    if code.symbol and code.name:
        lines += [f"Name in the product: `{code.symbol}`.", ""]
    if code.cause:
        lines += [f"**What is wrong.** {code.cause}", ""]
    if code.remedy and code.remedy != "–":
        lines += [f"**What to do.** {code.remedy}", ""]
    if code.test:
        lines += [f"Raised by `{code.test}`."]
    else:
        lines += [f"Nothing raises it: {code.status}; {code.reason}."]
    lines += ["", "All codes: [errors](../errors.md)."]
    text = "\n".join(lines) + "\n"
    # Links of a cell in the table are relative to its folder.
    return text.replace("](../protocol.md)", "](../../protocol.md)")


def texts() -> dict[Path, str]:
    """Every generated file."""
    codes = declared()
    return {TABLE: table_text(codes), **{PAGES / f"{code.number}.md": page_text(code) for code in codes}}


def main() -> int:
    """See the module."""
    wanted = texts()
    stale = set(PAGES.glob("*.md")) - set(wanted)
    if "--check" in sys.argv[1:]:
        differ = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        for path in sorted([*differ, *stale]):
            print(
                f"{path.relative_to(ROOT)} is not what build/codes.toml gives; run `make schema`",
                file=sys.stderr,
            )
        return 1 if differ or stale else 0
    PAGES.mkdir(exist_ok=True)
    for path in stale:
        path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

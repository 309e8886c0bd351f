"""Files stay small enough to hold in one's head: 100–400 lines, a reason from 500 on, never above 800."""

from __future__ import annotations

from architecture.repository import texts

QUESTION, LIMIT = 500, 800
GENERATED = {"web/packages/protocol/src/messages.ts"}

# Files above the question, each with why it is one idea all the same. The list can only shrink.
JUSTIFIED: dict[str, str] = {
    "crates/io/src/tcp.rs": "the life of a TCP connection, under 400 lines, with its tests beside it",
}


def sizes() -> dict[str, int]:
    code = texts(".py", ".pyi", ".rs", ".ts", ".mjs", ".sh")
    return {path: text.count("\n") for path, text in code if path not in GENERATED}


def test_no_file_is_above_the_limit() -> None:
    assert {path: lines for path, lines in sizes().items() if lines > LIMIT} == {}


def test_every_long_file_has_a_reason() -> None:
    assert {
        path: lines for path, lines in sizes().items() if lines > QUESTION and path not in JUSTIFIED
    } == {}


def test_no_reason_outlives_its_file() -> None:
    long = {path for path, lines in sizes().items() if lines > QUESTION}
    assert set(JUSTIFIED) <= long
    assert all(JUSTIFIED.values())

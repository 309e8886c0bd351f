"""The documents name what exists: error codes, commands of make, files that are linked."""

from __future__ import annotations

import re

import pytest

from architecture.repository import ROOT, texts
from sanderling.errors import ErrorCode, SanderlingError

LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)([^)#]+)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)\b")


def documents() -> dict[str, str]:
    return dict(texts(".md"))


@pytest.mark.parametrize("code", list(ErrorCode), ids=lambda code: code.name)
def test_every_error_code_is_explained_where_the_error_says(code: ErrorCode) -> None:
    path, anchor = SanderlingError(code).docs.split("#")
    assert f'| <a id="{anchor}"></a>{int(code)} | {code.name} |' in documents()[path]


def test_every_link_leads_to_a_file() -> None:
    broken = [
        f"{path}: {target}"
        for path, text in documents().items()
        for target in LINK.findall(text)
        if not (ROOT / path).parent.joinpath(target).exists()
    ]
    assert broken == []


def test_every_command_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (path, name)
        for path, text in documents().items()
        for code in re.findall(r"`([^`]+)`", text)
        for name in MAKE.findall(code)
    }
    assert named, "the documents name commands in code marks"
    assert {entry for entry in named if entry[1] not in targets} == set()


def test_make_help_names_every_command_for_people() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    shown = set(MAKE.findall(makefile.split("\nhelp:")[1].split("# ---")[0]))
    internal = {"help", "preflight", "system-packages"}
    parts_of_check = set(re.findall(r"^CHECKS := (.*)$", makefile, re.MULTILINE)[0].split())
    assert targets - internal - parts_of_check == shown

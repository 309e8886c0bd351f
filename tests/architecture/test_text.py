"""What no file of the repository may say, and what none may be called."""

from __future__ import annotations

import re

from architecture.repository import files, texts

FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}

# With spaces for dots, so that this file does not hold them.
REGISTRIES = re.compile(
    "|".join(
        host.replace(" ", r"\.")
        for host in (
            "pypi org", "pythonhosted org", "npmjs org", "npmjs com", "static crates io", "index crates io",
            "deb debian org", "proxy golang org", "yarnpkg com",
        )
    )
)  # fmt: skip
MACHINE_PATHS = re.compile(r"(?<![\w.~$})])/(?:work|farm|root)/\w")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b|\btodo[!]\(|unimplemented[!]\(")


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_registry_is_named() -> None:
    assert found(REGISTRIES) == []


def test_no_path_of_one_machine_is_named() -> None:
    assert found(MACHINE_PATHS) == []


def test_nothing_is_left_unfinished() -> None:
    assert found(UNFINISHED) == []


def test_files_are_named_for_what_they_hold() -> None:
    wrong = [
        str(path) for path in files() if FORBIDDEN_NAMES & {part.split(".")[0].lower() for part in path.parts}
    ]
    assert wrong == []


def test_nothing_large_is_committed() -> None:
    assert [path.name for path in files() if path.stat().st_size > 1_000_000] == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert REGISTRIES.search("https://{}/simple".format("pypi org".replace(" ", ".")))
    assert MACHINE_PATHS.search('open("/' + 'work/main")')
    assert not MACHINE_PATHS.search("benches/work/x ~/work/x")
    assert UNFINISHED.search("# TO" + "DO: later")

"""Whether the test that build/codes.toml names for an error code really meets that code.

A code counts as met by a test when, while it runs, an error with that code is made in this process (by the code under
test or by a server in a thread of it), an event with that code is delivered, a message of the wire with that code is
read, or the test hands :func:`met` what a process of its own has reported. What the test says itself, in a server's
place (:func:`scripted`), does not count, nor what comes of it. What a test meets is held against the declarations at
the end of the run, for every test that ran whole, with all its parameters, and passed: so the order of tests is of no
account, and a part of them may be run.
"""

from __future__ import annotations

import functools
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from sanderling import errors
from sanderling.signaling import codec

__all__ = ["CodesSeen", "declared_tests", "met", "scripted", "unmet"]

_running: set[int] = set()
"""What the test that runs has met so far."""
_scripted: set[int] = set()
"""What it has said itself, in a server's place."""


def met(code: int) -> int:
    """A code that the test has read from the output of another process; returns it."""
    _running.add(int(code))
    return int(code)


def scripted(message: object) -> None:
    """A message that a stand-in for a server sends because the test says so: its code is not met by being read."""
    _scripted.add(int(getattr(message, "code", 0)))


DECLARED = Path(__file__).resolve().parent.parent / "build/codes.toml"


def declared_tests() -> dict[int, str]:
    """By code, the test that meets it."""
    with DECLARED.open("rb") as file:
        return {int(code): entry["test"] for code, entry in tomllib.load(file).items() if "test" in entry}


def unmet(
    declared: Mapping[int, str],
    whole: Mapping[str, int],
    passed: Mapping[str, int],
    seen: Mapping[str, set[int]],
) -> list[str]:
    """One line for each code that its test did not meet. ``whole``: by test, how many runs with all its parameters
    would be, ``passed``: how many were and passed.
    """
    return [
        f"{code} was not met by {test}"
        for code, test in sorted(declared.items())
        if whole.get(test) and passed.get(test) == whole[test] and code not in seen.get(test, ())
    ]


class CodesSeen:
    """A pytest plugin."""

    def __init__(self, declared: Mapping[int, str]) -> None:
        self._declared = declared
        self._tests = set(declared.values())
        self._whole: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._partial: set[str] = set()
        self._seen: dict[str, set[int]] = {}
        self._watches_events = False
        self._unmet: list[str] = []
        self._watch_errors()
        self._watch_messages()

    def _watch_errors(self) -> None:
        make = errors.SanderlingError.__init__

        @functools.wraps(make)
        def made(error: errors.SanderlingError, *values: object, **named: object) -> None:
            make(error, *values, **named)  # type: ignore[arg-type]  # handed on as they came
            met(error.code)

        errors.SanderlingError.__init__ = made  # type: ignore[method-assign,assignment]  # for the length of the run

    def _watch_messages(self) -> None:
        decode = codec.decode_server

        @functools.wraps(decode)
        def decoded(data: bytes | str) -> object:
            message = decode(data)
            met(getattr(message, "code", 0))
            return message

        # Before anybody takes the function from there: this is made while the first conftest is read.
        codec.decode_server = decoded  # type: ignore[assignment]

    def _watch_events(self) -> None:
        """Once somebody has loaded what delivers them: most tests never do."""
        module = sys.modules.get("sanderling.sdk.dispatch")
        if module is None or self._watches_events:
            return
        self._watches_events = True
        for name in ("emit", "emit_newest"):
            setattr(module.Dispatcher, name, _recording(getattr(module.Dispatcher, name)))

    # ------------------------------------------------------------------------------------------ what pytest calls

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Count the runs of each declared test; those chosen by a parameter are not whole."""
        self._whole.update(test for test in map(_test_of, items) if test in self._tests)
        for argument in session.config.args:
            path, _, name = argument.partition("::")
            if "[" in name:
                function = name.partition("[")[0]
                self._partial |= {
                    test for test in self._tests if test.endswith(f"{Path(path).name}::{function}")
                }

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A test without some of its parameters is not whole."""
        self._partial.update(map(_test_of, items))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[object]:
        """Gather what is met from set-up to tear-down."""
        _running.clear()
        _scripted.clear()
        self._watch_events()
        result = yield
        test = _test_of(item)
        if test in self._tests:
            self._seen.setdefault(test, set()).update(_running - _scripted)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Only what passed is held against the declarations: what failed is heard of anyhow."""
        if report.when == "call" and report.passed:
            path, _, name = report.nodeid.partition("::")
            self._passed[f"{path}::{name.partition('[')[0]}"] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run when a declaration does not hold."""
        whole = {test: runs for test, runs in self._whole.items() if test not in self._partial}
        self._unmet = unmet(self._declared, whole, self._passed, self._seen)
        if self._unmet and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which."""
        for line in self._unmet:
            terminalreporter.write_line(f"build/codes.toml: {line}", red=True)


def _recording(deliver: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(deliver)
    def delivered(*values: object, **named: object) -> None:
        for value in values:
            met(getattr(value, "error_code", 0))
        deliver(*values, **named)

    return delivered


def _test_of(item: pytest.Item) -> str:
    path, _, name = item.nodeid.partition("::")
    return f"{path}::{name.partition('[')[0]}"

"""What every test gets: a clean environment, no blocking call inside an event loop, and in strict mode no skips."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before hypothesis is imported: it decides then where it keeps what it has found.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".build/hypothesis"))

from blockbuster import blockbuster_ctx  # noqa: E402  (after the setting above)
from hypothesis import HealthCheck, settings  # noqa: E402  (after the setting above)

from codes_seen import CodesSeen, declared_tests  # noqa: E402  (with the others)

# No deadline: the time of one example on a shared machine says nothing.
settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile(
    "long", deadline=None, max_examples=20_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

_codes_seen = CodesSeen(declared_tests())


def pytest_configure(config: pytest.Config) -> None:
    """Hold the tests of error codes against their declarations, and let children hear Ctrl-C."""
    config.pluginmanager.register(_codes_seen, "codes-seen")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell lets what it starts in the background ignore it, and every process that the tests start would too.
        signal.signal(signal.SIGINT, signal.default_int_handler)


STRICT = os.environ.get("SANDERLING_STRICT", "") not in ("", "0")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the developer's own settings nor their state folder take part in a test."""
    for name in list(os.environ):
        if name.startswith("SANDERLING_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture(autouse=True)
def _no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """A call of the package that blocks the event loop (a file, a socket, a sleep) fails the test that made it."""
    if request.node.get_closest_marker("asyncio") is None:
        yield
        return
    with blockbuster_ctx("sanderling") as blockbuster:
        for function in blockbuster.functions.values():
            # A traceback on a developer's console shows lines of source; rendering it reads them.
            function.can_block_in("structlog/dev.py", {"__call__"})
            # Looks at two files' times, some microseconds, in place of a query.
            function.can_block_in("sanderling/server/storage/sqlite.py", {"_version"})
            # A server that starts reads its files: nobody is connected yet.
            function.can_block_in("sanderling/server/app.py", {"running"})
        yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In strict mode a skipped test is one that did not prove what it stands for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if STRICT and skipped and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"strict mode: {len(skipped)} test(s) were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""The server for tests keeps quiet: standard output belongs to the program around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from sanderling.testing import server
from sanderling.testing.fake_engine import FakeModule


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


async def test_only_warnings_and_only_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    async with server(native=FakeModule()):
        log = structlog.get_logger("rooms")
        log.info("room_made")
        log.warning("slow_reader_closed", token="secret-token")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "room_made" not in captured.err
    assert "slow_reader_closed" in captured.err
    assert "secret-token" not in captured.err


async def test_logging_that_is_set_up_is_left_alone() -> None:
    with structlog.testing.capture_logs() as logs:
        async with server(native=FakeModule()):
            structlog.get_logger("rooms").info("room_made")
    assert [entry["event"] for entry in logs] == ["room_made"]

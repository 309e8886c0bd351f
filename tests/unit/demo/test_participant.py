"""A participant's process: one line in, reports out, every way to end."""

from __future__ import annotations

import asyncio
import io
import signal
from pathlib import Path

import pytest

from sanderling.demo import reports
from sanderling.demo.children import Child
from sanderling.demo.participant import Invitation, Reporter

INVITATION = b'{"app_id":7,"server":"http://127.0.0.1:1","token":"04secret"}\n'

SOURCE = """
import sys
from sanderling.demo import participant, reports
from sanderling.errors import ErrorCode, PlayError

async def part(invitation, report, stop):
    report(reports.LoggedIn(float(invitation.app_id)))
    {body}
    report(reports.WatchingEnded(1))

sys.exit(participant.run(part))
"""


class Run:
    """One participant process whose part is ``body``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
        package_root = Path(reports.__file__).parents[2]
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{package_root}")
        (folder / "part_under_test.py").write_text(SOURCE.format(body=body))
        self.reports: list[reports.Report] = []
        self.errors: list[str] = []
        self.first = asyncio.Event()

    async def start(self, line: bytes = INVITATION) -> Child:
        return await Child.start(
            "part",
            "part_under_test",
            first_line=line,
            on_line=self._on_line,
            on_error_line=self.errors.append,
        )

    def _on_line(self, line: bytes) -> None:
        self.reports.append(reports.decode(line))
        self.first.set()


@pytest.mark.parametrize("way", ["stop line", "end of input", "SIGTERM", "SIGINT"])
async def test_every_way_to_end_is_orderly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    run = Run(tmp_path, monkeypatch, "await stop.wait()")
    child = await run.start()
    await run.first.wait()
    match way:
        case "stop line":
            child._write(b"stop\n")
        case "end of input":
            assert child._process.stdin is not None
            child._process.stdin.close()
        case _:
            child._process.send_signal(signal.Signals[way])
    assert await child.wait() == 0
    assert run.reports == [reports.LoggedIn(7.0), reports.WatchingEnded(1)]
    assert run.errors == []


async def test_an_error_is_reported_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(
        tmp_path, monkeypatch, "raise PlayError(ErrorCode.L3_NOT_ENABLED, 'L3 is off', hint='switch it on')"
    )
    child = await run.start()
    assert await child.wait() == 1
    assert run.reports[-1] == reports.Failed(1004072, "L3 is off", "switch it on")


async def test_a_defect_is_reported_too_and_leaves_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, "raise RuntimeError('boom')")
    child = await run.start()
    assert await child.wait() == 1
    assert run.reports[-1] == reports.Failed(1000099, "RuntimeError: boom")
    assert any("Traceback" in line for line in run.errors)


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"app_id":"x"}\n', b"\n"])
async def test_a_wrong_first_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    run = Run(tmp_path, monkeypatch, "await stop.wait()")
    child = await run.start(line)
    assert await child.wait() == 2
    assert "app_id, server and token" in run.errors[0]


def test_the_token_does_not_show_in_a_text_of_the_invitation() -> None:
    assert "04secret" not in f"{Invitation(7, 'http://127.0.0.1:1', '04secret')!r}"


def test_a_parent_that_is_gone_means_stop() -> None:
    gone: list[bool] = []

    class Broken(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    report = Reporter(Broken(), lambda: gone.append(True))
    report(reports.LoggedIn(1.0))
    report(reports.LoggedIn(2.0))
    assert gone == [True]

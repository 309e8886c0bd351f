"""Reports survive their line; anything else is refused."""

from __future__ import annotations

import msgspec
import pytest

from sanderling.demo import reports

EXAMPLES = [
    reports.RoomStateChanged("LOGINED"),
    reports.PublisherStateChanged("NO_PUBLISH", 1003028),
    reports.PlayerStateChanged("PLAYING"),
    reports.LoggedIn(81.5),
    reports.Play("demo-film", "ONLY_L3"),
    reports.FirstFrame(140.2, 1280, 720),
    reports.Sent([(1, 1_760_000_000_000_000_000), (2, 1_760_000_000_040_000_000)]),
    reports.Received([(1, 5, 9), (None, None, 12)]),
    reports.Statistics(1280, 720, "VP8", 1500.0, 9_990.0, 0.01),
    reports.Failed(1004072, "L3 is off", "switch it on"),
]


@pytest.mark.parametrize("report", EXAMPLES, ids=lambda report: type(report).__name__)
def test_round_trip(report: reports.Report) -> None:
    line = reports.encode(report)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert reports.decode(line) == report


@pytest.mark.parametrize(
    "line", [b"", b"hello\n", b"[]", b'{"event":"unknown"}', b'{"event":"logged_in","login_ms":"soon"}']
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        reports.decode(line)

"""Reports in, states and figures out."""

from __future__ import annotations

import msgspec
import pytest

from sanderling.demo import reports
from sanderling.demo.collector import Collector, Incomplete
from unit.demo.recorded import MS, T0, session


def test_the_result_has_exactly_the_documented_keys_and_values() -> None:
    assert msgspec.to_builtins(session().result()) == {
        "resource_mode": "ONLY_L3",
        "room_states": ["LOGINING", "LOGINED"],
        "player_states": ["PLAY_REQUESTING", "PLAYING"],
        "publisher_states": ["PUBLISH_REQUESTING", "PUBLISHING"],
        "login_ms": 77.0,
        "first_frame_ms": 123.0,
        "latency_ms": {"p50": 60.0, "p95": 60.0, "p99": 60.0},
        "frames": {"sent": 240, "received": 240},
        "freezes": {"count": 0, "total_ms": 0.0},
        "audio": {"received_ms": 9600.0, "concealed_ratio": 0.002},
        "video": {"width": 1280, "height": 720, "fps": 25.0, "codec": "VP8"},
    }


def test_pictures_after_the_end_of_watching_do_not_count() -> None:
    collector = session()
    late = T0 + 60_000 * MS
    collector.apply("viewer", reports.Received([(900, late - 50 * MS, late)]))
    assert collector.result().frames.received == 240


def test_a_picture_that_stands_still_until_the_end_is_a_freeze() -> None:
    collector = session()
    assert collector.until_ns is not None
    collector.apply("viewer", reports.WatchingEnded(collector.until_ns + 3_000 * MS))
    freezes = collector.result().freezes
    assert freezes.count == 1
    assert freezes.total_ms == pytest.approx(3_040)


def test_what_is_missing_is_said_step_by_step() -> None:
    whole = session()
    collector = Collector()
    said = [collector.missing()]
    for role, report in [
        ("host", reports.LoggedIn(1.0)),
        ("host", reports.PublisherStateChanged("PUBLISHING")),
        ("viewer", reports.LoggedIn(1.0)),
        ("viewer", reports.PlayerStateChanged("PLAY_REQUESTING")),
        ("viewer", reports.PlayerStateChanged("PLAYING")),
    ]:
        collector.apply(role, report)
        said.append(collector.missing())
    assert len(set(said)) == 6
    with pytest.raises(Incomplete, match="no picture"):
        collector.result()
    assert whole.has_picture()
    assert not collector.has_picture()


def test_recent_figures_see_a_gap_that_began_before_the_stretch() -> None:
    collector = session(ended=False)
    last_ns = T0 + (249 * 40 + 60) * MS
    assert collector.recent(last_ns, 2.0).fps == pytest.approx(25.0)
    assert collector.recent(last_ns, 2.0).freezes.count == 0
    frozen = collector.recent(last_ns + 5_000 * MS, 2.0)
    assert frozen.freezes.count == 1
    assert frozen.freezes.total_ms == pytest.approx(5_000)


def test_after_the_end_of_watching_no_freeze_grows() -> None:
    assert session().recent(T0 + 60_000 * MS, 2.0).freezes.count == 0


def test_lines_for_the_log_name_role_state_and_code() -> None:
    collector = Collector()
    assert collector.apply("host", reports.PublisherStateChanged("NO_PUBLISH", 1003028)) == (
        "host: publisher NO_PUBLISH, error 1003028"
    )
    assert collector.apply("viewer", reports.Failed(1004072, "L3 is off", "switch it on")) == (
        "viewer: 1004072 L3 is off (switch it on)"
    )
    assert collector.apply("host", reports.Sent([(0, T0)])) is None

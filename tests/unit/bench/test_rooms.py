"""The bench of the room manager fills a room and counts who heard."""

from __future__ import annotations

import pytest
from benches import members, rooms


def test_it_measures_each_level_and_leaves() -> None:
    figures = rooms.measure((10, 30))
    assert [level.members for level in figures.levels] == [10, 30]
    assert all(level.login_us > 0 and level.notice_ns_per_member > 0 for level in figures.levels)
    assert figures.leave_us > 0
    assert "30 users in a room" in figures.line()


def test_real_members_log_in_hear_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "SETTLE_S", 0.3)
    monkeypatch.setattr(members, "NOTICES", 2)
    figures = members.measure(5, deflate=True)
    assert figures.members == 5
    assert 0 < figures.notice_ms["p50"] <= figures.notice_ms["max"]
    assert 0 < figures.login_ms["p50"] <= figures.login_ms["max"]
    assert "5 members, deflate" in figures.line()

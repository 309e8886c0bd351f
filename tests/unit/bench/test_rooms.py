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
    monkeypatch.setattr(members, "SETTLE_S", 0.2)
    monkeypatch.setattr(members, "NOTICES", 2)
    monkeypatch.setattr(members, "WITH_VIEWER", 2)
    figures = members.measure((2, 60), deflate=True)
    assert [level.members for level in figures.levels] == [2, 60]
    for level in figures.levels:
        assert 0 < level.notice_ms["p50"] <= level.notice_ms["max"]
        assert 0 < level.login_ms["p50"] <= level.login_ms["max"]
        assert level.logins_per_s > 0
        assert level.cpu_ms_per_login > 0
    assert "2/60 members, deflate" in figures.line()


def test_a_refused_login_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "ROOM_ID", "not allowed \n")
    with pytest.raises(OSError, match=r"the login was refused: .*1002012"):
        members.measure((1,))

"""The bench of the room manager fills a room and counts who heard."""

from __future__ import annotations

from benches import rooms


def test_it_measures_each_level_and_leaves() -> None:
    figures = rooms.measure((10, 30))
    assert [level.members for level in figures.levels] == [10, 30]
    assert all(level.login_us > 0 and level.notice_ns_per_member > 0 for level in figures.levels)
    assert figures.leave_us > 0
    assert "30 users in a room" in figures.line()

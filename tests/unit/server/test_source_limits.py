from __future__ import annotations

import pytest

from sanderling.server.config import ServerConfig
from sanderling.server.source_limits import SourceLimiter, SourceLimits, source_of


def test_a_source_has_its_burst_and_then_its_rate():
    limiter = SourceLimiter(rate=2.0)
    assert [limiter.take("192.0.2.1", 5.0) for _ in range(20)] == [0.0] * 20
    assert limiter.take("192.0.2.1", 5.0) == 0.5
    assert limiter.take("192.0.2.1", 5.5) == 0.0
    assert limiter.take("192.0.2.1", 5.5) == 0.5


def test_sources_do_not_share():
    limiter = SourceLimiter(rate=0.1)
    assert limiter.take("192.0.2.1", 0.0) == 0.0
    assert limiter.take("192.0.2.1", 0.0) == 10.0
    assert limiter.take("192.0.2.2", 0.0) == 0.0


def test_without_a_rate_nothing_is_counted_or_kept():
    limiter = SourceLimits().posts
    assert {limiter.take("192.0.2.1", 0.0) for _ in range(1000)} == {0.0}
    assert len(limiter) == 0


def test_the_table_is_bounded_and_forgets_the_longest_unseen():
    limiter = SourceLimiter(rate=0.1, largest_table=3)
    for source in "abc":
        limiter.take(source, 0.0)
    assert limiter.take("a", 0.0) > 0
    limiter.take("d", 0.0)
    assert len(limiter) == 3
    assert limiter.take("a", 0.0) > 0, "seen last before d"
    assert limiter.take("b", 0.0) == 0.0, "forgotten"


@pytest.mark.parametrize(
    ("client", "source"),
    [
        (("192.0.2.7", 51000), "192.0.2.7"),
        (["::ffff:192.0.2.7", 0], "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::99", 1), "2001:db8:1:2::/64"),
        (("testclient", 1), "testclient"),
        (None, ""),
        ((), ""),
    ],
)
def test_what_counts_as_one_source(client, source):
    assert source_of(client) == source


@pytest.mark.parametrize("name", ["posts_per_s", "logins_per_s"])
def test_settings_out_of_range(name):
    assert getattr(ServerConfig(**{name: 0}), name) == 0
    for value in (-1, 0.01, 1e9, float("nan")):
        with pytest.raises(ValueError, match=name):
            ServerConfig(**{name: value})

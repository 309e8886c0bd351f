from __future__ import annotations

import math

import pytest

from sanderling.server.metrics import added_delay_metric


def buckets(bounds: list[float], counts: list[int]) -> dict[str, float]:
    metric = added_delay_metric({"bounds_us": bounds, "counts": counts})
    return {sample.labels["le"]: sample.value for sample in metric.samples if sample.name.endswith("_bucket")}


def test_the_delay_added_is_a_cumulative_histogram_at_doublings_in_seconds():
    bounds = [1.0, 2.0, 3.0, 4.0, 1024.0, 1152.0, math.inf]
    assert buckets(bounds, [1, 0, 2, 1, 5, 1, 3]) == {
        "1e-06": 1,
        "2e-06": 1,
        "4e-06": 4,
        "0.001024": 9,
        "+Inf": 13,
    }


def test_an_engine_that_measured_nothing_has_an_empty_histogram():
    assert buckets([], []) == {"+Inf": 0}


def test_bounds_and_counts_belong_together():
    with pytest.raises(ValueError, match="zip"):
        added_delay_metric({"bounds_us": [1.0], "counts": []})

"""Arithmetic of the figures, and the keys of the results, which others read."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time

import msgspec
import pytest

from sanderling.bench.added_delay import Histogram
from sanderling.bench.failure import BenchFailed
from sanderling.bench.figures import (
    FanoutResult,
    JoinResult,
    MemoryResult,
    StormResult,
    per_packet,
    quantiles,
    spread,
)
from sanderling.bench.latency import LatencyResult
from sanderling.bench.usage import cpu_seconds, parse_perf, resident_bytes

INFINITE = float("inf")

# The keys that the tools built on these results rely on.
KEYS: dict[type[msgspec.Struct], set[str]] = {
    FanoutResult: {
        "viewers",
        "packets_per_cpu_second",
        "cpu_ns_per_packet",
        "lost_packets",
        "packets_per_flush",
        "added_delay_ms",
        "peer",
        "ratio_to_peer",
        "floor_ratio",
    },
    JoinResult: {
        "gop_s",
        "arrivals",
        "first_frame_ms",
        "first_moving_ms",
        "live_ms",
        "joins_per_cpu_second",
        "keyframe_requests_per_second",
    },
    StormResult: {
        "arrivals",
        "first_frame_ms",
        "joins_per_cpu_second",
        "keyframe_requests_per_second",
        "failed",
    },
    LatencyResult: {"latency_ms"},
    MemoryResult: {"viewers", "bytes_per_viewer"},
}


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.__name__)
def test_results_have_the_keys_that_others_read(kind: type[msgspec.Struct]) -> None:
    assert set(kind.__struct_fields__) >= KEYS[kind]


def test_a_result_is_one_json_object() -> None:
    result = MemoryResult(
        viewers=10,
        bytes_per_viewer=65_536.0,
        base=1,
        slots=1,
        rss_before=1,
        rss_after=655_361,
        packets_per_second=100,
        packets_per_second_per_slot=100,
        seconds=1.0,
    )
    text = msgspec.json.encode(result).decode()
    assert "\n" not in text
    assert json.loads(text)["bytes_per_viewer"] == 65_536.0


def test_quantiles_are_linear_between_neighbours() -> None:
    assert quantiles([10.0, 20.0], 50, 95) == {"p50": 15.0, "p95": 19.5}
    assert quantiles([7.04], 50) == {"p50": 7.0}
    assert quantiles([], 50, 95) == {}


def test_the_spread_names_the_worst() -> None:
    assert spread([1.0, 2.0, 9.0]) == {"p50": 2.0, "p95": 8.3, "max": 9.0}
    assert spread([]) == {}


def test_packets_per_cpu_second_and_their_price() -> None:
    assert per_packet(2.0, 1_000_000) == (500_000.0, 2000.0)
    assert per_packet(0.0, 5) == (0.0, 0.0)
    assert per_packet(1.0, 0) == (0.0, 0.0)


def test_cpu_time_is_that_of_all_threads_of_the_process() -> None:
    before, own = cpu_seconds(os.getpid()), time.process_time()
    worker = threading.Thread(target=lambda: sum(range(2_000_000)))
    worker.start()
    worker.join()
    spent, own = cpu_seconds(os.getpid()) - before, time.process_time() - own
    assert spent == pytest.approx(own, rel=0.05)
    assert spent > 0.005


def test_a_process_that_is_gone_is_said_to_be() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(BenchFailed, match="ended while it was measured"):
        cpu_seconds(process.pid)
    with pytest.raises(BenchFailed):
        resident_bytes(process.pid)


def test_events_that_cannot_be_counted_are_absent() -> None:
    text = (
        "<not supported>,,instructions:u,0,100.00,,\n1234,,syscalls:sys_enter_sendmsg,100,100.00,,\n# note\n"
    )
    assert parse_perf(text, ["instructions:u", "syscalls:sys_enter_sendmsg"]) == {
        "syscalls:sys_enter_sendmsg": 1234
    }


def test_a_histogram_is_that_since_another() -> None:
    before = Histogram.read({"bounds_us": [100, 200, None], "counts": [5, 0, 1]})
    after = Histogram.read({"bounds_us": [100, 200, None], "counts": [7, 2, 1]})
    assert after.since(before) == Histogram((100.0, 200.0, INFINITE), (2, 2, 0))


def test_quantiles_of_a_histogram_are_linear_within_a_bucket() -> None:
    histogram = Histogram((100.0, 200.0, INFINITE), (50, 50, 0))
    assert histogram.quantile_ms(0.25) == pytest.approx(0.05)
    assert histogram.quantile_ms(0.5) == pytest.approx(0.1)
    assert histogram.quantile_ms(0.99) == pytest.approx(0.198)


def test_what_lies_beyond_the_last_bound_counts_as_that() -> None:
    assert Histogram((100.0, INFINITE), (0, 3)).quantile_ms(0.99) == pytest.approx(0.1)


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert Histogram((100.0, INFINITE), (0, 0)).quantile_ms(0.5) is None

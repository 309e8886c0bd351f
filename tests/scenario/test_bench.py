"""``sanderling bench`` end to end with tiny loads: real servers, real viewers; no figure is judged."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from sanderling.bench.veth import Cable, remove_stale

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

LIMIT_S = 100.0
AT_ONCE = 2
"""Benches that run at a time; none of their figures is judged."""
HIGHEST_LOAD = "fanout --viewers 2 --streams 2 --burst 1 --seconds 0.2 --trials 2 --no-added-delay --no-floor"
"""Alone: it gives up where nothing it tries is carried."""
COMMAND = [sys.executable, "-P", "-m", "sanderling.cli.main", "bench"]
ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="network namespaces need root; run:  sudo make test-python"
)


def bench(*arguments: str) -> dict[str, Any]:
    """Run a bench with --json; the object in the last line of its output."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(result, dict)
    return result


def of(line: str) -> pytest.MarkDecorator:
    """The test's ``result`` is that of a bench with these arguments."""
    return pytest.mark.parametrize("result", [line], ids=["run"], indirect=True)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """Runs the benches whose results are asked for by any of these tests, several at a time: they mostly wait."""
    module = request.node.nodeid
    parameters = [
        getattr(item, "callspec").params  # noqa: B009 - only items with parameters have one
        for item in request.session.items
        if item.nodeid.startswith(f"{module}::") and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lines = [each["result"] for each in parameters if "result" in each]
        asked = dict.fromkeys(sorted(lines, key=lambda line: line != HIGHEST_LOAD))
        started: dict[str, Future[dict[str, Any]]] = {}
        for line in asked:
            started[line] = pool.submit(bench, *line.split())
            if line == HIGHEST_LOAD:
                wait(started.values())
        yield started
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def result(request: pytest.FixtureRequest, runs: dict[str, Future[dict[str, Any]]]) -> dict[str, Any]:
    return runs[request.param].result()


def left_over() -> set[str]:
    """Network namespaces of benches that have ended."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    named = {line.split()[0] for line in listed.splitlines() if line.startswith("sdb")}
    return {name for name in named if not Path(f"/proc/{re.findall('[0-9]+', name)[0]}").exists()}


@of("fanout --viewers 4 --seconds 0.5 --rate 400 --burst 4")
def test_fanout_on_loopback(result: dict[str, Any]) -> None:
    assert (result["viewers"], result["burst"], result["sink"]) == (4, 4, "loopback")
    assert result["packets_per_cpu_second"] > 0
    assert result["cpu_ns_per_packet"] > 0
    assert result["packets_per_second"] > 0
    assert result["packets_per_flush"] > 0
    assert result["floor_ratio"] > 0
    assert set(result["added_delay_ms"]) == {"p50", "p99"}
    assert result["peer"] is None
    assert result["ratio_to_peer"] is None


@of(HIGHEST_LOAD)
def test_fanout_finds_the_highest_load(result: dict[str, Any]) -> None:
    assert result["streams"] == 2
    assert result["packets_per_second"] > 0
    assert result["added_delay_ms"] is None
    assert result["floor_ratio"] is None


@ROOT
def test_fanout_into_a_cable_whose_far_end_drops() -> None:
    before = left_over()
    result = bench(
        "fanout", "--viewers", "4", "--seconds", "0.5", "--rate", "400", "--sink", "veth", "--burst", "8"
    )
    assert (result["sink"], result["burst"]) == ("veth", 8)
    assert result["packets_per_cpu_second"] > 0
    assert result["lost_packets"] == 0
    assert left_over() <= before


@pytest.mark.skipif(shutil.which("janus") is None, reason="run:  sudo apt-get install -y janus")
@of(
    "fanout --viewers 3 --seconds 0.5 --rate 300 --peer janus --peer-event-loops 1 --no-added-delay --no-floor"
)
def test_fanout_beside_a_gateway(result: dict[str, Any]) -> None:
    assert result["peer"] == "janus"
    assert result["ratio_to_peer"] > 0
    assert result["peer_figures"]["viewers"] == 3
    # The pictures of a recorded GOP, as no burst was asked for.
    assert result["burst"] is None


@pytest.mark.parametrize(
    ("publisher", "result"),
    [
        (publisher, f"join --gop 1 --publisher {publisher} --arrivals 3 --mean-gap 0.3 --plays 1")
        for publisher in ("pli", "no-pli")
    ],
    ids=["pli", "no-pli"],
    indirect=["result"],
)
def test_join(publisher: str, result: dict[str, Any]) -> None:
    assert (result["gop_s"], result["arrivals"], result["publisher"]) == (1, 3, publisher)
    assert result["failed"] == 0
    for name in ("first_frame_ms", "first_moving_ms", "live_ms", "play_first_frame_ms"):
        assert 0 < result[name]["p50"] <= result[name]["p95"]
    assert result["first_frame_ms"]["p50"] <= result["first_moving_ms"]["p50"]
    assert sum(each["arrivals"] for each in result["by_key_frame_age"]) == 3


@pytest.mark.parametrize(
    ("via", "result"),
    [(via, f"join --rate 20 --seconds 0.5 --gop 2 --via {via}") for via in ("whep", "signalling")],
    ids=["whep", "signalling"],
    indirect=["result"],
)
def test_a_storm_of_joins(via: str, result: dict[str, Any]) -> None:
    assert (result["arrivals"], result["failed"], result["via"]) == (10, 0, via)
    assert 0 <= result["later_than_1_s"] <= 10
    assert 0 < result["first_frame_ms"]["p50"] <= result["first_frame_ms"]["max"]


@of("latency --seconds 1 --runs 1")
def test_latency(result: dict[str, Any]) -> None:
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p95"] <= result["latency_ms"]["p99"]


@pytest.mark.parametrize(
    ("slots", "result"),
    [(slots, f"memory --viewers 8 --base 2 --slots {slots} --seconds 0.5") for slots in (1, 2)],
    ids=["1", "2"],
    indirect=["result"],
)
def test_memory(slots: int, result: dict[str, Any]) -> None:
    assert (result["viewers"], result["slots"]) == (8, slots)
    assert result["packets_per_second_per_slot"] * slots == result["packets_per_second"] == 100
    assert result["rss_after"] > 0
    expected = (result["rss_after"] - result["rss_before"]) / 8
    assert result["bytes_per_viewer"] == pytest.approx(expected, abs=0.1)


def test_people_get_lines_rather_than_json() -> None:
    arguments = ["memory", "--viewers", "2", "--base", "1", "--seconds", "0.2"]
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "bytes_per_viewer" in done.stdout
    assert "bench: " in done.stderr


def test_without_root_the_cable_is_refused_with_a_remedy() -> None:
    code = "import os,sys; os.geteuid = lambda: 1000; from sanderling.cli.main import app; app(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, "bench", "fanout", "--sink", "veth", "--viewers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "--sink loopback" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_sdks_engine_its_package_is_named() -> None:
    code = "import sys; sys.modules['wrtc'] = None; from sanderling.cli.main import app; app(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, "bench", "join", "--arrivals", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert "pip install wrtc" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_gateway_its_package_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [*COMMAND, "fanout", "--peer", "janus", "--viewers", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment
    )
    assert done.returncode == 1
    assert "apt-get install -y janus" in done.stderr
    assert "Traceback" not in done.stderr


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def interrupted(number: signal.Signals, until: str, *arguments: str) -> None:
    """Start a bench, send it a signal once it says ``until``, and see that nothing it started is left."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        while until not in (line := process.stderr.readline()):
            assert line, "the bench ended too early"
        children = descendants(process.pid)
        assert len(children) >= 2
        process.send_signal(number)
        process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_nothing(number: signal.Signals) -> None:
    interrupted(number, "publishing", "join", "--gop", "1", "--arrivals", "500", "--mean-gap", "0.2")


@ROOT
def test_an_interrupted_bench_removes_its_networks() -> None:
    before = left_over()
    interrupted(
        signal.SIGINT,
        "are connected",
        "fanout",
        "--viewers",
        "2",
        "--sink",
        "veth",
        "--rate",
        "100",
        "--seconds",
        "60",
    )
    assert left_over() <= before


@ROOT
def test_networks_of_a_bench_that_was_killed_are_removed_by_the_next() -> None:
    with Cable("sdb999999999"):
        assert "sdb999999999-server" in left_over()
        remove_stale()
        assert "sdb999999999-server" not in left_over()

"""The extension's load generator against its engine, with real sockets: media, reports, arguments, life."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sanderling import _engine
from unit.bridge.extension import LIMIT_S, Running, running

SESSION_GONE = "no session|no viewer|no publisher"


def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0)


def load_threads() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended between the listing and the reading
    return sorted(name for name in names if name.startswith("load-"))


@pytest.fixture
def load() -> Iterator[_engine.Load]:
    load = _engine.Load()
    yield load
    load.close()


class Stage:
    """An engine, and sessions of a generator on it."""

    def __init__(self, media: Running, load: _engine.Load) -> None:
        self.media = media
        self.load = load
        self._tickets = iter(range(1, 1_000_000))

    def publisher(self, **arguments: Any) -> int:
        session, offer = self.load.open_publisher(**arguments)
        ticket = next(self._tickets)
        self.media.engine.open_publisher(ticket, 0, session, offer)
        self.load.answer(session, self.media.answer(ticket)[3])
        until(lambda: self.load.publisher_report(session)["connected"])
        return session

    def viewer(self, publisher: int, **arguments: Any) -> int:
        session, offer = self.load.open_viewer(**arguments)
        ticket, bound = next(self._tickets), next(self._tickets)
        self.media.engine.open_viewer(ticket, 0, session, offer)
        self.load.answer(session, self.media.answer(ticket)[3])
        self.media.engine.bind(bound, 0, session, publisher, 0, True, True)
        assert self.media.answer(bound)[0] == "bound"
        until(lambda: self.load.viewer_report(session)["connected_ns"])
        return session


@pytest.fixture
def stage(load: _engine.Load) -> Iterator[Stage]:
    with running() as media:
        yield Stage(media, load)


def test_viewers_get_what_a_publisher_sends_and_reports_say_so(stage: Stage) -> None:
    before = time.monotonic_ns()
    load = stage.load
    publisher = stage.publisher(audio=True)
    viewers = [stage.viewer(publisher, check=check) for check in (True, False)]
    load.start_pattern(publisher, packets_per_second=400, packet_bytes=800, burst=4, gop_packets=40)
    until(lambda: load.report()["packets"] > 400)
    sent = load.stop_pattern(publisher)
    published = load.publisher_report(publisher)
    assert (published["packets_sent"], published["refused"]) == (sent, 0)

    until(lambda: load.report()["missing"] == 0)
    report = load.report()
    assert (report["viewers"], report["connected"]) == (2, 2)
    assert (report["lost"], report["missing"], report["corrupted"], report["refused"]) == (0, 0, 0, 0)
    # On a machine that is busy with something else the node may leave frames out for a viewer that seems slow.
    assert report["checked"] > 100
    for viewer in viewers:
        seen = load.viewer_report(viewer)
        names = ("opened_ns", "connected_ns", "first_packet_ns", "first_key_frame_ns", "second_frame_ns")
        times = [seen[name] for name in names]
        assert times == sorted(times)
        assert before < times[0] <= times[-1] < time.monotonic_ns()
        assert {one["codec"] for one in seen["streams"]} == {"VP8", "opus"}
    assert load.take_frames(viewers[0]) != []
    assert load.take_frames(viewers[1]) == []


def test_thrown_away_packets_are_repaired_and_counted() -> None:
    load = _engine.Load(loss=0.1, seed=5)
    try:
        with running() as media:
            stage = Stage(media, load)
            publisher = stage.publisher()
            stage.viewer(publisher, check=True, audio=False)
            load.start_pattern(publisher, packets_per_second=500)
            until(lambda: load.report()["repaired"] > 20)
            load.stop_pattern(publisher)
            until(lambda: load.report()["missing"] == 0)
            report = load.report()
            assert report["lost"] == report["corrupted"] == 0
            assert report["dropped"] >= report["repaired"]
            assert report["nacks_sent"] >= report["repaired"]
    finally:
        load.close()


@pytest.mark.parametrize("portable", [False, True], ids=["native", "portable"])
def test_what_leaves_together_is_counted_and_its_delay_measured(load: _engine.Load, portable: bool) -> None:
    with running(portable=portable) as media:
        stage = Stage(media, load)
        publisher = stage.publisher()
        for _ in range(3):
            stage.viewer(publisher, check=True, audio=False)
        load.start_pattern(publisher, packets_per_second=800, burst=8)
        until(lambda: load.report()["packets"] > 1_000)
        load.stop_pattern(publisher)
        until(lambda: load.report()["missing"] == 0)
        counters, delay = media.engine.counters(), media.engine.added_delay()
    assert load.report()["corrupted"] == 0
    assert 0 < counters["flushes"] < counters["packets_out"]
    # Eight packets of one frame are for one viewer after the other, so nearly all of them leave in company.
    assert (counters["trains"] > 0, counters["gso"]) == (not portable, int(not portable))
    assert counters["sends"] <= counters["packets_out"]
    assert sum(delay["counts"]) >= counters["flushes"]
    assert len(delay["bounds_us"]) == len(delay["counts"])


def test_frames_arrive_whole_with_their_time(stage: Stage) -> None:
    load = stage.load
    publisher = stage.publisher()
    viewer = stage.viewer(publisher, check=True, audio=False)
    frame = bytes([0x50, 0, 0, 0x9D, 1, 0x2A]) + os.urandom(5000)
    taken: list[tuple[bytes, int, bool, int]] = []
    number = 0

    def another() -> bool:
        nonlocal number
        load.frame(publisher, frame, (2**32 - 3000 + number * 3000) % 2**32, True)
        number += 1
        taken.extend(load.take_frames(viewer))
        return len(taken) >= 3

    until(another)
    assert all(data == frame and key for data, _, key, _ in taken)
    assert len({timestamp for _, timestamp, _, _ in taken}) == len(taken)
    assert all(0 < arrival < time.monotonic_ns() for _, _, _, arrival in taken)


def test_a_publisher_hears_who_wants_a_key_frame(stage: Stage) -> None:
    load = stage.load
    publisher = stage.publisher(key_frames_on_request=False)
    load.start_pattern(publisher, packets_per_second=100, gop_packets=100_000)
    stage.viewer(publisher)
    until(lambda: load.publisher_report(publisher)["key_frame_requests"] > 0)
    report = load.publisher_report(publisher)
    assert len(report["request_times_ns"]) == report["key_frame_requests"]
    assert report["connected_ns"] < report["request_times_ns"][0] < time.monotonic_ns()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"threads": 0}, "threads"),
        ({"threads": -1}, "threads"),
        ({"listen": "localhost"}, "listen"),
        ({"listen": "0.0.0.0"}, "listen"),
        ({"loss": 1.01}, "loss"),
        ({"loss": float("nan")}, "loss"),
    ],
)
def test_bad_arguments_of_a_generator(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _engine.Load(**arguments)


def test_bad_arguments_of_its_methods(load: _engine.Load) -> None:
    publisher, _ = load.open_publisher()
    viewer, _ = load.open_viewer()
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: load.open_publisher(codec="h266"), "codec"),
        (lambda: load.open_publisher(codec="opus"), "codec"),
        (lambda: load.open_viewer(slots=0), "slots"),
        (lambda: load.open_viewer(audio=False, video=False), "audio or video"),
        (lambda: load.answer(viewer, "<html>"), "no SDP"),
        (lambda: load.accept_offer("v=0"), "refused"),
        (lambda: load.frame(publisher, b"x", 0, True), "not connected"),
        (lambda: load.start_pattern(publisher, packets_per_second=0), "packets_per_second"),
        (lambda: load.start_pattern(publisher, packets_per_second=1, packet_bytes=37), "packet_bytes"),
        (lambda: load.start_pattern(publisher, packets_per_second=1, burst=0), "burst"),
        (lambda: load.start_pattern(publisher, packets_per_second=1, burst=-1), "burst"),
        (lambda: load.viewer_report(publisher), SESSION_GONE),
        (lambda: load.publisher_report(viewer), SESSION_GONE),
        (lambda: load.close_session(12345), SESSION_GONE),
    ]
    for call, says in calls:
        with pytest.raises(ValueError, match=says):
            call()


def test_a_server_at_an_address_that_cannot_be_used_is_seen_at_once() -> None:
    load = _engine.Load(listen="203.0.113.7")
    with pytest.raises(OSError, match="ulimit"):
        load.open_viewer()
    load.close()


def test_nothing_is_left_of_a_closed_generator() -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    load = _engine.Load(threads=2)
    sessions = [load.open_viewer()[0] for _ in range(10)]
    until(lambda: load_threads() == ["load-1", "load-2", "load-publish"])
    assert len(os.listdir("/proc/self/fd")) >= before + 10
    load.close_session(sessions[0])
    with pytest.raises(ValueError, match=SESSION_GONE):
        load.viewer_report(sessions[0])
    load.close()
    load.close()
    until(lambda: load_threads() == [])
    assert len(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(RuntimeError, match="closed"):
        load.report()


def test_a_generator_that_is_forgotten_ends_too() -> None:
    load = _engine.Load()
    load.open_viewer()
    del load
    gc.collect()
    until(lambda: load_threads() == [])


def test_closing_while_others_ask_is_safe() -> None:
    load = _engine.Load()
    ended: list[bool] = []

    def ask() -> None:
        while True:
            try:
                load.report()
            except RuntimeError:
                ended.append(True)
                return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    load.close()
    for asker in askers:
        asker.join(LIMIT_S)
    assert ended == [True] * 4


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_of_a_fork_is_refused_and_the_parent_goes_on(load: _engine.Load) -> None:
    child = os.fork()
    if child == 0:
        try:
            load.report()
        except RuntimeError as error:
            os._exit(0 if "fork" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert load.report()["viewers"] == 0

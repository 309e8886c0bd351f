"""The extension's measuring hooks on real sockets: the floor, the null forwarder, counters and the delay added."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from sanderling import _engine
from sanderling.server.config import usable_processors
from unit.bridge.extension import LIMIT_S, running


@contextlib.contextmanager
def receiver() -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind(("127.0.0.1", 0))
        taking.settimeout(LIMIT_S)
        host, port = taking.getsockname()
        yield taking, f"{host}:{port}"


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0)


@pytest.mark.parametrize("gso", [True, False], ids=["trains", "one by one"])
def test_the_floor_says_what_it_sent(gso: bool) -> None:
    with receiver() as (first, one), receiver() as (second, two):
        sent = _engine.bench_send_floor(
            [one, two], size=700, per_flush=4, seconds=0.02, listen="127.0.0.1", gso=gso
        )
        assert sent["packets"] + sent["dropped"] == 8 * sent["flushes"] > 0
        assert sent["bytes"] == 700 * sent["packets"]
        assert (sent["trains"] > 0) == gso == bool(sent["gso"])
        assert 0 < sent["cpu_seconds"] <= sent["seconds"] + 0.01
        for taking in (first, second):
            assert len(taking.recv(2000)) == 700


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"addresses": []}, "at least one"),
        ({"addresses": ["localhost:1"]}, "localhost"),
        ({"size": 0}, "size"),
        ({"size": 5000}, "size"),
        ({"per_flush": 65}, "per_flush"),
        ({"per_flush": -1}, "per_flush"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": math.nan}, "seconds"),
        ({"seconds": 1e9}, "seconds"),
        ({"listen": "::1"}, "IPv"),
        ({"listen": "here"}, "listen"),
    ],
)
def test_a_floor_that_cannot_be_is_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _engine.bench_send_floor(**{"addresses": ["127.0.0.1:9"], **arguments})  # type: ignore[arg-type]


def test_the_null_forwarder_sends_to_everybody_and_measures_what_it_adds() -> None:
    with (
        receiver() as (first, one),
        receiver() as (second, two),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        forwarder = _engine.NullForwarder([one, two])
        host, _, port = forwarder.address.rpartition(":")
        for number in range(20):
            client.sendto(bytes([number]) * 100, (host, int(port)))
        for taking in (first, second):
            assert [taking.recv(2000) for _ in range(20)] == [bytes([n]) * 100 for n in range(20)]
        until(lambda: forwarder.report()["packets_out"] == 40)
        report = forwarder.close()
        assert forwarder.close() == report
    assert (report["packets_in"], report["packets_out"], report["dropped"]) == (20, 40, 0)
    assert 1 <= report["flushes"] <= 20
    delay = report["added_delay"]
    assert sum(delay["counts"]) == report["flushes"]
    assert len(delay["bounds_us"]) == len(delay["counts"])
    assert delay["bounds_us"] == sorted(delay["bounds_us"])
    assert math.isinf(delay["bounds_us"][-1])
    with pytest.raises(ValueError, match="somewhere"):
        _engine.NullForwarder(["somewhere"])


def test_junk_is_counted_as_refused_and_dropped() -> None:
    with running() as media, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(50):
            client.sendto(b"\x80\x60" + bytes(50), ("127.0.0.1", media.port()))
        until(lambda: media.engine.counters()["datagrams_refused"] == 50)
        counters = media.engine.counters()
        assert counters["datagrams_dropped"] == 50
        assert (counters["packets_out"], counters["flushes"], counters["datagrams_late"]) == (0, 0, 0)
        assert sum(media.engine.added_delay()["counts"]) == 0


def test_this_process_may_use_at_least_one_processor() -> None:
    assert usable_processors() >= 1

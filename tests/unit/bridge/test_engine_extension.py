"""The extension itself, with real threads and sockets: life, arguments, events, and junk from the network."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import select
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sanderling import _engine
from unit.bridge.extension import LIMIT_S, running

BACKENDS = pytest.mark.parametrize("portable", [False, True], ids=["native", "portable"])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def media_threads() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended between the listing and the reading
    return [name for name in names if name.startswith("media-")]


def assert_media_threads(*names: str) -> None:
    """A thread names itself once it runs and leaves /proc a moment after it was joined, so look until it is so."""
    deadline = time.monotonic() + LIMIT_S
    while sorted(media_threads()) != list(names):
        assert time.monotonic() < deadline, media_threads()


def readable(fd: int, timeout: float = 0) -> bool:
    return bool(select.select([fd], [], [], timeout)[0])


# ------------------------------------------------------------------------------------------------- life


@BACKENDS
def test_nothing_is_left_of_a_closed_engine(portable: bool) -> None:
    gc.collect()
    before = descriptors()  # may fall meanwhile: an earlier test's peer closes its own in its own time
    for _ in range(5):
        engine = _engine.Engine(workers=3, portable=portable)
        assert_media_threads("media-0", "media-1", "media-2")
        engine.close()
        assert_media_threads()
        assert descriptors() <= before
        engine.close()


def test_an_engine_that_is_forgotten_ends_too() -> None:
    before = descriptors()
    engine = _engine.Engine(listen=["127.0.0.1"])
    del engine
    gc.collect()
    assert_media_threads()
    assert descriptors() <= before


def test_a_closed_engine_says_so() -> None:
    engine = _engine.Engine(listen=["127.0.0.1"], workers=2)
    engine.close()
    for call in (
        engine.wake_fd,
        engine.counters,
        lambda: engine.take_events(1),
        lambda: engine.snapshot(1, 0),
        lambda: engine.open_viewer(1, 0, 1, ""),
    ):
        with pytest.raises(_engine.EngineClosed, match="closed"):
            call()
    assert engine.workers == 2
    assert len(engine.candidates) == 2


def test_closing_while_others_send_commands_is_safe() -> None:
    engine = _engine.Engine(listen=["127.0.0.1"], workers=2)
    outcomes: list[type[Exception]] = []

    def ask() -> None:
        ticket = 0
        while True:
            try:
                engine.snapshot(ticket := ticket + 1, ticket % 2)
            except _engine.EngineBusy:
                continue
            except _engine.EngineClosed as error:
                outcomes.append(type(error))
                return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    engine.close()
    for asker in askers:
        asker.join(LIMIT_S)
    assert outcomes == [_engine.EngineClosed] * 4


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_of_a_fork_is_refused_and_the_parent_goes_on() -> None:
    with running() as media:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            said = []
            for call in (
                media.engine.wake_fd,
                media.engine.counters,
                media.engine.close,
                lambda: media.engine.take_events(1),
                lambda: media.engine.snapshot(1, 0),
                lambda: media.engine.candidates,
                lambda: media.engine.workers,
            ):
                try:
                    call()
                    said.append("nothing")
                except RuntimeError as error:
                    said.append("fork" if "fork" in str(error) else str(error))
            os.write(writer, ",".join(said).encode())
            os._exit(0)
        os.close(writer)
        assert readable(reader, LIMIT_S)
        assert os.read(reader, 4096).decode() == ",".join(["fork"] * 7)
        os.close(reader)
        os.waitpid(child, 0)
        media.engine.snapshot(7, 0)
        assert media.answer(7)[0] == "snapshot"


# -------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "names"),
    [
        ({"workers": 0}, ValueError, "workers"),
        ({"workers": -1}, ValueError, "workers"),
        ({"workers": 10_000}, ValueError, "workers"),
        ({"workers": "two"}, TypeError, "workers"),
        ({"listen": ["localhost"]}, ValueError, "listen"),
        ({"listen": ["224.0.0.1"]}, ValueError, "listen"),
        ({"listen": ["203.0.113.1"]}, OSError, "media sockets"),
        ({"ports": (5000, 4000)}, ValueError, "ports"),
        ({"ports": (0, 70_000)}, ValueError, "ports"),
        ({"ports": (40_000, 40_001), "workers": 3}, ValueError, "fewer"),
        ({"advertise": ["0.0.0.0"]}, ValueError, "advertise"),
        ({"consent_timeout_ms": 10}, ValueError, "consent"),
        ({"max_sessions": 0}, ValueError, "max_sessions"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    arguments: dict[str, Any], error: type[Exception], names: str
) -> None:
    before = descriptors()
    with pytest.raises(error, match=names):
        _engine.Engine(**arguments)
    assert descriptors() <= before
    assert_media_threads()


def test_bad_command_arguments_are_refused() -> None:
    with running(workers=2) as media:
        for call in (
            lambda: media.engine.snapshot(1, 2),
            lambda: media.engine.snapshot(1, -1),
            lambda: media.engine.bind(1, 0, 1, 1, 9, True, True),
            lambda: media.engine.take_events(-1),
        ):
            with pytest.raises(ValueError, match=r"worker|limit"):
                call()
        with pytest.raises(OverflowError):
            media.engine.snapshot(-1, 0)
        with pytest.raises(TypeError):
            media.engine.open_viewer(1, 0, 1, b"v=0")  # type: ignore[arg-type]


def test_ports_come_from_the_range_and_a_taken_one_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        taken = held.getsockname()[1]
        with pytest.raises(OSError, match="Address already in use") as refused:
            _engine.Engine(listen=["127.0.0.1"], ports=(taken, taken))
        assert refused.value.errno is not None
        last = min(taken + 20, 65_535)
        with running(ports=(min(taken, last - 20), last)) as media:
            assert media.port() != taken
            assert min(taken, last - 20) <= media.port() <= last


def test_candidates_name_every_interface_or_what_is_advertised() -> None:
    with running(listen=[]) as media:
        (lines,) = media.engine.candidates
        assert f"udp 127.0.0.1 {media.port()}" in lines
        assert f"tcp 127.0.0.1 {media.port()}" in lines
        assert not any(line.split()[1].startswith(("fe80:", "169.254.")) for line in lines)
    with running(advertise=["203.0.113.9"]) as media:
        port = media.port()
        assert media.engine.candidates == [[f"udp 203.0.113.9 {port}", f"tcp 203.0.113.9 {port}"]]


# ----------------------------------------------------------------------------------------------- events


def test_the_descriptor_is_readable_exactly_while_events_wait() -> None:
    with running() as media:
        fd = media.engine.wake_fd()
        assert not readable(fd)
        for ticket in range(10):
            media.engine.snapshot(ticket, 0)
        deadline = time.monotonic() + LIMIT_S
        while media.engine.counters()["events_waiting"] < 10:
            assert time.monotonic() < deadline
        assert readable(fd)
        assert media.engine.take_events(0) == []
        first = media.engine.take_events(4)
        assert len(first) == 4
        assert readable(fd)
        rest = media.engine.take_events(100)
        assert not readable(fd)
        assert [event[:2] for event in first + rest] == [("snapshot", ticket) for ticket in range(10)]
        assert all(isinstance(json.loads(event[2]), dict) for event in first + rest)


def test_a_full_command_queue_is_said_at_once_and_what_was_taken_is_answered() -> None:
    with running() as media:
        offer = "v=0\r\n" + "a=filler:x\r\n" * 5_000
        taken = 0
        with contextlib.suppress(_engine.EngineBusy):
            while taken < 1_000_000:
                media.engine.open_viewer(taken, 0, 1 + taken, offer)
                taken += 1
        assert 1_000 <= taken < 1_000_000
        for ticket in range(taken):
            assert media.answer(ticket)[:3] == ("failed", ticket, "bad_offer")


@pytest.mark.parametrize(
    "offer", ["", "nonsense", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "\0" * 1000]
)
def test_an_offer_that_cannot_be_used_is_answered_with_a_sentence(offer: str) -> None:
    with running() as media:
        media.engine.open_publisher(1, 0, 1, offer)
        media.engine.open_viewer(2, 0, 2, offer)
        for ticket in (1, 2):
            kind, _, reason, detail = media.answer(ticket)
            assert (kind, reason) == ("failed", "bad_offer")
            assert detail
        assert media.engine.counters()["sessions"] == 0


def test_commands_about_nothing_are_answered_with_their_reason() -> None:
    with running() as media:
        media.engine.bind(1, 0, 99, 98, 0, True, True)
        media.engine.unbind(2, 0, 99, 98)
        media.engine.close_session(3, 0, 99)
        media.engine.offer(4, 0, 99, "v=0\r\n")
        media.engine.set_layer(5, 0, 99, 98, 2)
        with pytest.raises(ValueError, match="not 3"):
            media.engine.set_layer(6, 0, 99, 98, 3)
        media.engine.request_key_frame(0, 98)
        for ticket in (1, 2, 3, 4, 5):
            assert media.answer(ticket)[:3] == ("failed", ticket, "unknown_session")


def test_the_cost_of_an_event_can_be_measured() -> None:
    assert 0 < _engine.bench_event_cost(10_000) < 1e9
    for wrong in (0, -1, 10**12):
        with pytest.raises(ValueError, match="events"):
            _engine.bench_event_cost(wrong)


# ------------------------------------------------------------------------------------------------- junk


def junk(random_: random.Random) -> bytes:
    """STUN-looking, DTLS-looking, RTP-looking and shapeless datagrams."""
    body = random_.randbytes(random_.randrange(0, 1400))
    match random_.randrange(6):
        case 0:
            return struct.pack("!HHI", 0x0001, len(body) & ~3, 0x2112A442) + random_.randbytes(12) + body
        case 1:
            return struct.pack("!HHI", 0x0101, random_.randrange(65_536), 0x2112A442) + body
        case 2:
            version = random_.choice([b"\xfe\xfd", b"\xfe\xff", b"\x03\x03"])
            header = bytes([random_.randrange(20, 64)]) + version + bytes(8) + struct.pack("!H", len(body))
            return header + body
        case 3:
            return bytes([0x80 | random_.randrange(64), random_.randrange(256)]) + body
        case _:
            return body


@BACKENDS
def test_thousands_of_random_datagrams_do_no_harm(portable: bool) -> None:
    random_ = random.Random(7)
    with running(portable=portable) as media, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", media.port()))
        deadline = time.monotonic() + LIMIT_S
        for number in range(5_000):
            client.send(junk(random_))
            # Not faster than it is read, so that all of them arrive.
            while number % 100 == 0 and media.engine.counters()["packets_in"] <= number - 100:
                assert time.monotonic() < deadline, "the worker stopped reading"
        client.send(bytes(4000))  # longer than any datagram of ours
        media.engine.snapshot(1, 0)
        assert media.answer(1)[0] == "snapshot"
        assert media.engine.counters()["sessions"] == 0
        assert not [event for event in media.events if event[0] == "worker_failed"]


@BACKENDS
def test_random_bytes_on_tcp_end_the_connection_and_half_open_ones_hold_up_nobody(portable: bool) -> None:
    random_ = random.Random(8)
    with running(portable=portable) as media:
        silent = [socket.create_connection(("127.0.0.1", media.port())) for _ in range(50)]
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", media.port()), timeout=LIMIT_S) as client:
                try:
                    client.sendall(b"\xff" + random_.randbytes(3000))
                    assert client.recv(1) == b""
                except (ConnectionResetError, BrokenPipeError):
                    pass  # closed while bytes were still on their way
        for client in silent:
            client.close()
        media.engine.snapshot(1, 0)
        assert media.answer(1)[0] == "snapshot"


@BACKENDS
def test_framed_junk_on_tcp_is_read_and_does_no_harm(portable: bool) -> None:
    random_ = random.Random(9)
    with (
        running(portable=portable) as media,
        socket.create_connection(("127.0.0.1", media.port()), timeout=LIMIT_S) as client,
    ):
        for _ in range(2_000):
            body = bytes([random_.choice([0, 1, 22, 128, 144])]) + random_.randbytes(random_.randrange(1200))
            client.sendall(struct.pack("!H", len(body)) + body)
        deadline = time.monotonic() + LIMIT_S
        while media.engine.counters()["packets_in"] < 2_000:
            assert time.monotonic() < deadline
        media.engine.snapshot(1, 0)
        assert media.answer(1)[0] == "snapshot"

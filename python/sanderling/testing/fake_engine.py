"""A stand-in for the media extension with the surface of ``_engine.pyi``; for tests of what sits on top of it.

It reads the media sections of an offer, keeps sessions, slots and bindings, and answers through a real
descriptor, but moves no media. What a network would do is done by the test: ``connect``, ``lose``, ``flow``.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FakeModule", "make_offer"]


class EngineBusy(Exception):
    """The command queue is full."""


class EngineClosed(Exception):
    """The engine was closed."""


_STATIC_TYPES = {"audio": 111, "video": 96}


def make_offer(
    direction: str = "sendonly",
    *,
    audio: int = 1,
    video: int = 1,
    audio_codec: str = "opus",
    video_codecs: tuple[str, ...] = ("VP8",),
) -> str:
    """Return a small SDP offer with ``audio`` + ``video`` media sections (for this engine only)."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    mid = 0
    for number in range(max(audio, video)):
        for kind, count, codecs in (("audio", audio, (audio_codec,)), ("video", video, video_codecs)):
            if number >= count:
                continue
            first = _STATIC_TYPES[kind]
            types = [str(first + index) for index in range(len(codecs))]
            rate = "48000/2" if kind == "audio" else "90000"
            lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(types)}", f"a=mid:{mid}", f"a={direction}"]
            for payload_type, codec in zip(types, codecs, strict=True):
                lines.append(f"a=rtpmap:{payload_type} {codec}/{rate}")
                if codec == "H264":
                    lines.append(f"a=fmtp:{payload_type} packetization-mode=1")
            mid += 1
    return "\r\n".join(lines) + "\r\n"


@dataclass
class _Section:
    kind: str
    mid: str = ""
    direction: str = "sendrecv"
    codecs: list[str] = field(default_factory=list)


@dataclass
class _Session:
    kind: str
    worker: int
    sections: list[_Section]
    slots: dict[int, int | None] = field(default_factory=dict)
    """Viewer: slot number to the stream bound to it."""


def _parse(offer: str) -> list[_Section]:
    lines = offer.splitlines()
    if not lines or lines[0] != "v=0":
        raise ValueError("the offer does not begin with v=0")
    sections: list[_Section] = []
    for line in lines:
        if line.startswith("m="):
            sections.append(_Section(kind=line[2:].split(" ", 1)[0]))
        elif sections and line.startswith("a=mid:"):
            sections[-1].mid = line[6:]
        elif sections and line.startswith("a=rtpmap:"):
            sections[-1].codecs.append(line.split(" ", 1)[1].split("/")[0])
        elif sections and line[2:] in {"sendonly", "recvonly", "sendrecv", "inactive"}:
            sections[-1].direction = line[2:]
    if not any(section.kind in _STATIC_TYPES for section in sections):
        raise ValueError("the offer has no audio or video section")
    return sections


_KNOWN_CODECS = frozenset({"VP8", "VP9", "AV1", "H264", "opus"})


class Engine:
    """See ``_engine.pyi``. Further methods play the part of the network and of a slow machine."""

    def __init__(
        self,
        *,
        workers: int = 1,
        listen: list[str] | None = None,
        ports: tuple[int, int] = (0, 0),
        advertise: list[str] | None = None,
        consent_timeout_ms: int = 30_000,
        max_sessions: int = 20_000,
    ) -> None:
        if workers < 1:
            raise ValueError("workers must be 1 or more")
        self._workers = workers
        self._max_sessions = max_sessions
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._events: deque[tuple[Any, ...]] = deque()
        self._held: deque[tuple[Any, ...]] | None = None
        self._hold_kinds: frozenset[str] = frozenset()
        self._signalled = False
        self._closed = False
        self.sessions: dict[int, _Session] = {}
        self.busy = 0
        """How many further commands are refused with EngineBusy."""
        self.commands: list[tuple[str, tuple[Any, ...]]] = []

    # ---- surface of the extension

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def candidates(self) -> list[list[str]]:
        return [[f"udp 127.0.0.1 {40000 + worker}"] for worker in range(self._workers)]

    def wake_fd(self) -> int:
        return self._read_fd

    def take_events(self, limit: int) -> list[tuple[Any, ...]]:
        taken = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
        if not self._events and self._signalled:
            os.read(self._read_fd, 16)
            self._signalled = False
        return taken

    def open_publisher(
        self, ticket: int, worker: int, session: int, offer: str, codecs: Sequence[str] = ()
    ) -> None:
        self._command("open_publisher", ticket, worker, session, offer, codecs)
        self._open(ticket, worker, session, offer, "publisher", "sendonly", codecs)

    def open_viewer(self, ticket: int, worker: int, session: int, offer: str) -> None:
        self._command("open_viewer", ticket, worker, session, offer)
        self._open(ticket, worker, session, offer, "viewer", "recvonly")

    def offer_viewer(self, ticket: int, worker: int, session: int, stream: int) -> None:
        self._command("offer_viewer", ticket, worker, session, stream)
        publisher = self.sessions.get(stream)
        if publisher is None or publisher.kind != "publisher" or publisher.worker != worker:
            self._fail(ticket, "unknown_stream", f"no stream {stream} on this worker")
            return
        sections = [
            _Section(s.kind, str(number), "sendonly", s.codecs[:1])
            for number, s in enumerate(publisher.sections)
        ]
        held = _Session("viewer", worker, sections)
        self.sessions[session] = held
        self._make_slots(held)
        lines = ["v=0", f"s=offer {session}"]
        for section in sections:
            number = _STATIC_TYPES[section.kind]
            rate = "48000/2" if section.kind == "audio" else "90000"
            lines += [
                f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {number}",
                f"a=mid:{section.mid}",
                "a=setup:actpass",
                "a=sendonly",
                f"a=rtpmap:{number} {section.codecs[0]}/{rate}",
            ]
        self._emit("answered", ticket, session, "\r\n".join([*lines, ""]), [])

    def accept(self, ticket: int, worker: int, session: int, answer: str) -> None:
        self._command("accept", ticket, worker, session, answer)
        held = self.sessions.get(session)
        if held is None:
            self._fail(ticket, "unknown_session", f"no viewer {session}")
            return
        try:
            sections = _parse(answer)
        except ValueError as error:
            self._fail(ticket, "bad_offer", str(error))
            return
        if [s.kind for s in sections] != [s.kind for s in held.sections]:
            self._fail(ticket, "bad_offer", "the answer has other sections than the offer")
        elif not any(set(s.codecs) & set(o.codecs) for s, o in zip(sections, held.sections, strict=True)):
            self._fail(ticket, "no_codec", "the answer receives none of the offered codecs")
        else:
            held.sections = sections
            self._emit("done", ticket)

    def offer(self, ticket: int, worker: int, session: int, offer: str) -> None:
        self._command("offer", ticket, worker, session, offer)
        held = self.sessions.get(session)
        if held is None:
            self._fail(ticket, "unknown_session", f"no session {session}")
            return
        try:
            held.sections = _parse(offer)
        except ValueError as error:
            self._fail(ticket, "bad_offer", str(error))
            return
        self._make_slots(held)
        self._answer(ticket, session, held)

    def bind(
        self, ticket: int, worker: int, session: int, stream: int, origin: int, audio: bool, video: bool
    ) -> None:
        self._command("bind", ticket, worker, session, stream, origin, audio, video)
        viewer, publisher = self.sessions.get(session), self.sessions.get(stream)
        if viewer is None or viewer.kind != "viewer":
            self._fail(ticket, "unknown_session", f"no viewer {session}")
            return
        if publisher is None or publisher.kind != "publisher" or publisher.worker != origin:
            self._fail(ticket, "unknown_stream", f"no stream {stream}")
            return
        if stream in viewer.slots.values():
            self._fail(ticket, "duplicate", f"stream {stream} is bound to viewer {session}")
            return
        wanted = {"audio"} if audio else set()
        wanted |= {"video"} if video else set()
        tracks = [s for s in publisher.sections if s.kind in wanted]
        for track in tracks:
            taken = {c for s in viewer.sections if s.kind == track.kind for c in s.codecs}
            if track.codecs[0] not in taken:
                detail = (
                    f"the stream is {track.codecs[0]}, the viewer takes {', '.join(sorted(taken)) or 'none'}"
                )
                self._fail(ticket, "no_codec", detail)
                return
        free = next((number for number, bound in viewer.slots.items() if bound is None), None)
        if free is None:
            self._fail(ticket, "no_slot", f"all {len(viewer.slots)} slots are taken")
            return
        viewer.slots[free] = stream
        mids = {kind: [s.mid for s in viewer.sections if s.kind == kind] for kind in ("audio", "video")}
        bound = {t.kind: mids[t.kind][free] for t in tracks}
        self._emit(
            "bound",
            ticket,
            session,
            stream,
            free,
            bound.get("audio", ""),
            bound.get("video", ""),
            [(t.kind, t.codecs[0], bound[t.kind]) for t in tracks],
        )

    def unbind(self, ticket: int, worker: int, session: int, stream: int) -> None:
        self._command("unbind", ticket, worker, session, stream)
        viewer = self.sessions.get(session)
        if viewer is None:
            self._fail(ticket, "unknown_session", f"no viewer {session}")
            return
        for number, bound in viewer.slots.items():
            if bound == stream:
                viewer.slots[number] = None
                self._emit("done", ticket)
                return
        self._fail(ticket, "unknown_stream", f"stream {stream} is not bound")

    def set_layer(self, ticket: int, worker: int, session: int, stream: int, choice: int) -> None:
        self._command("set_layer", ticket, worker, session, stream, choice)
        self._of_a_bound_stream(ticket, session, stream)

    def set_delay(self, ticket: int, worker: int, session: int, stream: int, most_ms: int) -> None:
        self._command("set_delay", ticket, worker, session, stream, most_ms)
        self._of_a_bound_stream(ticket, session, stream)

    def _of_a_bound_stream(self, ticket: int, session: int, stream: int) -> None:
        viewer = self.sessions.get(session)
        if viewer is None:
            self._fail(ticket, "unknown_session", f"no viewer {session}")
        elif stream not in viewer.slots.values():
            self._fail(ticket, "unknown_stream", f"stream {stream} is not bound to viewer {session}")
        else:
            self._emit("done", ticket)

    def request_key_frame(self, worker: int, stream: int) -> None:
        self._command("request_key_frame", worker, stream)

    def close_session(self, ticket: int, worker: int, session: int) -> None:
        self._command("close_session", ticket, worker, session)
        if self._drop(session):
            self._emit("done", ticket)
        else:
            self._fail(ticket, "unknown_session", f"no session {session}")

    def snapshot(self, ticket: int, worker: int) -> None:
        self._command("snapshot", ticket, worker)
        held = [number for number, session in self.sessions.items() if session.worker == worker]
        self._emit("snapshot", ticket, json.dumps({"worker": worker, "sessions": held}))

    def counters(self) -> dict[str, int]:
        bindings = sum(bound is not None for s in self.sessions.values() for bound in s.slots.values())
        return {
            "packets_in": 0,
            "packets_out": 0,
            "bytes_in": 0,
            "bytes_out": 0,
            "datagrams_dropped": 0,
            "datagrams_late": 0,
            "datagrams_refused": 0,
            "flushes": 0,
            "sends": 0,
            "trains": 0,
            "gso": 0,
            "sessions": len(self.sessions),
            "bindings": bindings,
            "events_waiting": len(self._events),
        }

    def added_delay(self) -> dict[str, Any]:
        return {"bounds_us": [1.0, math.inf], "counts": [0, 0]}

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.sessions.clear()
            os.close(self._read_fd)
            os.close(self._write_fd)

    # ---- the network's part

    def connect(self, session: int) -> None:
        """ICE and DTLS of a session came up."""
        self._emit("connected", session)

    def lose(self, session: int, reason: str = "consent_expired") -> None:
        """The session ended by itself."""
        if self._drop(session):
            self._emit("closed", session, reason)

    def flow(self, session: int, stream: int, mid: str, kind: str, rtp_timestamp: int = 0) -> None:
        """The first packet of a binding was sent."""
        self._emit("flowing", session, stream, mid, kind, rtp_timestamp)

    def hear(self, session: int, silent_ms: float = 0.0) -> None:
        """The second's report of a session whose peer was heard so long ago."""
        self._emit("stats", session, {"silent_ms": silent_ms})

    def fail_worker(self, worker: int) -> None:
        """A worker lost everything it held; viewers on others keep its streams in their slots, as with a real one."""
        self.sessions = {n: s for n, s in self.sessions.items() if s.worker != worker}
        self._emit("worker_failed", worker, "made to fail")

    def hold(self, *kinds: str) -> None:
        """Keep events of these kinds (all when none is named) back until ``release``: a slow worker."""
        self._held = deque()
        self._hold_kinds = frozenset(kinds)

    def release(self) -> None:
        """Deliver what was held back."""
        held, self._held = self._held, None
        for event in held or ():
            self._emit(*event)

    def bound_streams(self, session: int) -> list[int]:
        """Streams bound to a viewer."""
        return [bound for bound in self.sessions[session].slots.values() if bound is not None]

    # ---- internals

    def _command(self, name: str, *arguments: Any) -> None:
        if self._closed:
            raise EngineClosed("the engine was closed")
        if self.busy:
            self.busy -= 1
            raise EngineBusy("the command queue is full")
        self.commands.append((name, arguments))

    def _open(
        self,
        ticket: int,
        worker: int,
        session: int,
        offer: str,
        kind: str,
        direction: str,
        wanted: Sequence[str] = (),
    ) -> None:
        if session in self.sessions:
            self._fail(ticket, "duplicate", f"session {session} exists")
            return
        if len(self.sessions) >= self._max_sessions:
            self._fail(ticket, "too_many_sessions", f"{self._max_sessions} sessions are open")
            return
        try:
            sections = _parse(offer)
        except ValueError as error:
            self._fail(ticket, "bad_offer", str(error))
            return
        wrong = next((s for s in sections if s.direction != direction), None)
        if wrong is not None:
            self._fail(ticket, "bad_offer", f"mid {wrong.mid} is {wrong.direction}, {direction} expected")
            return
        for section in sections:
            section.codecs = [codec for codec in section.codecs if codec in _KNOWN_CODECS]
            if not section.codecs:
                self._fail(ticket, "no_codec", f"mid {section.mid} offers no codec this server knows")
                return
            # A stable sort: what is not wanted keeps the offer's order.
            rank = {codec: number for number, codec in enumerate(wanted)}
            section.codecs.sort(key=lambda codec: rank.get(codec, len(rank)))
        held = _Session(kind, worker, sections)
        if kind == "viewer":
            self._make_slots(held)
        self.sessions[session] = held
        self._answer(ticket, session, held)

    def _make_slots(self, session: _Session) -> None:
        pairs = max(sum(s.kind == kind for s in session.sections) for kind in _STATIC_TYPES)
        for number in range(pairs):
            session.slots.setdefault(number, None)

    def _answer(self, ticket: int, session: int, held: _Session) -> None:
        tracks = [(s.kind, s.codecs[0] if held.kind == "publisher" else "", s.mid) for s in held.sections]
        lines = ["v=0", f"s=answer {session}"]
        for section in held.sections:
            lines += [
                f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {_STATIC_TYPES.get(section.kind, 0)}",
                f"a=mid:{section.mid}",
            ]
        self._emit("answered", ticket, session, "\r\n".join([*lines, ""]), tracks)

    def _drop(self, session: int) -> bool:
        held = self.sessions.pop(session, None)
        if held is not None and held.kind == "publisher":
            for other in self.sessions.values():
                for number, bound in other.slots.items():
                    if bound == session:
                        other.slots[number] = None
        return held is not None

    def _fail(self, ticket: int, reason: str, detail: str) -> None:
        self._emit("failed", ticket, reason, detail)

    def _emit(self, *event: Any) -> None:
        if self._closed:
            return
        if self._held is not None and (not self._hold_kinds or event[0] in self._hold_kinds):
            self._held.append(event)
            return
        self._events.append(event)
        if not self._signalled:
            os.write(self._write_fd, b"\0")
            self._signalled = True


class FakeModule:
    """What ``import sanderling._engine`` would give; ``made`` lists the engines made through it."""

    def __init__(self) -> None:
        self.API = 1
        self.VERSION = "0"
        self.PROFILE = "release"
        self.EngineBusy: type[Exception] = EngineBusy
        self.EngineClosed: type[Exception] = EngineClosed
        self.made: list[Engine] = []

    def Engine(self, **arguments: Any) -> Engine:  # noqa: N802 - the extension's class has this name
        """Make an engine and remember it."""
        engine = Engine(**arguments)
        self.made.append(engine)
        return engine

"""The media extension (crates/py). Only ``sanderling.bridge`` imports it.

Commands return at once; what came of them arrives as an event that carries the command's ``ticket``.
All handles (``session``, ``stream``) are numbers that the caller chooses and never uses twice.
"""

from typing import Any, final

__all__ = [
    "API",
    "PROFILE",
    "VERSION",
    "Engine",
    "EngineBusy",
    "EngineClosed",
    "Load",
    "NullForwarder",
    "bench_event_cost",
    "bench_send_floor",
]

API: int
"""Raised with every incompatible change of this interface; the bridge refuses another one."""
VERSION: str
PROFILE: str
"""Cargo profile the extension was built with: "release" or "dev"."""

class EngineBusy(Exception):
    """The command queue of a worker is full; nothing was done."""

class EngineClosed(Exception):
    """The engine was closed."""

@final
class Engine:
    """Worker threads with their sockets. Made, they run; ``close()`` joins them."""

    def __new__(
        cls,
        *,
        workers: int = 1,
        listen: list[str] = ...,
        ports: tuple[int, int] = ...,
        advertise: list[str] = ...,
        consent_timeout_ms: int = 30_000,
        max_sessions: int = 20_000,
        portable: bool = False,
    ) -> Engine:
        """Bind one UDP and one TCP socket per worker and listen address, same port number, and start the threads.

        ``listen``: IP addresses ([] = every interface, IPv4 and IPv6 where there is IPv6). ``ports``: range to
        take ports from, inclusive; (0, 0) = any free ones. ``advertise``: addresses to put into candidates
        ([] = those of the interfaces, loopback included; link-local excluded).
        ``portable``: use the socket code that every system has instead of this one's (slower; for tests).
        OSError when no port is free, ValueError for bad arguments.
        """
    @property
    def workers(self) -> int: ...
    @property
    def candidates(self) -> list[list[str]]:
        """Per worker, its host candidates as ``"udp 192.0.2.1 40000"`` / ``"tcp …"``."""
    def wake_fd(self) -> int:
        """Descriptor that is readable while events wait (an eventfd; read by ``take_events``)."""
    def take_events(self, limit: int) -> list[tuple[Any, ...]]:
        """Up to ``limit`` waiting events, oldest first. The descriptor stays readable while more wait. Tuples:

        ("answered", ticket, session, sdp, tracks)        tracks: list of (kind, codec, mid); after open_*, offer
                                                          and offer_viewer, whose sdp is the offer
        ("bound", ticket, session, stream, slot, audio_mid, video_mid, tracks)   mids "" where there is none
        ("done", ticket)
        ("failed", ticket, reason, detail)                reason: see below; detail: a sentence
        ("connected", session)                            ICE and DTLS are up; media may flow
        ("closed", session, reason)                       the session ended by itself: "ice_timeout" (never
                                                          connected), "consent_expired", "dtls_failed", "peer_closed"
        ("track_started", stream, kind, codec)            first packet of a publisher's track
        ("flowing", session, stream, mid, kind, rtp_timestamp)  first packet of a binding was sent
        ("stats", session, dict)                          once a second per session that carries media, or was heard in
                                                          that second; "silent_ms" is the time since the peer was
                                                          heard by STUN with our password or media under our key
        ("snapshot", ticket, json)
        ("worker_failed", worker, detail)                 the worker's sessions are gone; it restarts empty
        ("log", level, target, message)                   "warning" or "error" from a worker, without IP addresses

        reasons of "failed": "bad_offer", "no_codec" (detail names codecs of both sides), "no_slot",
        "unknown_session", "unknown_stream", "duplicate", "too_many_sessions", "internal".
        """
    def open_publisher(
        self, ticket: int, worker: int, session: int, offer: str, codecs: list[str] = ...
    ) -> None:
        """Answer a send-only offer. The session number is also the stream's number for ``bind``.

        ``codecs``: names of video codecs ("VP8", "VP9", "AV1", "H264"), best first: the answer chooses the first of
        them that is offered, and the first of the offer when none is. ValueError for other names.
        """
    def open_viewer(self, ticket: int, worker: int, session: int, offer: str) -> None:
        """Answer a receive-only offer; every audio/video pair of media sections becomes a slot."""
    def offer_viewer(self, ticket: int, worker: int, session: int, stream: int) -> None:
        """Make a viewer by an offer of the engine's own: of ``stream``, whose publisher is on the same worker."""
    def accept(self, ticket: int, worker: int, session: int, answer: str) -> None:
        """The answer to the offer of ``offer_viewer``; "bad_offer" or "no_codec" when it cannot be used."""
    def offer(self, ticket: int, worker: int, session: int, offer: str) -> None:
        """A later offer of the same session (more slots, ICE restart)."""
    def bind(
        self, ticket: int, worker: int, session: int, stream: int, origin: int, audio: bool, video: bool
    ) -> None:
        """Bind ``stream`` (published on worker ``origin``) to a free slot of viewer ``session``."""
    def unbind(self, ticket: int, worker: int, session: int, stream: int) -> None:
        """Free the slot; sending stops at once."""
    def set_layer(self, ticket: int, worker: int, session: int, stream: int, choice: int) -> None:
        """Choose the simulcast layer that a viewer gets of a stream: 0 automatic, 1 lowest, 2 highest."""
    def set_delay(self, ticket: int, worker: int, session: int, stream: int, most_ms: int) -> None:
        """Ask a viewer to show a stream's pictures at most this late, up to 40950 ms: 0 as soon as complete."""
    def request_key_frame(self, worker: int, stream: int) -> None:
        """Ask a publisher for a key frame (merged and throttled)."""
    def close_session(self, ticket: int, worker: int, session: int) -> None:
        """Close a session; a publisher's bindings everywhere end with it."""
    def snapshot(self, ticket: int, worker: int) -> None:
        """Ask for the debug snapshot of one worker (JSON text)."""
    def counters(self) -> dict[str, int]:
        """Totals since start: packets_in/out, bytes_in/out, datagrams_dropped, sessions, bindings, events_waiting.

        Of datagrams_dropped, datagrams_late waited too long for a full socket and datagrams_refused belonged to no
        session or were not wanted by it. flushes: loop turns that sent forwarded packets over UDP; sends: system calls
        for it; trains: messages of several datagrams to one peer (UDP segmentation offload); gso: workers whose system
        takes trains. packets_out / flushes is the number of packets per flush.
        """
    def added_delay(self) -> dict[str, Any]:
        """How long the workers held datagrams, since start: ``{"bounds_us": [float, …], "counts": [int, …]}``.

        One count per send of forwarded packets: from the kernel's receive stamp of the oldest datagram of a loop turn
        to the return of the system call that sent what came of it. ``counts[i]`` were below ``bounds_us[i]`` and not
        below the one before; the last bound is infinite. Subtract two readings for the time between them.
        """
    def close(self) -> None:
        """Stop and join the threads, close the sockets and the descriptor. Idempotent."""

def bench_event_cost(events: int) -> float:
    """Nanoseconds per event for ``events`` events pushed from a native thread and taken in batches of 512."""

def bench_send_floor(
    addresses: list[str],
    *,
    size: int = 1200,
    per_flush: int = 1,
    seconds: float = 1.0,
    listen: str = "0.0.0.0",
    gso: bool = True,
) -> dict[str, float]:
    """Send ``size``-byte datagrams to ``addresses`` ("ip:port") with the workers' own socket code and nothing else.

    Each flush carries ``per_flush`` (1 to 64) to every address, as trains unless ``gso`` is false. Runs on the calling
    thread for ``seconds`` (at most 600), without the interpreter. Returns packets, dropped, bytes, flushes, sends,
    trains, gso (1 when trains were in use at the end), cpu_seconds (of this thread) and seconds. ValueError for bad
    arguments, OSError when no socket can be bound to ``listen``.
    """

@final
class NullForwarder:
    """A thread that sends each datagram it receives, unchanged, to every address: a forwarder with nothing to do.

    Reads, batches, sends and measures as a worker does. ``addresses`` are "ip:port", ``listen`` an IP address.
    ValueError for bad arguments, OSError when the socket or the thread cannot be made.
    """

    def __new__(cls, addresses: list[str], *, listen: str = "127.0.0.1") -> NullForwarder: ...
    @property
    def address(self) -> str:
        """Where to send, "ip:port"."""
    def report(self) -> dict[str, Any]:
        """So far: packets_in, packets_out, dropped, flushes, sends, trains, gso, cpu_seconds (of its thread) and
        added_delay as from ``Engine.added_delay``.
        """
    def close(self) -> dict[str, Any]:
        """Stop and join the thread; the last report. Idempotent."""

@final
class Load:
    """Load generator: real viewers and publishers (ICE, DTLS, SRTP, feedback) on native threads of their own.

    Signalling is the caller's: it carries offers and answers between this and any server. Times are nanoseconds of
    ``time.monotonic_ns()``; ``None`` is what has not happened. Every session takes a socket, i.e. a file descriptor.
    Methods raise ValueError for what the arguments or the session do not allow, with the remedy, OSError for what the
    system refuses, RuntimeError once closed or in a forked child. They wait for the session's thread, some
    microseconds.
    """

    def __new__(
        cls, *, threads: int = 1, listen: str = "127.0.0.1", seed: int = 0, loss: float = 0.0
    ) -> Load:
        """Start ``threads`` threads (1 to 64) for viewers and one for publishers.

        ``listen``: address that sockets are bound to and candidates name. ``seed``: of everything random; 0 = another
        one each time. ``loss``: share of media packets (0 to 1) that viewers throw away on arrival, before they count
        or acknowledge them: what a lossy last mile does.
        """
    def open_viewer(
        self, *, slots: int = 1, check: bool = False, audio: bool = True, video: bool = True
    ) -> tuple[int, str]:
        """A viewer and its offer: ``slots`` (1 to 128) receive-only sections of each kind, VP8, VP9, AV1, H264 with
        RTX and Opus, transport-cc, playout delay, the candidate inside.

        ``check``: open every packet, and check the pattern's bytes and order; others are opened until the second frame
        and after a loss until a key frame, and counted by their headers otherwise.
        """
    def accept_offer(self, offer: str, *, check: bool = False) -> tuple[int, str]:
        """A viewer that takes a server's offer, and its answer; it begins to connect at once."""
    def open_publisher(
        self, *, codec: str = "vp8", audio: bool = False, key_frames_on_request: bool = True
    ) -> tuple[int, str]:
        """A publisher and its offer. ``codec``: vp8, vp9, av1, h264. ``audio``: 50 packets of Opus a second from the
        connection on. ``key_frames_on_request``: whether the pattern makes a key frame when one is asked for.
        """
    def answer(self, session: int, sdp: str) -> None:
        """Take the server's answer, once, and begin to connect: ICE, then DTLS 1.2, whose certificate has to be the
        answer's.
        """
    def frame(self, publisher: int, data: bytes, rtp_timestamp: int, key_frame: bool) -> None:
        """Packetise an encoded frame and send it now, unpaced. ``rtp_timestamp``: 90 kHz, modulo 2^32. ``data``: VP8
        and VP9 frames, H264 with start codes, AV1 OBUs with sizes. ValueError until the publisher is connected.
        """
    def start_pattern(
        self,
        publisher: int,
        *,
        packets_per_second: int,
        packet_bytes: int = 1160,
        burst: int = 1,
        gop_packets: int = 500,
    ) -> None:
        """Send synthetic VP8 that ``check`` verifies byte for byte, from the connection on.

        ``burst`` packets (1 to 256) leave back to back and are one frame; ``packets_per_second`` counts packets.
        ``packet_bytes``: RTP payload, 38 to 1400. A key frame every ``gop_packets`` packets, and when asked for.
        """
    def start_recorded(
        self, publisher: int, *, height: int, pictures_per_second: float, gop_pictures: int = 250
    ) -> None:
        """Send the pattern in pictures as large as those of a recorded GOP of 250 (VP8, 360 or 540 lines, 25 a second
        when it was recorded), which is played at ``pictures_per_second``. A key frame of many packets every
        ``gop_pictures``, and when asked for; each picture leaves back to back.
        """
    @staticmethod
    def recorded_packets(height: int) -> list[int]:
        """Packets of each picture of the GOP recorded at ``height`` lines; the first is the key frame."""
    def stop_pattern(self, publisher: int) -> int:
        """Stop. Packets of the pattern that were sent, repairs not counted."""
    def publisher_report(self, publisher: int) -> dict[str, Any]:
        """connected, connected_ns, packets_sent (video, without repairs), bytes_sent, key_frame_requests (PLI and FIR),
        request_times_ns (the first 100 000), nacks (packets asked for again), repairs_sent, refused (of
        packets_sent, those that the system did not take), skipped (packets of the pattern more than 100 ms overdue,
        left out), ended (why the connection is over).
        """
    def viewer_report(self, viewer: int) -> dict[str, Any]:
        """opened_ns, connected_ns, first_packet_ns, first_key_frame_ns (whole), second_frame_ns (another whole frame),
        ended, the counts of ``report``, and streams: a list of dicts with ssrc, kind, codec, packets, lost, repaired
        and the three times of that source.
        """
    def report(self) -> dict[str, int]:
        """Counts over all viewers there ever were: packets (in their own right), bytes, lost (a gap that stayed open
        for 1 s), missing (a gap still open), repaired (by RTX), repeated, checked (opened and right), corrupted (not
        authentic, damaged or out of order), nacks_sent, key_frames_asked, dropped (thrown away by ``loss``). viewers
        and connected count open ones; refused counts datagrams that the system did not take from any session.

        What never came behind the last packet shows in no gap: compare ``packets + repaired`` with what was sent.
        """
    def take_frames(self, viewer: int) -> list[tuple[bytes, int, bool, int]]:
        """Whole video frames of a viewer with ``check`` since the last call, at most 4 096: (data, rtp_timestamp,
        key_frame, arrival_ns).
        """
    def close_session(self, session: int) -> None:
        """Say goodbye (DTLS close_notify) and forget the session; its counts stay in ``report``."""
    def close(self) -> None:
        """Say goodbye everywhere, stop and join the threads, close the sockets. Idempotent."""

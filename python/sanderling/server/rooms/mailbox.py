"""What a session is sent, counted, so that a client that comes back gets what it missed and nothing twice.

Both sides count the messages behind login_ok (docs/protocol.md section 3.4). What the client has not confirmed is kept,
by reference: a notice to a thousand members is one object in a thousand mailboxes.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["LONGEST_KEPT", "MOST_KEPT", "Mailbox", "Outbox"]

MOST_KEPT = 1000
"""Messages. More would not fit into a new connection's queue at once."""
LONGEST_KEPT = 512 * 1024
"""Bytes; five answers with many slots, or 90 s of a busy room's notices. Lower loses sessions of users who come back
late; higher costs that much for each who is away."""
MOST_BEHIND = 256
"""Messages waiting for a connection from which on best-effort ones are dropped; a quarter of what ends it."""


class Outbox(Protocol):
    """Where messages to one client go. Neither method blocks or raises."""

    def send(self, data: bytes) -> None:
        """Queue one encoded message."""

    def close(self, reason: str) -> None:
        """Close the connection once everything queued before has gone out."""

    @property
    def waiting(self) -> int:
        """Messages queued."""


class Mailbox:
    """Between a session and its present connection, if any. ``keep``: whether the session can be resumed."""

    __slots__ = ("_bytes", "_kept", "_outbox", "sent")

    def __init__(self, outbox: Outbox, *, keep: bool) -> None:
        self._outbox: Outbox | None = outbox
        self._kept: list[bytes] | None = [] if keep else None
        self._bytes = 0
        self.sent = 0
        """Messages sent so far, those that are counted."""

    @property
    def attached(self) -> bool:
        """Whether there is a connection."""
        return self._outbox is not None

    @property
    def kept_bytes(self) -> int:
        """What is kept until the client confirms it."""
        return self._bytes

    @property
    def behind(self) -> bool:
        """Whether best-effort messages are better not added: nobody is there, or does not keep up."""
        return self._outbox is None or self._outbox.waiting > MOST_BEHIND

    def send(self, data: bytes) -> None:
        """Send a message that counts."""
        self.sent += 1
        if self._kept is not None:
            self._kept.append(data)
            self._bytes += len(data)
            while len(self._kept) > MOST_KEPT or self._bytes > LONGEST_KEPT:
                self._bytes -= len(self._kept.pop(0))
        if self._outbox is not None:
            self._outbox.send(data)

    def send_uncounted(self, data: bytes) -> None:
        """Send what is lost with the connection."""
        if self._outbox is not None:
            self._outbox.send(data)

    def confirm(self, received: int) -> None:
        """The client has so many messages: those need not be kept. Numbers that cannot be are passed over."""
        if self._kept is None or received > self.sent:
            return
        had = max(0, received - (self.sent - len(self._kept)))
        self._bytes -= sum(map(len, self._kept[:had]))
        del self._kept[:had]

    def missed(self, received: int) -> list[bytes] | None:
        """What a client that has ``received`` messages lacks; None when that is not there any more."""
        if self._kept is None or not self.sent - len(self._kept) <= received <= self.sent:
            return None
        self.confirm(received)
        return list(self._kept)

    def attach(self, outbox: Outbox) -> None:
        """Messages go to this connection from now on."""
        self._outbox = outbox

    def detach(self) -> None:
        """There is no connection."""
        self._outbox = None

    def close(self, reason: str) -> None:
        """Close the connection, if any, behind what was sent."""
        if self._outbox is not None:
            self._outbox.close(reason)

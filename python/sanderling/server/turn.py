"""Time-limited credentials for an external TURN server (coturn's ``use-auth-secret``).

The server and coturn share a secret. User name: ``expiry:userID``; password: Base64 of the HMAC-SHA1 of the user name
under the secret (draft-uberti-behave-turn-rest-00, section 2.2). coturn checks both without asking anybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.reach import turn_urls
from sanderling.signaling.messages import IceServer

__all__ = ["TurnServers", "read_secret"]


def read_secret(file: str) -> str:
    """The secret in ``file``, without the line's end; 1000017 with a sentence when there is none."""
    try:
        secret = Path(file).expanduser().read_text().strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _wrong(file, f"cannot be read: {reason}") from None
    if not secret:
        raise _wrong(file, "is empty")
    return secret


def _wrong(file: str, why: str) -> SanderlingError:
    return SanderlingError(
        ErrorCode.ILLEGAL_PARAMETER,
        f"the file with the TURN secret, {file}, {why}",
        hint="--turn-secret-file FILE: one line, the same as coturn's static-auth-secret",
    )


class TurnServers:
    """Issues credentials. ``servers`` as in ``ServerConfig.turn``; ``ttl_s``: validity in seconds."""

    def __init__(self, servers: Sequence[str], secret: str, *, ttl_s: int) -> None:
        self._urls = tuple(url for server in servers for url in turn_urls(server))
        self._secret = secret.encode()
        self._ttl_s = ttl_s

    def __call__(self, user_id: str, now: float) -> tuple[IceServer, ...]:
        """What a client gets at its login; ``now`` in Unix seconds."""
        if not self._urls:
            return ()
        username = f"{int(now) + self._ttl_s}:{user_id}"
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        return (IceServer(self._urls, username, base64.b64encode(digest).decode()),)

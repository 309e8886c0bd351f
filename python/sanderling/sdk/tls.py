"""How the SDK makes sure that it speaks to the right server."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanderling.errors import ErrorCode, RoomError, SanderlingError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.datastructures import HeadersLike

__all__ = ["TLS", "explain", "make_context", "pinned_connection"]

_FINGERPRINT = re.compile(r"[0-9A-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """What to trust for ``wss://`` and ``https://`` servers; without it, the authorities that the system trusts.

    ``ca_file``: PEM file of the authority (or of a self-signed certificate) to trust instead of the system's.
    ``fingerprint``: SHA-256 of the server's certificate, as ``sanderling serve`` prints it; exactly that certificate
    is accepted, whatever name and authority stand in it, and nothing is sent before it was compared. With both, both
    must hold.
    """

    ca_file: str | os.PathLike[str] | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.fingerprint and not _FINGERPRINT.fullmatch(_plain(self.fingerprint)):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"the fingerprint {self.fingerprint!r} is no SHA-256: 64 hexadecimal digits, with or without colons",
                hint="copy it from what `sanderling serve` prints",
            )
        if not self.fingerprint and self.ca_file is None:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                "TLS without ca_file and fingerprint says nothing",
                hint="leave EngineProfile.tls away to trust what the system trusts",
            )


def _plain(fingerprint: str) -> str:
    return fingerprint.strip().upper().removeprefix("SHA256:").replace(":", "").replace(" ", "")


def _with_colons(plain: str) -> str:
    return ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))


def make_context(tls: TLS | None) -> ssl.SSLContext:
    """Settings for the handshake; reads files, so not on the event loop. 1000017 for a ``ca_file`` that is none."""
    if tls is None:
        return ssl.create_default_context()
    if tls.ca_file is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The fingerprint decides, before anything is sent (pinned_connection).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        reason = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"ca_file {os.fspath(tls.ca_file)} cannot be used: {reason}"
        ) from None


def pinned_connection(fingerprint: str) -> type[ClientConnection]:
    """A connection that compares the server's certificate with ``fingerprint`` before it sends its request."""
    from websockets.asyncio.client import ClientConnection

    wanted = _plain(fingerprint)

    class PinnedConnection(ClientConnection):
        async def handshake(
            self, additional_headers: HeadersLike | None = None, user_agent_header: str | None = None
        ) -> None:
            """Compare, then go on; 1002030 with both fingerprints when they differ."""
            certificate = self.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            found = hashlib.sha256(certificate or b"").hexdigest().upper()
            if found != wanted:
                self.transport.abort()
                raise RoomError(
                    ErrorCode.LOGIN_FAILED,
                    f"the server's certificate has the fingerprint {_with_colons(found)}, expected was"
                    f" {_with_colons(wanted)}; nothing was sent",
                    hint="compare with what the server prints at its start; somebody in between, or a new certificate",
                    context={"found": _with_colons(found), "expected": _with_colons(wanted)},
                )
            await super().handshake(additional_headers, user_agent_header)

    return PinnedConnection


def explain(error: ssl.SSLError) -> tuple[str, str]:
    """What went wrong in a TLS handshake, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or error.reason
        hint = "pass EngineProfile(tls=TLS(fingerprint=…)) with what the server prints, or TLS(ca_file=…)"
        return f"its certificate is not trusted: {why}", hint
    reason = str(error.reason or error).replace("_", " ").lower()
    return f"the encrypted connection failed: {reason}", "a server without TLS is at http:// or ws://"

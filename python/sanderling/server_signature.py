"""The signature of a call to the server API (product-facts 4.1): for the server, and for whoever calls it.

AppID, a nonce, the ServerSecret and the time are signed; the action and its parameters are not. Use HTTPS.
"""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["SIGNATURE_VERSION", "TOLERANCE_S", "new_nonce", "sign", "signed_parameters"]

SIGNATURE_VERSION = "2.0"
TOLERANCE_S = 600
"""How far the caller's clock may be off, in seconds."""


def new_nonce() -> str:
    """16 random hexadecimal characters."""
    return secrets.token_hex(8)


def sign(app_id: int, nonce: str, server_secret: str, timestamp: int) -> str:
    """The signature, as lower-case hexadecimal MD5. ``timestamp``: Unix seconds."""
    text = f"{app_id}{nonce}{server_secret}{timestamp}"
    # The product's scheme; MD5 hides the secret here and protects nothing else.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def signed_parameters(app_id: int, server_secret: str, *, now: float) -> dict[str, str]:
    """The parameters that every call carries beside its action. ``now``: Unix seconds."""
    nonce, timestamp = new_nonce(), int(now)
    return {
        "AppId": str(app_id),
        "SignatureNonce": nonce,
        "Timestamp": str(timestamp),
        "Signature": sign(app_id, nonce, server_secret, timestamp),
        "SignatureVersion": SIGNATURE_VERSION,
    }

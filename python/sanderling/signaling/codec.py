"""Bytes to messages and back, with limits. No message larger than ``MAX_MESSAGE_BYTES`` is decoded or sent."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.signaling.messages import ClientMessage, ServerMessage

__all__ = ["MAX_MESSAGE_BYTES", "REGION_HEADER", "decode_client", "decode_server", "encode"]

REGION_HEADER = "sanderling-region"
"""Header of the answer to the WebSocket's handshake that says where the server stands, when it does."""

MAX_MESSAGE_BYTES = 256 * 1024
"""Chromium's offer with 16 + 16 slots is 95 kB; double leaves room for the answer's SSRC lines."""

M = TypeVar("M")

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """Return ``message`` as UTF-8 JSON; 1000017 when it is larger than the protocol allows."""
    data = _encoder.encode(message)
    if len(data) > MAX_MESSAGE_BYTES:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"message of {len(data)} bytes, {MAX_MESSAGE_BYTES} allowed"
        )
    return data


def decode_client(data: bytes | str) -> ClientMessage:
    """Decode what a client sent; 1000017 for anything that is not a valid message."""
    return _decode(_client_decoder, data)


def decode_server(data: bytes | str) -> ServerMessage:
    """Decode what a server sent; 1000017 for anything that is not a valid message."""
    return _decode(_server_decoder, data)


def _decode(decoder: msgspec.json.Decoder[M], data: bytes | str) -> M:
    try:
        # Text counts as what it is on the wire; a lone surrogate has no such form.
        size = len(data.encode()) if isinstance(data, str) else len(data)
        if size > MAX_MESSAGE_BYTES:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"message of {size} bytes, {MAX_MESSAGE_BYTES} allowed"
            )
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"not a signalling message: {error}", hint="see docs/protocol.md"
        ) from None

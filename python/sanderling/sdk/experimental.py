"""Experimental calls: JSON in, JSON out, without a promise that they stay as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sanderling.errors import ErrorCode, SanderlingError

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["METHODS", "call"]

Rooms = Mapping[str, "Room"]
Values = dict[str, Any]


def call(text: str, rooms: Rooms) -> str:
    """Carry out ``{"method": …, "params": {…}}``; returns ``{"method": …, "result": {…}}``.

    1001091 for what is no such JSON, 1000017 for a method or parameters that there are not.
    """
    method, values = _read(text)
    if method not in METHODS:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"there is no experimental method {method!r}",
            hint=f"known: {', '.join(METHODS)}",
        )
    return json.dumps({"method": method, "result": METHODS[method](values, rooms)})


def _read(text: str) -> tuple[str, Values]:
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid(f"this is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("method"), str):
        raise _invalid("one JSON object with a method is expected")
    values = document.get("params", {})
    if not isinstance(values, dict):
        raise _invalid("params is a JSON object")
    return document["method"], values


def _invalid(message: str) -> SanderlingError:
    return SanderlingError(
        ErrorCode.EXPERIMENTAL_JSON_INVALID, message, hint='pass {"method": "get_version", "params": {}}'
    )


def _get_version(_values: Values, _rooms: Rooms) -> Values:
    """Versions of the SDK and of the protocol that it speaks."""
    from sanderling.sdk.session import SDK_VERSION
    from sanderling.signaling.messages import PROTOCOL_VERSION

    return {"sdk": SDK_VERSION, "protocol": PROTOCOL_VERSION}


def _list_methods(_values: Values, _rooms: Rooms) -> Values:
    return {"methods": list(METHODS)}


def _get_state(_values: Values, rooms: Rooms) -> Values:
    """What the engine is in, publishes and plays."""
    return {
        "rooms": [
            {
                "room_id": room.id,
                "state": room.state.name,
                "publishing": {p.stream_id: p.state.name for p in room.publishers.values()},
                "playing": {p.stream_id: p.state.name for p in room.players.values()},
            }
            for room in rooms.values()
        ]
    }


METHODS: dict[str, Callable[[Values, Rooms], Values]] = {
    "get_version": _get_version,
    "list_methods": _list_methods,
    "get_state": _get_state,
}

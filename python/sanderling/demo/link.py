"""The link that opens the debug page filled in and already playing."""

from __future__ import annotations

from urllib.parse import urlencode

__all__ = ["debug_link"]

L3 = 2
"""The web's number of the resource mode (product-facts 1.13)."""


def debug_link(url: str, *, app_id: int, room_id: str, user_id: str, token: str, mode: int = L3) -> str:
    """Address of the debug page of the server at ``url``, playing every stream of the room as ``user_id``.

    The token stands in the fragment, which browsers keep to themselves: it reaches no server's log.
    """
    query = urlencode({"appid": app_id, "room": room_id, "user": user_id, "mode": mode, "autoplay": 1})
    return f"{url.rstrip('/')}/debug/?{query}#{urlencode({'token': token})}"

"""Request headers of WHIP and WHEP as values; what cannot be read counts as absent or as no match."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sanderling.signaling.messages import IceServer

__all__ = ["ANY", "accepts", "bearer_token", "ice_server_links", "if_match", "matches", "media_type"]

ANY = "*"
"""If-Match: whatever the present state is."""

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE | re.ASCII)
_ENTITY_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*')


def media_type(content_type: str) -> str:
    """The type of a Content-Type without parameters, in lower case; "" when there is none."""
    return content_type.partition(";")[0].strip().lower()


def accepts(accept: str, kind: str) -> bool:
    """Whether an Accept lets the response be of this media type; "" lets everything (RFC 9110 section 12.5.1)."""
    best: tuple[int, float] | None = None
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name not in ("*/*", kind.partition("/")[0] + "/*", kind):
            continue
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            found = (2 if name == kind else int(name != "*/*"), float(quality))
        except ValueError:
            continue
        # The most precise range decides.
        best = found if best is None or found[0] > best[0] else best
    return best[1] > 0 if best is not None else not accept.strip()


def bearer_token(authorization: str) -> str:
    """The token of ``Authorization: Bearer …`` (RFC 6750 section 2.1); "" when there is none."""
    found = _BEARER.fullmatch(authorization.strip())
    return found[1] if found else ""


def if_match(value: str) -> frozenset[str]:
    """Strong entity tags of an If-Match, with their quotes, or :data:`ANY` alone (RFC 9110 section 13.1.1).

    A weak tag never matches in a strong comparison, and neither does what is no tag: both are left out.
    """
    # The RFC's own examples of WHIP put the star into quotes.
    if value.strip().strip('"') == ANY:
        return frozenset({ANY})
    # A tag may hold a comma, so the list is read tag by tag.
    tags: set[str] = set()
    at = 0
    while at < len(value):
        found = _ENTITY_TAG.match(value, at)
        if found is None:
            break
        if not found[1]:
            tags.add(found[2])
        at = found.end()
        if at < len(value) and value[at] != ",":
            break
        at += 1
    return frozenset(tags)


def matches(tags: frozenset[str], etag: str) -> bool:
    """Whether the condition holds for a resource whose present entity tag is ``etag``."""
    return ANY in tags or etag in tags


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ice_server_links(servers: Iterable[IceServer]) -> list[str]:
    """One Link value per TURN or STUN URL (RFC 9725 section 4.6)."""
    links = []
    for server in servers:
        for url in server.urls:
            link = f'<{url}>; rel="ice-server"'
            if url.startswith(("turn:", "turns:")):
                link += (
                    f"; username={_quoted(server.username)}; credential={_quoted(server.credential)}"
                    '; credential-type="password"'
                )
            links.append(link)
    return links

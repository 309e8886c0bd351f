"""The few edits of session descriptions that the engine has no switch for (RFC 8866 lines)."""

from __future__ import annotations

__all__ = ["has_codec", "with_fmtp"]


def _payload_types(sdp: str, codec: str) -> set[str]:
    wanted = codec.lower()
    types = set()
    for line in sdp.splitlines():
        if line.startswith("a=rtpmap:"):
            number, _, mapping = line[len("a=rtpmap:") :].partition(" ")
            if mapping.partition("/")[0].lower() == wanted:
                types.add(number)
    return types


def has_codec(sdp: str, codec: str) -> bool:
    """Whether any media section maps a payload type to ``codec``."""
    return bool(_payload_types(sdp, codec))


def with_fmtp(sdp: str, codec: str, parameters: dict[str, str]) -> str:
    """``sdp`` with ``parameters`` set for every payload type of ``codec``; others of it are kept.

    A payload type without an ``a=fmtp`` line gets one behind its ``a=rtpmap``. Bundled sections may use one payload
    type for the same codec, so numbers alone identify it.
    """
    types = _payload_types(sdp, codec)
    described = {
        line[len("a=fmtp:") :].partition(" ")[0] for line in sdp.splitlines() if line.startswith("a=fmtp:")
    }
    lines = []
    for line in sdp.splitlines():
        name, _, rest = line.partition(":")
        number, _, value = rest.partition(" ")
        if name == "a=fmtp" and number in types:
            pairs = dict(part.strip().partition("=")[::2] for part in value.split(";") if part.strip())
            line = _fmtp(number, {**pairs, **parameters})
        lines.append(line)
        if name == "a=rtpmap" and number in types - described:
            lines.append(_fmtp(number, parameters))
    return "\r\n".join(lines) + "\r\n"


def _fmtp(number: str, pairs: dict[str, str]) -> str:
    return f"a=fmtp:{number} " + ";".join(f"{key}={value}" if value else key for key, value in pairs.items())

"""Which video codec a publisher is answered with: the room's policy, as pure functions of SDP offers.

VP8, which every client decodes, unless every member can decode what the publisher would rather send. A project may fix
the codec instead. Somebody who comes later and cannot decode it is told so by the play (1004080).
"""

from __future__ import annotations

from collections.abc import Iterable

from sanderling.errors import ErrorCode, PublishError

__all__ = ["AUTOMATIC", "choose_codecs", "video_codecs"]

AUTOMATIC = "auto"
"""The project setting ``video_codec`` that leaves the choice to the room."""
COMMON = "VP8"
PASSED_ON = {name.lower(): name for name in ("VP8", "VP9", "AV1", "H264")}


def video_codecs(offer: str) -> tuple[str, ...]:
    """Names of the codecs of an offer's first video section that pass through the server, best first.

    H.264 counts in packetization mode 1 alone, the only one the server takes (RFC 6184 section 6.3).
    """
    order: list[str] = []
    names: dict[str, str] = {}
    whole: set[str] = set()
    for line in _first_video_section(offer):
        if line.startswith("m="):
            order = line.split()[3:]
            continue
        attribute, _, value = line.partition(":")
        number, _, rest = value.partition(" ")
        if attribute == "a=rtpmap":
            names[number] = PASSED_ON.get(rest.partition("/")[0].lower(), "")
        elif attribute == "a=fmtp" and "packetization-mode=1" in rest.replace(" ", "").split(";"):
            whole.add(number)
    taken = (names.get(n, "") for n in order if names.get(n) != "H264" or n in whole)
    return tuple(dict.fromkeys(name for name in taken if name))


def _first_video_section(offer: str) -> Iterable[str]:
    begin = offer.find("\nm=video ")
    if begin < 0:
        return ()
    end = offer.find("\nm=", begin + 1)
    return offer[begin + 1 : end if end > 0 else len(offer)].splitlines()


def choose_codecs(
    offered: tuple[str, ...], decoders: Iterable[frozenset[str]], *, fixed: str = AUTOMATIC
) -> tuple[str, ...]:
    """Return the codecs that the answer is to choose from, best first; () leaves it to the offer.

    Parameters: ``offered`` the publisher's, best first; ``decoders`` what each member with a viewer transport decodes;
    ``fixed`` the project's codec. 1003080 when the publisher does not offer the project's.
    """
    if not offered:
        return ()
    if fixed != AUTOMATIC:
        if fixed not in offered:
            raise PublishError(
                ErrorCode.ENCODER_UNSUPPORTED,
                f"the project's video codec is {fixed}, offered is {', '.join(offered)}",
                hint=f"publish {fixed}, or `sanderling project set --setting video_codec={AUTOMATIC}`",
            )
        return (fixed,)
    rather, everybody = offered[0], list(decoders)
    if rather == COMMON or all(rather in decoder for decoder in everybody):
        return (rather,)
    if COMMON in offered:
        return (COMMON,)
    return tuple(name for name in offered if all(name in decoder for decoder in everybody)) or (rather,)

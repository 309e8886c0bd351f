"""Which offers WHIP and WHEP take, as pure functions (RFC 9725 section 4.4 and draft-ietf-wish-whep)."""

from __future__ import annotations

from http import HTTPStatus

from sanderling.enums import ResourceMode
from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.http.media_sessions import SessionKind
from sanderling.server.http.problem import RequestRefused
from sanderling.server.http.sdp import Description, SdpError, read_description

__all__ = ["check_offer", "kinds_of", "read_mode"]

_TAKEN = {SessionKind.WHIP: ("sendonly", "sendrecv"), SessionKind.WHEP: ("recvonly", "sendrecv")}
_MODES = {
    "default": ResourceMode.DEFAULT,
    "rtc": ResourceMode.ONLY_RTC,
    "l3": ResourceMode.ONLY_L3,
}


def check_offer(kind: SessionKind, text: str) -> Description:
    """Read an offer: 400 when it is no SDP, 422 when it is one that this protocol does not take."""
    try:
        offer = read_description(text)
    except SdpError as error:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST,
            f"the body is not an SDP offer: {error}",
            hint="POST the offer of a peer connection, unchanged",
        ) from None
    taken = _TAKEN[kind]
    media = [section for section in offer.sections if not section.disabled]
    for track in ("audio", "video"):
        if sum(section.kind == track for section in media) > 1:
            raise _unprocessable(
                f"the offer has more than one {track} section",
                "offer one stream: one audio and one video track",
            )
    wrong = next((s for s in media if s.kind in ("audio", "video") and s.direction not in taken), None)
    if wrong is not None:
        raise _unprocessable(
            f"the {wrong.kind} section is a={wrong.direction}",
            f"{kind.name} takes a={taken[0]} or a={taken[1]}",
        )
    if not kinds_of(offer):
        raise _unprocessable(
            "the offer has neither audio nor video", "add a transceiver before making the offer"
        )
    if offer.ice_lite:
        raise _unprocessable("the offer is a=ice-lite", "the server is ICE-lite; the client runs the checks")
    if "passive" in offer.setups:
        raise _unprocessable(
            "the offer is a=setup:passive",
            "the server is the DTLS server: offer actpass or active (ffmpeg: -whip_flags dtls_active)",
        )
    return offer


def kinds_of(offer: Description) -> frozenset[str]:
    """Which of "audio" and "video" the offer has."""
    return frozenset(kind for kind in ("audio", "video") if offer.media(kind))


def read_mode(value: str | None) -> ResourceMode:
    """``?mode=`` of WHEP; the project's policy decides when there is none."""
    mode = _MODES.get((value or "default").lower())
    if mode is None:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, "the mode does not exist", hint=f"mode is one of {', '.join(_MODES)}"
        )
    return mode


def _unprocessable(message: str, hint: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, message, hint=hint)

"""What a failed request gets: a status, and a body of RFC 9457 with the product's code and the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from sanderling.errors import ErrorCode, RateLimited, SanderlingError

__all__ = ["PROBLEM_TYPE", "RequestRefused", "challenge_for", "problem", "status_of"]

PROBLEM_TYPE = "application/problem+json"
REALM = "sanderling"
RETRY_AFTER_S = 2
"""Seconds after which a full or restarting server, or one where a stream is not live yet, may be asked again. Lower:
more requests that fail again."""

_STATUS: Mapping[ErrorCode, HTTPStatus] = {
    ErrorCode.ILLEGAL_PARAMETER: HTTPStatus.BAD_REQUEST,
    ErrorCode.STREAM_ID_TOO_LONG: HTTPStatus.BAD_REQUEST,
    ErrorCode.STREAM_ID_EMPTY: HTTPStatus.BAD_REQUEST,
    ErrorCode.STREAM_ID_INVALID_CHARACTER: HTTPStatus.BAD_REQUEST,
    ErrorCode.ROOM_ID_EMPTY: HTTPStatus.BAD_REQUEST,
    ErrorCode.ROOM_ID_INVALID_CHARACTER: HTTPStatus.BAD_REQUEST,
    ErrorCode.ROOM_ID_TOO_LONG: HTTPStatus.BAD_REQUEST,
    ErrorCode.USER_ID_INVALID_CHARACTER: HTTPStatus.BAD_REQUEST,
    ErrorCode.USER_ID_TOO_LONG: HTTPStatus.BAD_REQUEST,
    ErrorCode.NOT_INSTALLED: HTTPStatus.NOT_IMPLEMENTED,
    # The AppID is a part of the URL: without the project there is no such endpoint.
    ErrorCode.APP_ID_ZERO: HTTPStatus.NOT_FOUND,
    ErrorCode.APP_ID_INCORRECT: HTTPStatus.NOT_FOUND,
    ErrorCode.AUTHENTICATION_FAILED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_MISSING: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_INTERNAL_ERROR: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_PAYLOAD_NOT_JSON: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_APP_ID_MISMATCH: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_USER_ID_MISMATCH: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_EXPIRED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_VERSION_WRONG: HTTPStatus.UNAUTHORIZED,
    ErrorCode.TOKEN_NONCE_WRONG: HTTPStatus.UNAUTHORIZED,
    ErrorCode.NOT_LOGGED_IN: HTTPStatus.CONFLICT,
    ErrorCode.ROOM_FULL: HTTPStatus.CONFLICT,
    ErrorCode.SESSION_ERROR: HTTPStatus.CONFLICT,
    ErrorCode.CHANNEL_ALREADY_PUBLISHING: HTTPStatus.CONFLICT,
    ErrorCode.STREAM_ID_EXISTS: HTTPStatus.CONFLICT,
    ErrorCode.TOO_MANY_PLAYS: HTTPStatus.CONFLICT,
    ErrorCode.RATE_LIMITED_APP: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.RATE_LIMITED_ROOM: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.RATE_LIMITED_SIGNALLING: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_ROOMS_OF_PROJECT: HTTPStatus.CONFLICT,
    ErrorCode.ACCESS_DENIED: HTTPStatus.FORBIDDEN,
    ErrorCode.PROJECT_OFFLINE: HTTPStatus.FORBIDDEN,
    ErrorCode.USER_BANNED: HTTPStatus.FORBIDDEN,
    ErrorCode.PUBLISH_FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.PUBLISH_NOT_AUTHORIZED: HTTPStatus.FORBIDDEN,
    ErrorCode.PLAY_NOT_AUTHORIZED: HTTPStatus.FORBIDDEN,
    ErrorCode.PLAY_FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.L3_NOT_ENABLED: HTTPStatus.FORBIDDEN,
    # draft-ietf-wish-whep section 4.2: a stream that is not live is a 409 that says when to ask again.
    ErrorCode.STREAM_NOT_FOUND: HTTPStatus.CONFLICT,
    ErrorCode.CONNECTION_LOST: HTTPStatus.SERVICE_UNAVAILABLE,
    # The body names the codecs of both sides; a counter-offer of WHEP is a 406 too, with a body of application/sdp.
    ErrorCode.ENCODER_UNSUPPORTED: HTTPStatus.NOT_ACCEPTABLE,
    ErrorCode.DECODER_UNSUPPORTED: HTTPStatus.NOT_ACCEPTABLE,
}

_MEDIA_STATUS: Mapping[str, HTTPStatus] = {
    "bad_offer": HTTPStatus.BAD_REQUEST,
    "busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_sessions": HTTPStatus.SERVICE_UNAVAILABLE,
    "closed": HTTPStatus.SERVICE_UNAVAILABLE,
    "worker_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "unknown_session": HTTPStatus.CONFLICT,
    # It ended while it was made; trying again is all there is to do.
    "": HTTPStatus.SERVICE_UNAVAILABLE,
}
_OF_MEDIA = frozenset({ErrorCode.LOGIN_FAILED, ErrorCode.PUBLISH_FAILED, ErrorCode.PLAY_FAILED})


class RequestRefused(SanderlingError):
    """A request that is refused for what it is as an HTTP request; ``status`` and ``headers`` go with it."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        code: ErrorCode = ErrorCode.ILLEGAL_PARAMETER,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


def status_of(error: SanderlingError) -> HTTPStatus:
    """The status that says the same as the product's code."""
    if isinstance(error, RequestRefused):
        return error.status
    if error.context.get("step") == "privilege":
        # The token is good, but not for this.
        return HTTPStatus.FORBIDDEN
    if error.code in _OF_MEDIA:
        return _MEDIA_STATUS.get(error.context.get("reason", ""), HTTPStatus.INTERNAL_SERVER_ERROR)
    return _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)


def challenge_for(error: SanderlingError) -> str:
    """WWW-Authenticate of a 401 (RFC 6750 section 3): without an error when no token was sent at all."""
    challenge = f'Bearer realm="{REALM}"'
    if error.code is ErrorCode.TOKEN_MISSING:
        return challenge
    return f'{challenge}, error="invalid_token", error_description="{int(error.code)}"'


def problem(error: SanderlingError, *, headers: Mapping[str, str]) -> Response:
    """The response to a failed request. ``headers`` come on top of those the failure needs."""
    status = status_of(error)
    body = {
        # RFC 9457 section 4.2.1: the title is the status' own, what matters stands in the fields after it.
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": error.message,
        "code": int(error.code),
        "name": error.code.name,
        "remedy": error.hint,
        "docs": error.docs,
    }
    response = Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM_TYPE)
    response.headers.update(headers)
    response.headers["cache-control"] = "no-store"
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = challenge_for(error)
    if isinstance(error, RateLimited):
        response.headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    elif status is HTTPStatus.SERVICE_UNAVAILABLE or error.code is ErrorCode.STREAM_NOT_FOUND:
        response.headers["retry-after"] = str(RETRY_AFTER_S)
    if isinstance(error, RequestRefused):
        response.headers.update(error.headers)
    return response

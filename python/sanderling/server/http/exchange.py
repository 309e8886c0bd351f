"""What WHIP and WHEP have in common over HTTP: reading requests, conditions, CORS, sessions' PATCH and DELETE.

The status codes are those of RFC 9725 section 4 and draft-ietf-wish-whep; docs/reference/http.md lists them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from email.utils import formatdate
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import quote

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, PlayError, RateLimited, SanderlingError
from sanderling.server.http.headers import bearer_token, ice_server_links, if_match, matches, media_type
from sanderling.server.http.media_sessions import MediaSession, MediaSessions, SessionKind, Started, Target
from sanderling.server.http.problem import RequestRefused, problem
from sanderling.server.http.sdp import SdpError, read_description
from sanderling.server.http.sdp_fragment import read_fragment, write_fragment
from sanderling.server.lifecycle import Services
from sanderling.server.proxy import origin_of
from sanderling.server.source_limits import source_of
from sanderling.signaling.codec import MAX_MESSAGE_BYTES

__all__ = [
    "ENDPOINT_METHODS",
    "FRAGMENT",
    "SDP",
    "SESSION_METHODS",
    "Locate",
    "OtherMethods",
    "answering",
    "check_rate",
    "created",
    "delete_session",
    "describe",
    "elsewhere",
    "here",
    "media_sessions",
    "options",
    "origin",
    "patch_session",
    "read_offer",
    "session_or_404",
    "token_of",
]

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

MAX_FRAGMENT_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10.0
"""How long a body may take. Lower cuts off clients on terrible links; higher lets idle requests hold memory."""
PREFLIGHT_AGE_S = 86_400
_RECEIVES = frozenset({"recvonly", "sendrecv"})

ENDPOINT_METHODS = "POST, GET, HEAD, OPTIONS"
SESSION_METHODS = "PATCH, DELETE, GET, HEAD, OPTIONS"

# Browsers: pages of every origin may ask, credentials travel in a header that the page itself sets.
CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Location, ETag, Link, Accept-Patch, Expires, Retry-After, WWW-Authenticate",
}

P = ParamSpec("P")
Handler = Callable[Concatenate[Request, P], Awaitable[Response]]

Locate = Callable[[SessionKind, Target], Awaitable[str]]
"""Tells which node a session belongs on: its base URL, "" for this one."""

log = structlog.get_logger("http")


async def here(_kind: SessionKind, _target: Target) -> str:
    """Every session belongs on this node: the one answer of a node alone."""
    return ""


def media_sessions(request: Request) -> MediaSessions:
    """The table of sessions of the application."""
    return cast(MediaSessions, request.app.state.media_sessions)


def answering(handler: Handler[P]) -> Callable[Concatenate[Request, P], Coroutine[Any, Any, Response]]:
    """Turn what a handler raises into a problem, and give every response the headers that pages need."""

    @wraps(handler)
    async def answer(request: Request, *arguments: P.args, **named: P.kwargs) -> Response:
        try:
            response = await handler(request, *arguments, **named)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except SanderlingError as error:
            media_sessions(request).count_error(error)
            return problem(error, headers=CORS)
        except Exception:
            log.exception("request_failed", method=request.method)
            unexpected = SanderlingError(
                ErrorCode.INTERNAL_ERROR, "the server failed to carry out the request; it was logged"
            )
            return problem(unexpected, headers=CORS)
        response.headers.update(CORS)
        return response

    # FastAPI passes the parts of the path, and the request too, by name.
    return cast(Callable[Concatenate[Request, P], Coroutine[Any, Any, Response]], answer)


# ----------------------------------------------------------------------------------------------- reading


async def _body(request: Request, expected: str, limit: int) -> str:
    if media_type(request.headers.get("content-type", "")) != expected:
        accept = "accept-post" if request.method == "POST" else "accept-patch"
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body must be {expected}",
            hint=f"Content-Type: {expected}",
            headers={accept: expected},
        )
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    # What is left unread cannot be told from a next request.
                    raise RequestRefused(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                        f"the body is longer than {limit} bytes",
                        headers={"connection": "close"},
                    )
                parts.append(part)
    except TimeoutError:
        raise RequestRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {BODY_TIMEOUT_S:g} s",
            headers={"connection": "close"},
        ) from None
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body is not UTF-8 text") from None


async def read_offer(request: Request) -> str:
    """The body of a POST; 415, 413, 408 or 400 when it cannot be an offer, 503 when the server goes down."""
    if cast(Services, request.app.state.services).draining:
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the server is shutting down",
            code=ErrorCode.CONNECTION_LOST,
            hint="try again later",
        )
    return await _body(request, SDP, MAX_MESSAGE_BYTES)


def token_of(request: Request) -> str:
    """The bearer token of a request, "" without one."""
    return bearer_token(request.headers.get("authorization", ""))


def origin(request: Request) -> str:
    """Where a request comes from, for the eyes of the other session of the same user."""
    return origin_of(request.scope.get("client"))


# --------------------------------------------------------------------------------------------- endpoints


def check_rate(request: Request) -> None:
    """Count a POST of its source, before anything is read or looked up for it; 429 when there were too many."""
    posts = cast(Services, request.app.state.services).sources.posts
    wait = posts.take(source_of(request.scope.get("client")), time.monotonic())
    if wait > 0:
        raise RateLimited(
            ErrorCode.RATE_LIMITED_SIGNALLING,
            f"more than {posts.rate:g} POSTs a second from one address",
            retry_after=wait,
            hint="try again after Retry-After; the setting is posts_per_s",
        )


async def elsewhere(request: Request, kind: SessionKind, target: Target) -> Response | None:
    """A redirect when another node is to hold the session (RFC 9725 section 4.5), else None."""
    locate = cast(Locate, request.app.state.locate)
    base = await locate(kind, target)
    if not base:
        return None
    path = f"/{kind.value}/{target.app_id}/{quote(target.room_id, safe='')}/{target.stream_id}"
    query = f"?{request.url.query}" if request.url.query else ""
    # 307 and not 302: the method and the body go along.
    return Response(
        status_code=HTTPStatus.TEMPORARY_REDIRECT, headers={"location": base.rstrip("/") + path + query}
    )


def created(request: Request, started: Started) -> Response:
    """201 with everything a client has to know of its new session; 406 when it has to answer a counter-offer first."""
    session = started.session
    root = str(request.scope.get("root_path", ""))
    counter_offer = session.counter_offer
    if counter_offer is None:
        response = Response(started.sdp, status_code=HTTPStatus.CREATED, media_type=SDP)
        response.headers["accept-patch"] = FRAGMENT
    else:
        expires = formatdate(counter_offer.valid_until, usegmt=True)
        # draft-ietf-wish-whep-03 section 4.3.2; Expires is for players of the drafts before it.
        response = Response(started.sdp, status_code=HTTPStatus.NOT_ACCEPTABLE)
        response.headers["content-type"] = f'{SDP}; valid-until="{expires}"'
        response.headers["expires"] = expires
        response.headers["accept-patch"] = SDP
    # Without scheme and host: a client resolves it against the URL it used, which a proxy may have changed.
    response.headers["location"] = f"{root}/{session.kind.value}/sessions/{session.id}"
    response.headers["etag"] = session.etag
    response.headers["cache-control"] = "no-store"
    for link in ice_server_links(started.ice_servers):
        response.headers.append("link", link)
    return response


def options(methods: str, **headers: str) -> Response:
    """Answer of OPTIONS, a browser's preflight included; TURN credentials are for those who have a token."""
    return Response(
        status_code=HTTPStatus.OK,
        headers={
            "allow": methods,
            "access-control-allow-methods": methods,
            "access-control-allow-headers": "Authorization, Content-Type, If-Match",
            "access-control-max-age": str(PREFLIGHT_AGE_S),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )


def describe() -> Response:
    """GET and HEAD: there is nothing to show (RFC 9725 section 4.1)."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


# ---------------------------------------------------------------------------------------------- sessions


async def session_or_404(request: Request, kind: SessionKind, session_id: str) -> MediaSession:
    """The session of an URL; 404 when it never was or is over, 401 and 403 for those it does not belong to."""
    session = media_sessions(request).find(kind, session_id)
    if session is None:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND,
            "there is no such session (any more)",
            code=ErrorCode.SESSION_ERROR,
            hint="begin a new one with a POST to the endpoint",
        )
    await media_sessions(request).authorize(session, token_of(request))
    return session


async def delete_session(request: Request, kind: SessionKind, session_id: str) -> Response:
    """End a session. Entity tags do not matter here (RFC 9725 section 4.3.1)."""
    session = await session_or_404(request, kind, session_id)
    async with session.lock:
        await media_sessions(request).end(session, StreamDeleteReason.PUBLISHER_STOPPED)
    return Response(status_code=HTTPStatus.OK)


async def patch_session(request: Request, kind: SessionKind, session_id: str) -> Response:
    """Trickle ICE: 204. ICE restart: 200 with the server's new credentials and entity tag.

    While a counter-offer waits, the only thing to send is the answer to it: 204.
    """
    table = media_sessions(request)
    session = await session_or_404(request, kind, session_id)
    wait = table.patch_wait(session)
    if wait > 0:
        raise RateLimited(
            ErrorCode.RATE_LIMITED_SIGNALLING,
            "too many PATCH requests for one session",
            retry_after=wait,
            hint="send candidates together",
        )
    if session.counter_offer is not None:
        return await _accept(request, session)
    body = await _body(request, FRAGMENT, MAX_FRAGMENT_BYTES)
    condition = request.headers.get("if-match")
    if condition is None:
        raise RequestRefused(
            HTTPStatus.PRECONDITION_REQUIRED,
            "a PATCH needs If-Match",
            hint='the ETag of the ICE session to trickle, "*" to restart ICE',
        )
    try:
        fragment = read_fragment(body)
    except SdpError as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"the body is not an SDP fragment: {error}") from None
    async with session.lock:
        if session.ended:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND,
                "the session is over",
                code=ErrorCode.SESSION_ERROR,
                hint="begin a new one",
            )
        if not matches(if_match(condition), session.etag):
            raise RequestRefused(
                HTTPStatus.PRECONDITION_FAILED,
                "If-Match names another ICE session than the present one",
                hint="use the ETag of the last 201 or 200",
            )
        if fragment.credentials is None or fragment.credentials == session.remote:
            # The server is ICE-lite: it answers the client's checks wherever they come from, and makes none.
            return Response(status_code=HTTPStatus.NO_CONTENT)
        answer = await table.restart(session, fragment.credentials)
        return Response(
            write_fragment(answer),
            status_code=HTTPStatus.OK,
            media_type=FRAGMENT,
            headers={"etag": session.etag, "cache-control": "no-store"},
        )


async def _accept(request: Request, session: MediaSession) -> Response:
    """The answer to a counter-offer: 204, else 400 for what is no SDP, 422 and 406 for one that cannot be used."""
    answer = await _body(request, SDP, MAX_MESSAGE_BYTES)
    try:
        description = read_description(answer)
    except SdpError as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"the body is not an SDP answer: {error}") from None
    receives = {s.kind for s in description.sections if not s.disabled and s.direction in _RECEIVES}
    async with session.lock:
        if session.ended or session.counter_offer is None:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND if session.ended else HTTPStatus.CONFLICT,
                "the session is over" if session.ended else "the counter-offer was answered already",
                code=ErrorCode.SESSION_ERROR,
                hint="begin a new one",
            )
        try:
            await media_sessions(request).accept(session, answer, frozenset(receives))
        except PlayError as error:
            if error.context.get("reason") != "bad_offer":
                raise
            raise RequestRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                error.message,
                code=error.code,
                hint="answer as a=setup:active and a=recvonly; begin a new session with a POST",
            ) from None
    headers = {"etag": session.etag, "accept-patch": FRAGMENT}
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


@dataclass(frozen=True, slots=True)
class OtherMethods:
    """ASGI application for methods that a resource does not have: 405 that names those it has."""

    methods: str

    @classmethod
    def route(cls, path: str, methods: str) -> Route:
        """A route for ``path`` that takes every method; it stands after those of the methods there are."""
        return Route(path, cast(Any, cls(methods)), include_in_schema=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse one request."""
        request = Request(scope, receive)

        @answering
        async def refuse(request: Request) -> Response:
            raise RequestRefused(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method[:20]} is not a method of this resource",
                hint=f"it has {self.methods}",
                headers={"allow": self.methods},
            )

        response = await refuse(request)
        await response(scope, receive, send)

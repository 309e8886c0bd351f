"""The routes that WHIP and WHEP have alike: everything but the POST that begins a session."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sanderling.server.http.exchange import (
    ENDPOINT_METHODS,
    FRAGMENT,
    SDP,
    SESSION_METHODS,
    OtherMethods,
    answering,
    delete_session,
    describe,
    options,
    patch_session,
    session_or_404,
)
from sanderling.server.http.media_sessions import SessionKind
from sanderling.server.http.schema import DELETE, DESCRIBE, OPTIONS, PATCH, WHEP_PATCH

__all__ = ["add_resources"]


def add_resources(router: APIRouter, kind: SessionKind, endpoint: str) -> None:
    """Add the endpoint's other methods and those of sessions; call it after the POST was added."""
    session = f"/{kind.value}/sessions/{{session_id}}"

    @router.options(endpoint, **OPTIONS)
    @answering
    async def endpoint_options(request: Request, app_id: str, room_id: str, stream_id: str) -> Response:
        """What the endpoint takes; also a browser's preflight."""
        return options(ENDPOINT_METHODS, accept_post=SDP)

    @router.get(endpoint, status_code=204, **DESCRIBE)
    @router.head(endpoint, status_code=204, include_in_schema=False)
    @answering
    async def endpoint_description(request: Request, app_id: str, room_id: str, stream_id: str) -> Response:
        """Nothing: an endpoint has no representation."""
        return describe()

    @router.patch(session, **(WHEP_PATCH if kind is SessionKind.WHEP else PATCH))
    @answering
    async def session_patch(request: Request, session_id: str) -> Response:
        """Add ICE candidates or restart ICE; answer a counter-offer."""
        return await patch_session(request, kind, session_id)

    @router.delete(session, **DELETE)
    @answering
    async def session_delete(request: Request, session_id: str) -> Response:
        """End the session."""
        return await delete_session(request, kind, session_id)

    @router.options(session, **OPTIONS)
    @answering
    async def session_options(request: Request, session_id: str) -> Response:
        """What a session takes; also a browser's preflight."""
        return options(SESSION_METHODS, accept_patch=FRAGMENT)

    @router.get(session, status_code=204, **DESCRIBE)
    @router.head(session, status_code=204, include_in_schema=False)
    @answering
    async def session_description(request: Request, session_id: str) -> Response:
        """Nothing, as long as the session goes on."""
        await session_or_404(request, kind, session_id)
        return describe()

    router.routes.append(OtherMethods.route(endpoint, ENDPOINT_METHODS))
    router.routes.append(OtherMethods.route(session, SESSION_METHODS))

"""WHIP (RFC 9725): publish a stream with one POST.

Endpoint ``/whip/{app_id}/{room_id}/{stream_id}``, session ``/whip/sessions/{session}``. The bearer token is a Token04;
its user is who publishes. The stream is a member's stream like any other: the room hears of it, everybody may play it.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sanderling.server.http.exchange import (
    answering,
    check_rate,
    created,
    elsewhere,
    media_sessions,
    origin,
    read_offer,
    token_of,
)
from sanderling.server.http.media_sessions import SessionKind, Target
from sanderling.server.http.offers import check_offer
from sanderling.server.http.resources import add_resources
from sanderling.server.http.schema import BEGIN

__all__ = ["router"]

ENDPOINT = "/whip/{app_id}/{room_id}/{stream_id}"

router = APIRouter(tags=["WHIP"], default_response_class=Response)


@router.post(ENDPOINT, status_code=201, **BEGIN)
@answering
async def publish(request: Request, app_id: str, room_id: str, stream_id: str) -> Response:
    """Publish a stream: the body is the offer, the answer comes back."""
    check_rate(request)
    target = Target.parse(app_id, room_id, stream_id)
    redirect = await elsewhere(request, SessionKind.WHIP, target)
    if redirect is not None:
        return redirect
    table = media_sessions(request)
    caller = await table.authenticate(target, token_of(request), origin(request))
    offer = await read_offer(request)
    check_offer(SessionKind.WHIP, offer)
    return created(request, await table.publish(target, caller, offer))


add_resources(router, SessionKind.WHIP, ENDPOINT)

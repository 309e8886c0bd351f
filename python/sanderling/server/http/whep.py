"""WHEP (draft-ietf-wish-whep): play a stream with one POST.

Endpoint ``/whep/{app_id}/{room_id}/{stream_id}``, session ``/whep/sessions/{session}``. The bearer token is a Token04;
its user is who plays. One session plays one stream. It ends with the stream; a stream that is not there yet is a 404,
nothing waits for it. ``?mode=`` is default, rtc or l3, with the project's policy for default.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sanderling.server.http.exchange import (
    SDP,
    answering,
    check_rate,
    created,
    elsewhere,
    media_sessions,
    origin,
    read_offer,
    token_of,
)
from sanderling.server.http.headers import accepts
from sanderling.server.http.media_sessions import SessionKind, Target
from sanderling.server.http.offers import check_offer, kinds_of, read_mode
from sanderling.server.http.resources import add_resources
from sanderling.server.http.schema import WHEP_BEGIN

__all__ = ["router"]

ENDPOINT = "/whep/{app_id}/{room_id}/{stream_id}"

router = APIRouter(tags=["WHEP"], default_response_class=Response)


@router.post(ENDPOINT, status_code=201, **WHEP_BEGIN)
@answering
async def play(request: Request, app_id: str, room_id: str, stream_id: str) -> Response:
    """Play a stream: the body is the offer, the answer comes back; with 406 the server's own offer."""
    check_rate(request)
    target = Target.parse(app_id, room_id, stream_id)
    redirect = await elsewhere(request, SessionKind.WHEP, target)
    if redirect is not None:
        return redirect
    table = media_sessions(request)
    caller = await table.authenticate(target, token_of(request), origin(request))
    mode = read_mode(request.query_params.get("mode"))
    offer = await read_offer(request)
    kinds = kinds_of(check_offer(SessionKind.WHEP, offer))
    # A client that wants no SDP with its 406 cannot answer one: it gets the problem.
    takes_offer = accepts(request.headers.get("accept", ""), SDP)
    started = await table.play(target, caller, offer, mode=mode, kinds=kinds, counter_offers=takes_offer)
    return created(request, started)


add_resources(router, SessionKind.WHEP, ENDPOINT)

"""The server API: ``GET /api/?Action=NAME&…`` for a developer's own back end, signed with the ServerSecret.

Names, parameters, answers, codes and limits are the product's (product-facts 4); the status is 200 whatever the Code.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import msgspec
import structlog
from fastapi import APIRouter, Request, Response

from sanderling.errors import SanderlingError
from sanderling.server.http.server_actions import ACTIONS, ROOM_RATES, ApiCode, ApiError, Call, api_error
from sanderling.server.lifecycle import Services
from sanderling.server.token_bucket import TokenBucket
from sanderling.server_signature import SIGNATURE_VERSION, TOLERANCE_S, sign

__all__ = ["ServerApi", "router"]

log = structlog.get_logger("api")

PATH = "/api/"
LARGEST_APP_ID = 2**32 - 1
LARGEST_TABLE = 20_000
"""Rooms remembered for their rates; beyond it the one longest not asked for is forgotten, which forgives its calls."""

router = APIRouter(tags=["Server API"])

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}


def _parameter(name: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"name": name, "in": "query", "required": True, "schema": schema, "description": description}


_CALL: dict[str, Any] = {
    "responses": {
        200: {
            "description": "What came of it, good or bad",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["Code", "Message", "RequestId"],
                        "properties": {
                            "Code": {**_NUMBER, "description": "0 = done"},
                            "Message": _TEXT,
                            "RequestId": _TEXT,
                            "Data": {"type": "object", "description": "By action"},
                        },
                    }
                }
            },
        }
    },
    "openapi_extra": {
        "parameters": [
            _parameter("Action", {**_TEXT, "enum": sorted(ACTIONS)}, "Its own parameters come beside these"),
            _parameter("AppId", _NUMBER),
            _parameter("SignatureNonce", _TEXT, "16 hexadecimal characters"),
            _parameter("Timestamp", _NUMBER, "Unix seconds"),
            _parameter("Signature", _TEXT, "MD5 of AppId, nonce, ServerSecret and Timestamp, as hexadecimal"),
            _parameter("SignatureVersion", {**_TEXT, "enum": [SIGNATURE_VERSION]}),
        ]
    },
}


class ServerApi:
    """Checks calls and carries them out. ``steady``: seconds that never jump."""

    def __init__(self, services: Services, steady: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._steady = steady
        self._buckets: dict[tuple[int, str], TokenBucket] = {}
        """By AppID and action; only calls whose signature is right get here, so that projects bound it."""
        self._room_buckets: OrderedDict[tuple[int, str, str], TokenBucket] = OrderedDict()
        """By AppID, action and roomID."""

    async def call(self, request: Request, *, now: float) -> dict[str, Any] | None:
        """Carry out one call: its Data; ApiError when it cannot be. ``now``: Unix seconds."""
        query = request.query_params
        app_id = await self._authenticate(request, now)
        name = query.get("Action", "")
        if not name:
            raise ApiError(ApiCode.ACTION_EMPTY, "Action is missing")
        action, rate = ACTIONS.get(name, (None, 0.0))
        if action is None:
            raise ApiError(ApiCode.ACTION_UNKNOWN, f"there is no action {name[:64]!r}")
        bucket = self._buckets.setdefault((app_id, name), TokenBucket(rate, rate))
        if bucket.take(self._steady()) > 0:
            raise ApiError(ApiCode.APP_RATE, f"more than {rate:g} calls of {name} a second")
        call = Call(app_id, query, self._services.rooms.administration)
        try:
            if name in ROOM_RATES:
                self._take_room(app_id, name, call.room())
            return await action(call)
        except SanderlingError as error:
            raise api_error(error) from None

    def _take_room(self, app_id: int, name: str, room_id: str) -> None:
        key = (app_id, name, room_id)
        bucket = self._room_buckets.get(key)
        if bucket is None:
            if len(self._room_buckets) >= LARGEST_TABLE:
                self._room_buckets.popitem(last=False)
            bucket = self._room_buckets[key] = TokenBucket(ROOM_RATES[name], 1)
        self._room_buckets.move_to_end(key)
        if bucket.take(self._steady()) > 0:
            raise ApiError(ApiCode.ROOM_RATE, f"more than one {name} of a room in {1 / ROOM_RATES[name]:g} s")

    async def _authenticate(self, request: Request, now: float) -> int:
        """The AppID of a call whose signature is right."""
        query = request.query_params
        text = query.get("AppId", "")
        if not _is_number(text) or not 0 < int(text) <= LARGEST_APP_ID:
            raise ApiError(ApiCode.APP_ID, "AppId is a whole number below 2^32")
        stamp, nonce, signature = (
            query.get(name, "") for name in ("Timestamp", "SignatureNonce", "Signature")
        )
        if not stamp:
            raise ApiError(ApiCode.TIMESTAMP_EMPTY, "Timestamp is missing")
        if not _is_number(stamp):
            raise ApiError(ApiCode.TIMESTAMP, "Timestamp is in Unix seconds")
        if not nonce:
            raise ApiError(ApiCode.NONCE_EMPTY, "SignatureNonce is missing")
        if not signature:
            raise ApiError(ApiCode.SIGNATURE_EMPTY, "Signature is missing")
        version = query.get("SignatureVersion", "")
        if version != SIGNATURE_VERSION:
            code = ApiCode.VERSION if version else ApiCode.VERSION_EMPTY
            raise ApiError(code, f"SignatureVersion is {SIGNATURE_VERSION}")
        if abs(now - int(stamp)) > TOLERANCE_S:
            raise ApiError(
                ApiCode.SIGNATURE_EXPIRED, f"Timestamp is more than {TOLERANCE_S} s off this clock"
            )
        project = await self._services.storage.project(int(text))
        if project is None:
            raise ApiError(ApiCode.SECRET_NOT_FOUND, f"there is no project with AppID {text}")
        wanted = sign(project.app_id, nonce, project.server_secret, int(stamp))
        if not hmac.compare_digest(wanted.encode(), signature.encode()):
            raise ApiError(
                ApiCode.SIGNATURE_WRONG, "Signature is not that of AppId, nonce, ServerSecret and time"
            )
        return project.app_id


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 12


@router.get(PATH, **_CALL)
@router.get(PATH.rstrip("/"), include_in_schema=False)
async def call(request: Request) -> Response:
    """Carry out an action: list, kick, forbid, close, send. Parameters in the query; docs/reference/http.md."""
    api = cast(ServerApi, request.app.state.server_api)
    code, message, data = ApiCode.OK, "success", None
    try:
        data = await api.call(request, now=time.time())
    except ApiError as error:
        code, message = error.code, str(error)
    except Exception:
        log.exception("call_failed")
        code, message = ApiCode.INTERNAL, "the server failed to carry out the call; it was logged"
    answer: dict[str, Any] = {"Code": int(code), "Message": message, "RequestId": uuid.uuid4().hex}
    if data is not None:
        answer["Data"] = data
    return Response(
        msgspec.json.encode(answer), media_type="application/json", headers={"cache-control": "no-store"}
    )

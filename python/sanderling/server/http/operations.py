"""Routes for operators: /healthz, /metrics and /debug/snapshot."""

from __future__ import annotations

import hmac
import ipaddress
from typing import cast

import msgspec
from fastapi import APIRouter, Request, Response

from sanderling.bridge import MediaFailed
from sanderling.server.lifecycle import Services
from sanderling.server.metrics import CONTENT_TYPE, render_metrics

__all__ = ["router"]

router = APIRouter()

ADMIN_HEADER = "x-sanderling-admin"


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def may_look_inside(request: Request) -> bool:
    """Whether the request comes from this machine, or carries the admin secret in ``X-Sanderling-Admin``."""
    secret = _services(request).config.admin_secret
    given = request.headers.get(ADMIN_HEADER, "")
    if secret and hmac.compare_digest(given.encode(), secret.encode()):
        return True
    # Behind a proxy everything comes from this machine: a forwarded request is not a local one.
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@router.get("/healthz")
async def health(request: Request) -> Response:
    """200 when media and storage are up, else 503 with what is down and why."""
    down = await _services(request).health()
    if down:
        return _json({"status": "down", "down": down}, 503)
    return _json({"status": "ok"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(render_metrics(_services(request)), media_type=CONTENT_TYPE)


@router.get("/debug/snapshot")
async def snapshot(request: Request) -> Response:
    """Everything held, as JSON; only from this machine or with the admin secret."""
    if not may_look_inside(request):
        return _json({"error": "only from this machine, or with the admin secret in X-Sanderling-Admin"}, 403)
    services = _services(request)
    try:
        media: object = [
            msgspec.json.decode(msgspec.json.encode(worker)) for worker in await services.engine.snapshot()
        ]
    except MediaFailed as error:
        media = {"error": str(error)}
    return _json(
        {
            "counts": services.rooms.counts(),
            "registry": {"users": services.registry.users, "streams": services.registry.streams},
            "bus": {"subscriptions": services.bus.subscriptions},
            "engine": {**services.engine.counters(), "added_delay": services.engine.added_delay()},
            "candidates": services.engine.candidates,
            "rooms": services.rooms.describe(),
            "workers": media,
        }
    )

"""How the routes of WHIP and WHEP appear in the OpenAPI document (schema/openapi.json)."""

from __future__ import annotations

from typing import Any

from sanderling.server.http.exchange import FRAGMENT, SDP
from sanderling.server.http.problem import PROBLEM_TYPE

__all__ = ["BEGIN", "COMPONENTS", "DELETE", "DESCRIBE", "OPTIONS", "PATCH", "WHEP_BEGIN", "WHEP_PATCH"]

_TEXT = {"type": "string"}


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _headers(**headers: str) -> dict[str, Any]:
    return {name.replace("_", "-"): {"description": text, "schema": _TEXT} for name, text in headers.items()}


def _body(content_type: str, description: str) -> dict[str, Any]:
    return {
        "required": True,
        "description": description,
        "content": {content_type: {"schema": _TEXT}},
    }


_BEARER: dict[str, Any] = {"security": [{"token": []}]}

BEGIN: dict[str, Any] = {
    "responses": {
        201: {
            "description": "The answer",
            "headers": _headers(
                Location="The session, to be resolved against the URL of the request",
                ETag="The ICE session",
                Link='TURN servers, rel="ice-server"',
                Accept_Patch=FRAGMENT,
            ),
            "content": {SDP: {"schema": _TEXT}},
        },
        307: {"description": "Another node holds the session", "headers": _headers(Location="Where to POST")},
        400: _problem("Not an SDP offer, or a name in the path or the query that cannot be"),
        401: _problem("No token, or one that is no good"),
        403: _problem("The token or the project does not allow it"),
        404: _problem("No such project"),
        406: _problem("No codec in common; the detail names those of both sides"),
        408: _problem("The body did not arrive"),
        409: _problem(
            "The streamID is taken, the stream to play is not live, the room is full, or the user logged in"
            " elsewhere meanwhile"
        ),
        413: _problem("The body is too long"),
        415: _problem(f"The body is not {SDP}"),
        422: _problem("An offer that this protocol does not take"),
        429: _problem("Too many requests from one address; see Retry-After"),
        503: _problem("The server is full or going down; see Retry-After"),
    },
    "openapi_extra": {"requestBody": _body(SDP, "The offer of a peer connection"), **_BEARER},
}

WHEP_BEGIN: dict[str, Any] = {
    **BEGIN,
    "responses": {
        **BEGIN["responses"],
        406: {
            "description": (
                "The offer does not suit the stream: an offer of the server's own, or the problem where Accept leaves"
                " application/sdp out"
            ),
            "headers": _headers(
                Location="The session, whose PATCH takes the answer",
                Expires="Until when, as valid-until in Content-Type",
                Accept_Patch=SDP,
            ),
            "content": {
                PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
                SDP: {"schema": _TEXT},
            },
        },
    },
}

OPTIONS: dict[str, Any] = {
    "responses": {200: {"description": "Methods and media types; a browser's preflight"}},
}

DESCRIBE: dict[str, Any] = {
    "responses": {204: {"description": "Nothing to show"}},
}

PATCH: dict[str, Any] = {
    "responses": {
        200: {
            "description": "ICE restarts: the server's new credentials and candidates",
            "headers": _headers(ETag="The new ICE session"),
            "content": {FRAGMENT: {"schema": _TEXT}},
        },
        204: {"description": "The candidates were taken"},
        400: _problem("Not an SDP fragment"),
        401: _problem("No token, or one that is no good"),
        403: _problem("The token is another user's"),
        404: _problem("The session is over"),
        412: _problem("If-Match names another ICE session"),
        415: _problem(f"The body is not {FRAGMENT}"),
        428: _problem("If-Match is missing"),
        429: _problem("Too many requests; see Retry-After"),
    },
    "openapi_extra": {
        "requestBody": _body(FRAGMENT, "Candidates, or new ICE credentials"),
        "parameters": [
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "schema": _TEXT,
                "description": "The ETag of the ICE session, or * to restart ICE",
            }
        ],
        **_BEARER,
    },
}

WHEP_PATCH: dict[str, Any] = {
    "responses": {
        **PATCH["responses"],
        204: {"description": "The candidates, or the answer to a counter-offer, were taken"},
        400: _problem("Not an SDP fragment, or not an SDP answer"),
        406: _problem("The answer to a counter-offer shares no codec with it; the session is over"),
        409: _problem("The counter-offer was answered already, or the stream ended"),
        415: _problem(f"The body is not {FRAGMENT}; while a counter-offer waits, not {SDP}"),
        422: _problem("The answer to a counter-offer cannot be used; the session is over"),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "Candidates, or new ICE credentials; the answer to a counter-offer",
            "content": {FRAGMENT: {"schema": _TEXT}, SDP: {"schema": _TEXT}},
        },
        "parameters": [
            {
                "name": "If-Match",
                "in": "header",
                "required": False,
                "schema": _TEXT,
                "description": "The ETag of the ICE session, or * to restart ICE; a fragment needs it",
            }
        ],
        **_BEARER,
    },
}

DELETE: dict[str, Any] = {
    "responses": {
        200: {"description": "The session is over"},
        401: _problem("No token, or one that is no good"),
        403: _problem("The token is another user's"),
        404: _problem("There is no such session (any more)"),
    },
    "openapi_extra": _BEARER,
}

COMPONENTS: dict[str, Any] = {
    "schemas": {
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "name", "remedy", "docs"],
            "properties": {
                "type": _TEXT,
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": {**_TEXT, "description": "One sentence that says what is wrong"},
                "code": {"type": "integer", "description": "The product's code (docs/reference/errors.md)"},
                "name": {**_TEXT, "description": "Name of the code"},
                "remedy": {**_TEXT, "description": "What to do, or empty"},
                "docs": {**_TEXT, "description": "Where the code is explained"},
            },
        }
    },
    "securitySchemes": {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "Token04",
            "description": "A token as for a login; `sanderling token create` makes one",
        }
    },
}

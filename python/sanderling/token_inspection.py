"""Explains a Token04 field by field, in words, without ever raising; with the secret or without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sanderling import tokens
from sanderling.errors import TokenError

__all__ = ["Finding", "TokenReport", "inspect"]

Verdict = Literal["right", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One field: what it holds and whether that is right."""

    field: str
    verdict: Verdict
    says: str
    code: int = 0
    """Error code a login with this token would end in because of this field; 0 = none."""


@dataclass(slots=True)
class TokenReport:
    """Every field that could be read, in the order a server checks them."""

    findings: list[Finding] = field(default_factory=list)
    decrypted: bool = False

    @property
    def valid(self) -> bool:
        """Whether everything was checked, the decrypted part included, and nothing is wrong."""
        return self.decrypted and all(finding.verdict == "right" for finding in self.findings)

    @property
    def code(self) -> int:
        """Code a login would end in: that of the first wrong field, 0 when there is none."""
        return next((f.code for f in self.findings if f.verdict == "wrong"), 0)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "valid": self.valid,
            "decrypted": self.decrypted,
            "code": self.code,
            "fields": [
                {"field": f.field, "verdict": f.verdict, "says": f.says, "code": f.code}
                for f in self.findings
            ],
        }

    def add(self, name: str, verdict: Verdict, says: str, code: int = 0) -> None:
        """Append one finding."""
        self.findings.append(Finding(name, verdict, says, code))

    def attempt(self, name: str, step: Callable[[], Any]) -> Any:
        """Run one step; a TokenError becomes a "wrong" finding and None is returned."""
        try:
            return step()
        except TokenError as error:
            self.add(
                name,
                "wrong",
                f"{error.message}. {error.hint}" if error.hint else error.message,
                int(error.code),
            )
            return None


def inspect(
    token: str, *, now: float, secret: str = "", app_id: int | None = None, user_id: str | None = None
) -> TokenReport:
    """Explain ``token`` at ``now`` (Unix seconds); ``app_id`` and ``user_id`` are those it should be for.

    Without ``secret`` only the envelope can be read, and the report is never ``valid``.
    """
    report = TokenReport()
    token = token.strip()
    envelope = report.attempt("format", lambda: tokens.unpack(token))
    if envelope is None:
        return report
    report.add("version", "right", f"Token{tokens.VERSION}")
    report.add(
        "cipher",
        "right",
        f"AES-{envelope.mode.name}, {len(envelope.ciphertext)} bytes, IV {len(envelope.iv)}",
    )
    _expiry(report, "outer expire", envelope.expire, now)
    if not secret:
        report.add("contents", "unknown", "encrypted; give the ServerSecret (or the project) to read them")
        return report
    document = report.attempt(
        "contents", lambda: tokens.decode_document(tokens.open_envelope(envelope, secret))
    )
    if document is None:
        return report
    report.decrypted = True
    report.add("contents", "right", "decrypted with this ServerSecret")
    _fields(report, document, app_id=app_id, user_id=user_id)
    inner = document.get("expire")
    if isinstance(inner, int) and not isinstance(inner, bool):
        _expiry(report, "expire", inner, now)
        if inner != envelope.expire:
            report.add("expire", "wrong", "differs from the outer expiry; the token was changed", 1002078)
    else:
        report.add("expire", "wrong", "missing or not a whole number", 1002078)
    _payload(report, document.get("payload", ""))
    return report


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "out of the calendar"


def _expiry(report: TokenReport, name: str, expire: int, now: float) -> None:
    left = expire - int(now)
    if expire < now:
        report.add(name, "wrong", f"{expire} = {_moment(expire)}, expired {int(now) - expire} s ago", 1002078)
    else:
        report.add(name, "right", f"{expire} = {_moment(expire)}, {left} s left")


def _fields(
    report: TokenReport, document: dict[str, Any], *, app_id: int | None, user_id: str | None
) -> None:
    found = document.get("app_id")
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < 2**32:
        report.add("app_id", "wrong", f"{json.dumps(found)} is not a 32-bit number", 1002076)
    elif app_id is not None and found != app_id:
        report.add("app_id", "wrong", f"{found}; this project is {app_id}", 1002076)
    else:
        report.add("app_id", "right", str(found))

    user = document.get("user_id")
    if not isinstance(user, str) or not user:
        report.add("user_id", "wrong", f"{json.dumps(user)} is not a userID", 1002077)
    elif user_id is not None and user != user_id:
        report.add("user_id", "wrong", f"{user!r}; expected {user_id!r}", 1002077)
    else:
        report.add("user_id", "right", user)

    nonce = document.get("nonce")
    if isinstance(nonce, int) and not isinstance(nonce, bool) and -(2**31) <= nonce < 2**31:
        report.add("nonce", "right", str(nonce))
    else:
        report.add("nonce", "wrong", f"{json.dumps(nonce)} is not a whole number of 32 bits", 1002080)

    ctime = document.get("ctime")
    if isinstance(ctime, int) and not isinstance(ctime, bool) and -(2**63) <= ctime < 2**63:
        report.add("ctime", "right", f"{ctime} = {_moment(ctime)}")
    else:
        report.add("ctime", "wrong", f"{json.dumps(ctime)} is not a whole number of seconds", 1002078)


def _payload(report: TokenReport, payload: object) -> None:
    if not isinstance(payload, str):
        report.add("payload", "wrong", "is not text (a JSON document as a string is expected)", 1002075)
        return
    privileges = report.attempt("payload", lambda: tokens.read_privileges(payload))
    if privileges is None:
        return
    if not payload:
        report.add("payload", "right", "empty: any room, login and publish allowed")
        return
    report.add("payload", "right", "a JSON document")
    report.add("room_id", "right", privileges.room_id or "any room")
    report.add("privilege", "right", _allowed(privileges))
    names = ", ".join(privileges.stream_ids)
    report.add("stream_id_list", "right", names or "any streamID")


def _allowed(privileges: tokens.Privileges) -> str:
    login = "allowed" if privileges.can_login else "denied"
    publish = "allowed" if privileges.can_publish else "denied"
    return f"login {login}, publish {publish}"

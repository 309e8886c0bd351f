"""Tokens during a session: the warning before their end, renewal, and what follows an end."""

from __future__ import annotations

from functools import partial

import structlog

from sanderling.enums import StreamDeleteReason
from sanderling.errors import ErrorCode, RoomError, TokenError
from sanderling.server.bus.base import session_subject
from sanderling.server.rooms import policy
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.events import Kick, encode_event
from sanderling.server.rooms.member import Member
from sanderling.server.storage import Project
from sanderling.signaling.messages import Ok, RenewToken, TokenWillExpire
from sanderling.tokens import Token

__all__ = ["Credentials"]

log = structlog.get_logger("rooms")

WARNING_S = 30.0
"""How long before its end a token is warned of (product-facts 1.2)."""


class Credentials:
    """See the module."""

    def __init__(self, context: RoomContext) -> None:
        self._context = context

    def read(self, project: Project, user_id: str, token: str) -> Token:
        """Read a token of this user; the codes of a login's token."""
        return policy.read_token(project, token, user_id=user_id, now=self._context.clock())

    def watch(self, member: Member) -> None:
        """Warn of the end of the member's present token, and see to it that the end counts."""
        if member.token_due is not None:
            member.token_due.cancel()
            member.token_due = None
        if member.token is not None:
            self._at(member, member.token.expire - WARNING_S, self._warn)

    def _at(self, member: Member, unix_s: float, call: object) -> None:
        assert callable(call)
        due = self._context.steady() + max(0.0, unix_s - self._context.clock())
        member.token_due = self._context.agenda.at(due, partial(call, member))

    def _warn(self, member: Member) -> None:
        if member.left or member.token is None:
            return
        remaining = member.token.expire - self._context.clock()
        member.send(TokenWillExpire(max(0, round(remaining))))
        # The last second of a token still counts.
        self._at(member, member.token.expire + 1.0, self._expired)

    def _expired(self, member: Member) -> None:
        member.token_due = None
        self._context.background.spawn(self._apply(member))

    async def _apply(self, member: Member) -> None:
        project = await self._context.storage.project(member.app_id)
        if member.left or member.token is None or not member.token.expired(self._context.clock()):
            return
        log.info("token_expired", app_id=member.app_id, user=member.user.user_id)
        if project is None or project.settings.token_expired != "kick":
            return
        kick = Kick(
            int(ErrorCode.KICKED_TOKEN_EXPIRED),
            "the token expired and was not renewed",
            "",
            int(StreamDeleteReason.USER_KICKED),
        )
        self._context.bus.publish(session_subject(member.session_id), encode_event(kick))

    async def renew(self, member: Member, message: RenewToken) -> None:
        """Replace the session's token; 1002082 when the new one denies what the session does."""
        project = await self._context.storage.project(member.app_id)
        check_present(member)
        if project is None:
            raise RoomError(ErrorCode.APP_ID_INCORRECT, "the project is not there any more")
        token = self.read(project, member.user.user_id, message.token)
        policy.check_login_privilege(token, member.room_id, required=project.settings.require_privileges)
        for publication in member.publications.values():
            if not token.privileges.allows_stream(publication.stream.stream_id):
                raise TokenError(
                    ErrorCode.RENEWED_TOKEN_LACKS_PUBLISH,
                    f"token: it does not allow stream {publication.stream.stream_id!r}, which is being published",
                    hint="renew with a token of the same privileges, or stop publishing first",
                )
        member.token = token
        self.watch(member)
        member.send(Ok(message.seq))

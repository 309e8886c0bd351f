"""The token of a login: renewed before it ends, by the program or by the function that makes tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sanderling.errors import ErrorCode, SanderlingError, TokenError
from sanderling.sdk.config import RoomConfig, TokenProvider, token_of
from sanderling.sdk.events import RoomTokenWillExpire
from sanderling.signaling import messages

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["Credentials"]


class Credentials:
    """Of one room. ``config`` is what the next login is made with."""

    def __init__(self, room: Room, config: RoomConfig) -> None:
        self._room = room
        self._renewing = False
        self.config = config

    async def renew(self, token: str | TokenProvider) -> None:
        """Send a newer token, which counts for later logins too. The codes of a login's token; 1002082 when it does not
        allow what is being published.
        """
        config = replace(self.config, token=token)
        text = await token_of(config)
        if not text:
            raise TokenError(ErrorCode.TOKEN_MISSING, "the token is empty", hint="pass a new Token04")
        await self._room.session.request(lambda seq: messages.RenewToken(seq, text), messages.Ok)
        self.config = config
        self._room.session.change_login(self._room.id, config)

    def will_expire(self, remaining_s: int) -> None:
        """The server says that the token ends soon."""
        if isinstance(self.config.token, str):
            self._room.emit(RoomTokenWillExpire(self._room.id, remaining_s))
        elif not self._renewing:
            self._renewing = True
            self._room.session.spawn(self._renew_by_function(remaining_s), "sanderling-token")

    async def _renew_by_function(self, remaining_s: int) -> None:
        try:
            await self.renew(self.config.token)
        except SanderlingError as error:
            self._failed(error, remaining_s)
        finally:
            self._renewing = False

    def _failed(self, error: SanderlingError, remaining_s: int) -> None:
        self._room.report(error, "renew_token")
        self._room.emit(RoomTokenWillExpire(self._room.id, remaining_s))

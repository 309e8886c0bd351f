"""The sessions of WHIP and WHEP: room members that speak HTTP instead of the signalling protocol.

A session is a connection of the rooms like any other: it logs in, publishes or plays, and leaves. What the rooms
would tell a client over its socket arrives at an outbox here: replies are picked up, the end of the stream, of its
transport or of the login ends the session, and the rest is nobody's business.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import structlog

from sanderling.enums import PlayerState, PublisherState, ResourceMode, StreamDeleteReason
from sanderling.errors import ErrorCode, PlayError, RoomError, SanderlingError, TokenError
from sanderling.ids import AppId, parse_app_id, parse_room_id, parse_stream_id
from sanderling.server.http.sdp import (
    Description,
    IceCredentials,
    credentials_of,
    read_description,
    replace_credentials,
)
from sanderling.server.rooms import Connection, RoomManager, access, policy
from sanderling.server.storage import Project, Storage
from sanderling.server.token_bucket import TokenBucket
from sanderling.signaling.codec import decode_server
from sanderling.signaling.messages import (
    ClientMessage,
    IceServer,
    Kicked,
    Login,
    LoginOk,
    Ok,
    Play,
    PlayerStateNotice,
    PlayOk,
    Publish,
    PublisherStateNotice,
    PublishOk,
    RoomConfig,
    ServerMessage,
    StopPlay,
    User,
    ViewerAnswer,
    ViewerOffer,
)
from sanderling.tokens import Token

__all__ = ["Caller", "MediaSession", "MediaSessions", "SessionKind", "Started", "Target"]

log = structlog.get_logger("http")

PATCHES_PER_S = 5.0
PATCH_BURST = 20.0
"""PATCH requests of one session. A client that trickles one candidate at a time sends some ten; more is a flood."""

COUNTER_OFFER_S = 12.0
"""How long a counter-offer can be answered. Lower cuts off people on slow links; at 15 s the media engine lets go."""

_UNSUITABLE = frozenset({ErrorCode.ENCODER_UNSUPPORTED, ErrorCode.DECODER_UNSUPPORTED})
"""Codes of an offer that shares no codec with the stream."""

_HEARD = (b'{"type":"publisher_state"', b'{"type":"player_state"', b'{"type":"kicked"')
"""Notices that end a session."""
_REPLY = re.compile(rb'\{"type":"\w+","(?:seq|code)":')
"""A reply begins with its seq, an error with its code. Whatever else a room tells its members is no HTTP client's
business, and not worth decoding."""

R = TypeVar("R", bound=ServerMessage)


class SessionKind(Enum):
    """Which protocol a session speaks; the value is the first part of its path."""

    WHIP = "whip"
    WHEP = "whep"


@dataclass(frozen=True, slots=True)
class Target:
    """What an endpoint's URL names."""

    app_id: AppId
    room_id: str
    stream_id: str

    @classmethod
    def parse(cls, app_id: str, room_id: str, stream_id: str) -> Target:
        """Check the three parts of the path: 1001000 and 1001004, 1002011–1002013, 1000014–1000016."""
        if not app_id.isascii() or not app_id.isdecimal() or len(app_id) > 10:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT,
                "the AppID in the path is not a number",
                hint="the path is /whip/{app_id}/{room_id}/{stream_id}, or /whep/…",
            )
        return cls(parse_app_id(int(app_id)), parse_room_id(room_id), parse_stream_id(stream_id))


class _ReplyOutbox:
    """Outbox of a session without a socket: keeps the reply to the request under way, reports the end."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._reply: ServerMessage | None = None

    @property
    def waiting(self) -> int:
        """Nothing waits here."""
        return 0

    def take(self) -> ServerMessage | None:
        """The last reply, once."""
        reply, self._reply = self._reply, None
        return reply

    def send(self, data: bytes) -> None:
        """Take one message of the rooms."""
        if not data.startswith(_HEARD) and not _REPLY.match(data):
            return
        message = decode_server(data)
        if isinstance(message, PublisherStateNotice):
            if message.state == PublisherState.NO_PUBLISH:
                self._ended(message.message or "the stream ended")
        elif isinstance(message, PlayerStateNotice):
            if message.state == PlayerState.NO_PLAY:
                self._ended(message.message or "the stream ended")
        elif isinstance(message, Kicked):
            self._ended(message.message)
        else:
            self._reply = message

    def close(self, reason: str) -> None:
        """The rooms end the connection."""
        self._ended(reason)


@dataclass(frozen=True, slots=True)
class CounterOffer:
    """An offer of the server's own that waits for the client's answer."""

    mode: ResourceMode
    valid_until: float
    """Unix seconds."""
    expiry: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class MediaSession:
    """One WHIP or WHEP session: the resource behind a Location."""

    id: str
    """Unguessable: 192 random bits."""
    kind: SessionKind
    target: Target
    user_id: str
    connection: Connection
    outbox: _ReplyOutbox
    token_digest: bytes
    offer: bytes
    """The offer it was made with, compressed: an ICE restart negotiates it again."""
    remote: IceCredentials
    etag: str
    patches: TokenBucket
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Requests of one connection are carried out one after the other."""
    seq: int = 0
    counter_offer: CounterOffer | None = None
    """Until it is answered nothing is played."""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a POST: the user of a good token, and where it came from."""

    user_id: str
    token: str = field(repr=False)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """What a POST came to."""

    session: MediaSession
    sdp: str
    """The answer; the server's own offer while the session has a counter-offer."""
    ice_servers: tuple[IceServer, ...]


def _new_etag() -> str:
    return f'"{secrets.token_urlsafe(12)}"'


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class MediaSessions:
    """All of them. ``clock`` gives Unix seconds, ``monotonic`` seconds of a steady clock."""

    def __init__(
        self,
        rooms: RoomManager,
        storage: Storage,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rooms = rooms
        self._storage = storage
        self._clock = clock
        self._monotonic = monotonic
        self._sessions: dict[str, MediaSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def count_error(self, error: SanderlingError) -> None:
        """Count a failed request among the errors replied, by code."""
        self._rooms.errors[int(error.code)] += 1

    # ---------------------------------------------------------------------------------------- beginning

    async def authenticate(self, target: Target, token: str, origin: str) -> Caller:
        """Who is asking: 1002067 without a token, 1001004 without such a project, else the token's own codes.

        1000039 when the project does not admit the address.
        """
        return Caller((await self._read_token(target.app_id, token, origin)).user_id, token, origin)

    async def publish(self, target: Target, caller: Caller, offer: str) -> Started:
        """Log in and publish. Nothing is left behind when any step fails."""
        session = self._open(SessionKind.WHIP, target, caller, offer)
        try:
            welcome = await self._login(session, caller, notify=True)
            reply = await self._ask(session, PublishOk, Publish(2, target.stream_id, offer))
            _check_whole(reply.answer)
            return self._started(session, reply.answer, welcome)
        except BaseException:
            await self.end(session, StreamDeleteReason.PUBLISHER_STOPPED)
            raise

    async def play(
        self,
        target: Target,
        caller: Caller,
        offer: str,
        *,
        mode: ResourceMode,
        kinds: frozenset[str],
        counter_offers: bool = True,
    ) -> Started:
        """Log in and play.

        ``kinds``: those of audio and video that the offer has sections for. ``counter_offers``: whether an offer that
        shares nothing with the stream gets an offer of the server's own, with the session waiting for the answer,
        instead of 1003080 or 1004080.
        """
        session = self._open(SessionKind.WHEP, target, caller, offer)
        try:
            # Players ask again and again for a stream that has not begun: that must cost nothing.
            await self._rooms.check_stream(target.app_id, target.stream_id)
            welcome = await self._login(session, caller, notify=False)
            try:
                viewer = await self._ask(session, ViewerAnswer, ViewerOffer(2, offer))
                _check_whole(viewer.answer)
                await self._play(session, mode, kinds)
            except SanderlingError as error:
                if error.code not in _UNSUITABLE or not counter_offers:
                    raise
                own = await self._rooms.offer_stream(session.connection, target.stream_id)
                self._wait_for_answer(session, mode)
                return self._started(session, own, welcome)
            return self._started(session, viewer.answer, welcome)
        except BaseException:
            await self.end(session, StreamDeleteReason.PUBLISHER_STOPPED)
            raise

    async def _play(self, session: MediaSession, mode: ResourceMode, kinds: frozenset[str]) -> None:
        """Play; 1004080 when the stream has none of the kinds, which would be a session without any media."""
        stream_id, audio, video = session.target.stream_id, "audio" in kinds, "video" in kinds
        play = Play(session.seq + 1, stream_id, int(mode), audio=audio, video=video)
        played = await self._ask(session, PlayOk, play)
        if not played.tracks:
            await self._ask(session, Ok, StopPlay(session.seq + 1, stream_id))
            raise PlayError(
                ErrorCode.DECODER_UNSUPPORTED,
                f"the stream has no {' and no '.join(sorted(kinds))}",
                hint="offer to receive both audio and video",
            )

    def _wait_for_answer(self, session: MediaSession, mode: ResourceMode) -> None:
        expiry = asyncio.get_running_loop().call_later(
            COUNTER_OFFER_S, self._over, session, "the counter-offer was not answered in time"
        )
        session.counter_offer = CounterOffer(mode, self._clock() + COUNTER_OFFER_S, expiry)

    def _open(self, kind: SessionKind, target: Target, caller: Caller, offer: str) -> MediaSession:
        remote = credentials_of(offer)
        outbox = _ReplyOutbox(lambda why: self._over(session, why))
        session = MediaSession(
            id=secrets.token_urlsafe(24),
            kind=kind,
            target=target,
            user_id=caller.user_id,
            connection=self._rooms.connect(outbox, caller.origin),
            outbox=outbox,
            token_digest=_digest(caller.token),
            offer=zlib.compress(offer.encode()),
            remote=remote or IceCredentials("", ""),
            etag=_new_etag(),
            patches=TokenBucket(PATCHES_PER_S, PATCH_BURST),
        )
        return session

    async def _read_token(self, app_id: AppId, token: str, origin: str | None = None) -> Token:
        if not token:
            raise TokenError(
                ErrorCode.TOKEN_MISSING,
                "no token was sent",
                hint="Authorization: Bearer and a token of `sanderling token create`",
            )
        project: Project | None = await self._storage.project(app_id)
        if project is None:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT,
                f"there is no project with AppID {app_id}",
                hint="`sanderling project list` shows those of this server",
            )
        if origin is not None:
            access.check_address(project.settings, origin)
        return policy.read_token(project, token, user_id=None, now=self._clock())

    async def _login(self, session: MediaSession, caller: Caller, *, notify: bool) -> LoginOk:
        login = Login(
            seq=1,
            app_id=session.target.app_id,
            room_id=session.target.room_id,
            # A token names the user, but not how it wants to be shown.
            user=User(session.user_id, session.user_id),
            token=caller.token,
            config=RoomConfig(is_user_status_notify=notify),
        )
        return await self._ask(session, LoginOk, login)

    async def _ask(self, session: MediaSession, kind: type[R], message: ClientMessage) -> R:
        session.seq = message.seq
        session.outbox.take()
        await self._rooms.request(session.connection, message)
        reply = session.outbox.take()
        if session.ended or not isinstance(reply, kind):
            raise RoomError(
                ErrorCode.SESSION_ERROR,
                "the session ended while the request was under way",
                hint="begin a new one",
            )
        return reply

    def _started(self, session: MediaSession, answer: str, welcome: LoginOk) -> Started:
        self._sessions[session.id] = session
        log.info(
            "session_started",
            kind=session.kind.value,
            counter_offer=session.counter_offer is not None,
            app_id=session.target.app_id,
            room=session.target.room_id,
            stream=session.target.stream_id,
            user=session.user_id,
        )
        return Started(session, answer, welcome.ice_servers)

    # ------------------------------------------------------------------------------------------ going on

    def find(self, kind: SessionKind, session_id: str) -> MediaSession | None:
        """The session of an URL, as long as it goes on."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.kind is kind else None

    async def authorize(self, session: MediaSession, token: str) -> None:
        """The token of its POST, expired or not, or another good one of the same user.

        1002067 when there is none, the token's own code when it is no good, 1002033 when it is another user's.
        """
        if token and hmac.compare_digest(_digest(token), session.token_digest):
            return
        read = await self._read_token(session.target.app_id, token)
        if read.user_id != session.user_id:
            raise TokenError(
                ErrorCode.AUTHENTICATION_FAILED,
                "token: it belongs to another user than this session",
                hint="use a token of the user who began the session",
                context={"step": "privilege"},
            )

    def patch_wait(self, session: MediaSession) -> float:
        """Count one PATCH: 0.0 when it may be carried out, else seconds until it may."""
        return session.patches.take(self._monotonic())

    async def accept(self, session: MediaSession, answer: str, kinds: frozenset[str]) -> None:
        """Take the answer to the counter-offer and play. The session ends when the answer cannot be used.

        ``kinds``: those of audio and video that the answer receives.
        """
        waiting = session.counter_offer
        assert waiting is not None
        waiting.expiry.cancel()
        session.counter_offer = None
        try:
            await self._rooms.accept(session.connection, answer)
            await self._play(session, waiting.mode, kinds)
        except BaseException:
            await self.end(session, StreamDeleteReason.PUBLISHER_STOPPED)
            raise
        # From here on the answer is what an offer would be: an ICE restart negotiates it again.
        session.offer = zlib.compress(answer.encode())
        session.remote = read_description(answer).credentials or session.remote

    async def restart(self, session: MediaSession, credentials: IceCredentials) -> Description:
        """Restart ICE with the client's new credentials; returns the answer.

        The session goes on whatever comes of it.
        """
        offer = replace_credentials(zlib.decompress(session.offer).decode(), credentials)
        if session.kind is SessionKind.WHIP:
            answer = await self._rooms.renegotiate_publisher(
                session.connection, session.target.stream_id, offer
            )
        else:
            reply = await self._ask(session, ViewerAnswer, ViewerOffer(session.seq + 1, offer))
            answer = reply.answer
        description = read_description(answer)
        if description.credentials is None:
            raise SanderlingError(
                ErrorCode.INTERNAL_ERROR, "the answer of the media engine has no credentials"
            )
        session.remote = credentials
        session.etag = _new_etag()
        return description

    # ------------------------------------------------------------------------------------------- the end

    async def end(self, session: MediaSession, reason: StreamDeleteReason) -> None:
        """Leave the room and release everything. Idempotent."""
        self._forget(session, "ended by the client")
        await self._rooms.disconnect(session.connection, reason)

    def _over(self, session: MediaSession, why: str) -> None:
        """The rooms ended it: stream, transport or login is gone."""
        if not session.ended:
            self._forget(session, why)
            self._rooms.disconnect_soon(session.connection, StreamDeleteReason.CONNECTION_LOST)

    def _forget(self, session: MediaSession, why: str) -> None:
        session.ended = True
        if session.counter_offer is not None:
            session.counter_offer.expiry.cancel()
        if self._sessions.pop(session.id, None) is not None:
            log.info("session_ended", kind=session.kind.value, user=session.user_id, why=why)


def _check_whole(answer: str) -> None:
    """1003080 when the answer turns audio or video down: no half sessions (RFC 9725 section 4.4.3)."""
    if "m=audio 0 " not in answer and "m=video 0 " not in answer:
        return  # As nearly always: what turns a part down gives it port 0, and the rest need not be read for it.
    description = read_description(answer)
    refused = [s.kind for s in description.sections if s.disabled and s.kind in ("audio", "video")]
    if refused:
        raise SanderlingError(
            ErrorCode.ENCODER_UNSUPPORTED,
            f"no codec in common for {' and '.join(refused)}; a part of the offer is not accepted",
            hint="offer VP8, VP9, AV1 or H.264 and Opus",
        )

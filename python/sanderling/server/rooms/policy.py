"""Decisions as pure functions: credentials, privileges, and which code a failure of the engine gets."""

from __future__ import annotations

import hmac
import re

import structlog

from sanderling import tokens
from sanderling.bridge import MediaFailed
from sanderling.enums import Channel, VideoStreamType
from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError, TokenError
from sanderling.server.storage import Project
from sanderling.signaling.messages import PROTOCOL_VERSION, Login, Publish
from sanderling.tokens import Token

__all__ = [
    "authenticate",
    "check_custom_data",
    "check_device_state",
    "check_extra_info",
    "check_login",
    "check_login_privilege",
    "check_publish",
    "check_publish_privilege",
    "check_unexpired",
    "login_failure",
    "play_failure",
    "publish_failure",
    "read_token",
]

log = structlog.get_logger("rooms")

MAX_EXTRA_INFO = 1023
"""Bytes of a stream's extra info."""
MAX_CUSTOM_DATA = 128
"""Bytes of a login's custom data (product-facts 2.2)."""
LAST_DEVICE_STATE = 15
"""NOT_SUPPORT, the highest RemoteDeviceState."""

_HEX64 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


# ------------------------------------------------------------------------------------------------- login


def check_login(message: Login) -> None:
    """Refuse another protocol version or an impossible configuration (1000017), too long custom data (1002083)."""
    if message.version != PROTOCOL_VERSION:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"protocol version {message.version} is not spoken here",
            hint=f"this server speaks version {PROTOCOL_VERSION}",
        )
    if not 0 <= message.config.max_member_count < 2**31:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, "max_member_count must be 0 (unlimited) or a positive number"
        )
    check_custom_data(message.config.custom_data)


def check_custom_data(text: str) -> None:
    """1002083 when a login's custom data is too long."""
    size = len(text.encode())
    if size > MAX_CUSTOM_DATA:
        raise RoomError(
            ErrorCode.CUSTOM_DATA_TOO_LONG, f"custom_data has {size} bytes, {MAX_CUSTOM_DATA} allowed"
        )


def read_token(project: Project, token: str, *, user_id: str | None, now: float) -> Token:
    """Read a token of this project and user (None: whoever it names); the codes of ``tokens.verify``.

    1002074 when it cannot be checked for a reason of the server's own, which the log then names.
    """
    try:
        return tokens.verify(token, project.server_secret, app_id=project.app_id, user_id=user_id, now=now)
    except TokenError as error:
        if error.context.get("step") != "secret":
            raise
        reason = error.message
    except Exception:
        log.exception("token_check_failed", app_id=project.app_id)
        reason = "an unexpected error"
    log.error("token_not_checked", app_id=project.app_id, why=reason)
    raise TokenError(
        ErrorCode.TOKEN_INTERNAL_ERROR,
        "token: the server could not check it",
        hint="its log says why; ask its operator",
    )


def authenticate(project: Project, message: Login, *, now: float) -> Token | None:
    """Check the token, or else the AppSign. Returns the token, None when the AppSign was used."""
    if message.token:
        return read_token(project, message.token, user_id=message.user.user_id, now=now)
    if not message.app_sign:
        raise TokenError(
            ErrorCode.TOKEN_MISSING,
            "neither a token nor an AppSign was supplied",
            hint="make a token with `sanderling token create`",
        )
    if len(message.app_sign) != 64:
        raise RoomError(ErrorCode.APP_SIGN_INVALID_LENGTH, "AppSign must have 64 characters")
    if not _HEX64.fullmatch(message.app_sign):
        raise RoomError(ErrorCode.APP_SIGN_INVALID_CHARACTER, "AppSign may hold hex digits only")
    if not hmac.compare_digest(message.app_sign.lower(), project.app_sign.lower()):
        raise RoomError(
            ErrorCode.APP_SIGN_INCORRECT,
            "AppSign is not that of this AppID",
            hint="`sanderling project show` prints it",
        )
    return None


def check_unexpired(token: Token, *, now: float) -> None:
    """1002078 when a token that was valid at the login is to open another room, and is over by now."""
    if token.expired(now):
        raise TokenError(
            ErrorCode.TOKEN_EXPIRED,
            "token: it has expired since the login",
            hint="switch with a new token, or renew it first",
            context={"step": "expire"},
        )


def check_login_privilege(token: Token | None, room_id: str, *, required: bool = False) -> None:
    """1002033 when the token is for another room or denies the login, or has no privileges though ``required``."""
    if required and (token is None or not token.privileges.room_id):
        raise TokenError(
            ErrorCode.AUTHENTICATION_FAILED,
            "token: this project asks for tokens with privileges",
            hint="make one with --room-id",
            context={"step": "privilege"},
        )
    if token is None:
        return
    privileges = token.privileges
    if privileges.room_id and privileges.room_id != room_id:
        raise TokenError(
            ErrorCode.AUTHENTICATION_FAILED,
            f"token: it is for room {privileges.room_id!r}, not {room_id!r}",
            hint="make one with --room-id of this room",
            context={"step": "privilege"},
        )
    if not privileges.can_login:
        raise TokenError(
            ErrorCode.AUTHENTICATION_FAILED,
            "token: its privileges deny the login (privilege 1 is 0)",
            hint="make one with --can-login",
            context={"step": "privilege"},
        )


def login_failure(error: MediaFailed) -> SanderlingError:
    """Code for a viewer transport that could not be made at login."""
    return RoomError(
        ErrorCode.LOGIN_FAILED,
        f"the viewer transport could not be made: {error.detail}",
        hint=_hint(error) or "viewer_offer must be a receive-only SDP offer, or empty when nothing is played",
        context={"reason": error.reason},
    )


# ----------------------------------------------------------------------------------------------- publish


def check_publish(message: Publish) -> None:
    """Refuse an unknown channel (1000017) or too long an extra info (1003051)."""
    check_device_state(message.camera)
    check_device_state(message.microphone)
    if message.channel not in Channel.__members__.values():
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"publish channel {message.channel} does not exist, 0 to 3 do"
        )
    check_extra_info(message.extra_info)


def check_extra_info(text: str) -> None:
    """1003051 when a stream's extra info is too long."""
    size = len(text.encode())
    if size > MAX_EXTRA_INFO:
        raise PublishError(
            ErrorCode.STREAM_EXTRA_INFO_TOO_LONG, f"extra_info has {size} bytes, {MAX_EXTRA_INFO} allowed"
        )


def check_device_state(state: int) -> None:
    """1000017 for what is no RemoteDeviceState (api-reference A)."""
    if not 0 <= state <= LAST_DEVICE_STATE:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"device state {state} does not exist, 0 to {LAST_DEVICE_STATE} do"
        )


def check_publish_privilege(
    token: Token | None, stream_id: str, *, now: float, required: bool = False
) -> None:
    """1003072 when the token does not let this user publish this stream (any more)."""

    def refuse(why: str, hint: str) -> PublishError:
        return PublishError(ErrorCode.PUBLISH_NOT_AUTHORIZED, f"token: {why}", hint=hint)

    if required and (token is None or not token.privileges.room_id):
        raise refuse("this project asks for tokens with privileges", "make one with --room-id")
    if token is None:
        return

    if token.expired(now):
        raise refuse("it has expired since the login", "log in again with a new token")
    if not token.privileges.can_publish:
        raise refuse("its privileges deny publishing (privilege 2 is 0)", "make one with --can-publish")
    if not token.privileges.allows_stream(stream_id):
        allowed = ", ".join(token.privileges.stream_ids[:5])
        raise refuse(f"streamID {stream_id!r} is not in its stream_id_list", f"it allows: {allowed}")


def publish_failure(error: MediaFailed) -> SanderlingError:
    """Code for a publisher transport that could not be made."""
    if error.reason == "no_codec":
        return PublishError(
            ErrorCode.ENCODER_UNSUPPORTED,
            f"no codec in common: {error.detail}",
            hint="publish VP8, VP9, AV1 or H.264 and Opus",
        )
    return PublishError(
        ErrorCode.PUBLISH_FAILED,
        f"the publisher transport could not be made: {error.detail}",
        hint=_hint(error) or "the offer must be send-only SDP with at most one audio and one video section",
        context={"reason": error.reason},
    )


# -------------------------------------------------------------------------------------------------- play


def check_video_type(value: int) -> VideoStreamType:
    """Return the video layer asked for; 1000017 for an unknown one."""
    try:
        return VideoStreamType(value)
    except ValueError:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"video type {value} does not exist",
            hint="0 by the network, 1 small, 2 big",
        ) from None


def play_failure(error: MediaFailed, stream_id: str) -> SanderlingError:
    """Code for a stream that could not be bound."""
    if error.reason == "no_codec":
        return PlayError(
            ErrorCode.DECODER_UNSUPPORTED,
            f"stream {stream_id!r} cannot be played here: {error.detail}",
            hint="publish it as VP8, which every client plays, or play it with a client that has its codec",
        )
    if error.reason == "unknown_stream":
        return PlayError(ErrorCode.STREAM_NOT_FOUND, f"stream {stream_id!r} does not exist (any more)")
    if error.reason == "no_slot":
        return PlayError(
            ErrorCode.PLAY_FAILED,
            f"the viewer transport has no free slot: {error.detail}",
            hint="send a viewer_offer with more slots first",
        )
    if error.reason == "unknown_session":
        return PlayError(
            ErrorCode.PLAY_FAILED,
            "the viewer transport has ended",
            hint="send a viewer_offer to make a new one",
        )
    return PlayError(
        ErrorCode.PLAY_FAILED,
        f"stream {stream_id!r} could not be bound: {error.detail}",
        hint=_hint(error),
        context={"reason": error.reason},
    )


def viewer_failure(error: MediaFailed) -> SanderlingError:
    """Code for a viewer offer that could not be answered after login."""
    if error.reason == "no_codec":
        return PlayError(
            ErrorCode.DECODER_UNSUPPORTED,
            f"no codec in common: {error.detail}",
            hint="offer to receive VP8 and Opus, which every stream of this server may be published in",
        )
    return PlayError(
        ErrorCode.PLAY_FAILED,
        f"the viewer transport could not be made: {error.detail}",
        hint=_hint(error) or "the offer must be receive-only SDP",
        context={"reason": error.reason},
    )


def _hint(error: MediaFailed) -> str:
    if error.reason in {"busy", "too_many_sessions"}:
        return "the server is full; try again later"
    if error.reason in {"closed", "worker_failed"}:
        return "the media engine is restarting; try again"
    return ""

"""The actions of the server API: their parameters, what they do, what they answer (server-api-reference, "Room")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from starlette.datastructures import QueryParams

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.ids import parse_room_id, parse_stream_id, parse_user
from sanderling.server.rooms.administration import Administration, Present, TooManyRules
from sanderling.signaling.messages import User

__all__ = ["ACTIONS", "ROOM_RATES", "Action", "ApiCode", "ApiError", "Call"]

HOST, AUDIENCE = 1, 2
"""UserRole: who publishes, and who does not."""
MOST_LISTED = 200
LOGIN = 1
"""DisabledPrivilege."""
USER_RULE = 3
"""RuleType."""
LONGEST_RULE_S = 86_400
LONGEST_NUMBER = 20
"""Digits; reading more of them takes time."""


class ApiCode(IntEnum):
    """What ``Code`` of an answer may be (product-facts 4.5)."""

    OK = 0
    FAILED = 1
    PARAMETER = 2
    TOO_LONG = 3
    ROOM_MISSING = 104
    APP_RATE = 206
    ROOM_RATE = 207
    CONTENT_EMPTY = 1008
    USER_OFFLINE = 50003
    LIST_TOO_LONG = 50011
    MESSAGE_TOO_LONG = 50012
    TOO_MANY_RULES = 50123
    APP_ID = 100000001
    TIMESTAMP_EMPTY = 100000002
    TIMESTAMP = 100000003
    SIGNATURE_EXPIRED = 100000004
    SIGNATURE_WRONG = 100000005
    ACTION_EMPTY = 100000006
    ACTION_UNKNOWN = 100000007
    NONCE_EMPTY = 100000008
    SIGNATURE_EMPTY = 100000009
    SECRET_NOT_FOUND = 100000010
    VERSION_EMPTY = 100000013
    VERSION = 100000014
    INTERNAL = 100000015


class ApiError(Exception):
    """A call that fails, with the ``Code`` and ``Message`` of its answer."""

    def __init__(self, code: ApiCode, message: str) -> None:
        super().__init__(message)
        self.code = code


_CODES: Mapping[ErrorCode, ApiCode] = {
    ErrorCode.MESSAGE_EMPTY: ApiCode.CONTENT_EMPTY,
    ErrorCode.MESSAGE_TOO_LONG: ApiCode.MESSAGE_TOO_LONG,
    ErrorCode.ROOM_ID_TOO_LONG: ApiCode.TOO_LONG,
    ErrorCode.USER_ID_TOO_LONG: ApiCode.TOO_LONG,
    ErrorCode.USER_NAME_TOO_LONG: ApiCode.TOO_LONG,
    ErrorCode.STREAM_ID_TOO_LONG: ApiCode.TOO_LONG,
}


def api_error(error: SanderlingError) -> ApiError:
    """The product's other numbering of what is wrong."""
    if isinstance(error, TooManyRules):
        return ApiError(ApiCode.TOO_MANY_RULES, error.message)
    return ApiError(_CODES.get(error.code, ApiCode.PARAMETER), error.message)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: whose, with what, and who carries it out."""

    app_id: int
    query: QueryParams
    rooms: Administration

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter; without ``default`` it has to be there."""
        value = self.query.get(name)
        if value:
            return value
        if default is None:
            raise ApiError(ApiCode.PARAMETER, f"{name} is missing")
        return default

    def many(self, name: str, most: int, *, required: bool = True) -> tuple[str, ...]:
        """A repeated parameter, ``Name[]=a&Name[]=b``."""
        values = tuple(self.query.getlist(f"{name}[]") or self.query.getlist(name))
        if len(values) > most:
            raise ApiError(ApiCode.LIST_TOO_LONG, f"{name} has {len(values)} entries, {most} allowed")
        if required and not values:
            raise ApiError(ApiCode.PARAMETER, f"{name}[] is missing")
        return values

    def number(self, name: str, default: int | None, lowest: int, highest: int) -> int:
        """A whole number between two bounds."""
        text = self.text(name, None if default is None else str(default))
        value = int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else -1
        if not lowest <= value <= highest:
            raise ApiError(ApiCode.PARAMETER, f"{name} is a whole number from {lowest} to {highest}")
        return value

    def room(self) -> str:
        """RoomId."""
        return parse_room_id(self.text("RoomId"))

    def sender(self, name: str = "UserId") -> User:
        """The user that a message is from; without a name it is called by its ID."""
        user_id = self.text(name)
        user_name = self.text("UserName", user_id)
        parse_user(user_id, user_name)
        return User(user_id, user_name)

    async def present_room(self) -> str:
        """RoomId; 104 when there is no such room."""
        room_id = self.room()
        if not await self.rooms.exists(self.app_id, room_id):
            raise ApiError(ApiCode.ROOM_MISSING, f"there is no room {room_id!r}")
        return room_id


Data = dict[str, Any] | None
Action = Callable[[Call], Awaitable[Data]]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _role(present: Present) -> int:
    return HOST if present.publishing else AUDIENCE


async def _kickout_user(call: Call) -> Data:
    room_id, users = call.room(), call.many("UserId", 5)
    reason = call.text("CustomReason", "")
    for user_id in users:
        await call.rooms.kick(call.app_id, room_id, user_id, reason)
    return None


async def _close_room(call: Call) -> Data:
    reason = call.text("CustomReason", "")
    room_id = await call.present_room()
    await call.rooms.close_room(call.app_id, room_id, reason)
    return None


async def _describe_user_num(call: Call) -> Data:
    counts = []
    for room_id in call.many("RoomId", 10):
        online = await call.rooms.online(call.app_id, parse_room_id(room_id))
        counts.append({"RoomId": room_id, "UserCount": online, "AdminUserCount": 0})
    return {"UserCountList": counts}


async def _describe_user_list(call: Call) -> Data:
    limit = call.number("Limit", MOST_LISTED, 1, MOST_LISTED)
    newest_first = call.number("Mode", 0, 0, 1) == 1
    present = await call.rooms.users(call.app_id, await call.present_room())
    if newest_first:
        present = present[::-1]
    first = _behind(present, call.text("Marker", ""))
    part = present[first : first + limit]
    marker = f"{first + limit}:{part[-1].session_id}" if first + limit < len(present) else ""
    users = [
        {"UserId": one.user.user_id, "UserName": one.user.user_name, "UserRole": _role(one)} for one in part
    ]
    return {"Marker": marker, "UserList": users}


def _behind(present: tuple[Present, ...], marker: str) -> int:
    """Where the part after ``marker`` begins: behind its session, or where that was when it has gone."""
    number, _, session_id = marker.partition(":")
    for position, one in enumerate(present):
        if session_id and one.session_id == session_id:
            return position + 1
    return (
        min(int(number), len(present)) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    )


async def _describe_users(call: Call) -> Data:
    wanted = call.many("UserId", 10)
    found = {one.user.user_id: one for one in await call.rooms.users(call.app_id, call.room())}
    states = []
    for user_id in wanted:
        one = found.get(user_id)
        states.append(
            {
                "UserId": user_id,
                "Status": int(one is not None),
                "LoginTime": _ms(one.since) if one is not None else 0,
                "UserRole": _role(one) if one is not None else 0,
            }
        )
    return {"UserStatusList": states}


async def _describe_streams(call: Call) -> Data:
    room_id = await call.present_room()
    streams = [
        {
            "StreamId": entry.stream_id,
            "UserId": entry.stream.user.user_id,
            "UserName": entry.stream.user.user_name,
            "CreateTime": _ms(entry.since),
            "StreamNumberId": entry.publisher.session if entry.publisher is not None else 0,
        }
        for entry in await call.rooms.streams(call.app_id, room_id)
        if entry.stream is not None
    ]
    return {"StreamList": streams}


async def _describe_rooms(call: Call) -> Data:
    rooms = []
    limit = call.number("Limit", MOST_LISTED, 1, MOST_LISTED)
    found = await call.rooms.rooms(call.app_id, after=call.text("Marker", ""), limit=limit + 1)
    for room_id in found[:limit]:
        online = await call.rooms.online(call.app_id, room_id)
        streams = await call.rooms.streams(call.app_id, room_id)
        rooms.append({"RoomId": room_id, "UserCount": online, "StreamCount": len(streams)})
    return {"Marker": found[limit - 1] if len(found) > limit else "", "RoomList": rooms}


async def _send_broadcast(call: Call) -> Data:
    call.number("MessageCategory", None, 1, 2)
    sender, text = call.sender(), call.query.get("MessageContent", "")
    room_id = await call.present_room()
    return {"MessageId": await call.rooms.broadcast(call.app_id, room_id, sender, text)}


async def _send_barrage(call: Call) -> Data:
    call.number("MessageCategory", None, 1, 2)
    sender, text = call.sender(), call.query.get("MessageContent", "")
    room_id = await call.present_room()
    return {"MessageId": str(await call.rooms.barrage(call.app_id, room_id, sender, text))}


async def _send_command(call: Call) -> Data:
    sender, text = call.sender("FromUserId"), call.query.get("MessageContent", "")
    to = call.many("ToUserId", 10, required=False)
    room_id = await call.present_room()
    missing = await call.rooms.command(call.app_id, room_id, sender, text, to)
    return {"FailUsers": [{"Uid": user_id, "Code": int(ApiCode.USER_OFFLINE)} for user_id in missing]}


def _user_rule(call: Call) -> str:
    if call.number("RuleType", None, 1, 4) != USER_RULE:
        raise ApiError(ApiCode.PARAMETER, "of RuleType only 3, a user, is installed here")
    user_id = call.text("UserId")
    parse_user(user_id, user_id)
    return user_id


async def _set_user_rule(call: Call) -> Data:
    user_id = _user_rule(call)
    if call.many("DisabledPrivilege", 2) != (str(LOGIN),):
        raise ApiError(ApiCode.PARAMETER, "of DisabledPrivilege only 1, the login, is installed here")
    seconds = call.number("EffectiveTime", None, 1, LONGEST_RULE_S)
    return {"ExpireTime": int(await call.rooms.forbid_user(call.app_id, user_id, seconds))}


async def _delete_user_rule(call: Call) -> Data:
    await call.rooms.allow_user(call.app_id, _user_rule(call))
    return None


async def _forbid_stream(call: Call) -> Data:
    call.text("Sequence")
    await call.rooms.forbid_stream(call.app_id, parse_stream_id(call.text("StreamId")))
    return None


async def _resume_stream(call: Call) -> Data:
    call.text("Sequence")
    await call.rooms.allow_stream(call.app_id, parse_stream_id(call.text("StreamId")))
    return None


async def _forbid_streams(call: Call) -> Data:
    call.text("Sequence")
    for stream_id in [parse_stream_id(stream_id) for stream_id in call.many("StreamId", 20)]:
        await call.rooms.forbid_stream(call.app_id, stream_id)
    return {}


async def _resume_streams(call: Call) -> Data:
    call.text("Sequence")
    for stream_id in [parse_stream_id(stream_id) for stream_id in call.many("StreamId", 20)]:
        await call.rooms.allow_stream(call.app_id, stream_id)
    return {}


async def _describe_stream_state(call: Call) -> Data:
    call.text("Sequence")
    found = await call.rooms.stream(call.app_id, parse_stream_id(call.text("StreamId")))
    return {"create_time": str(_ms(found.since)) if found is not None else "", "close_time": ""}


ACTIONS: Mapping[str, tuple[Action, float]] = {
    "KickoutUser": (_kickout_user, 50),
    "CloseRoom": (_close_room, 1),
    "DescribeUserNum": (_describe_user_num, 10),
    "DescribeUserList": (_describe_user_list, 200),
    "DescribeUsers": (_describe_users, 10),
    "DescribeSimpleStreamList": (_describe_streams, 50),
    "SendBroadcastMessage": (_send_broadcast, 100),
    "SendBarrageMessage": (_send_barrage, 100),
    "SendCustomCommand": (_send_command, 100),
    "SetForbidUserRule": (_set_user_rule, 10),
    "DelForbidUserRule": (_delete_user_rule, 10),
    "ForbidRTCStream": (_forbid_stream, 20),
    "ResumeRTCStream": (_resume_stream, 20),
    "ForbidRTCStreams": (_forbid_streams, 20),
    "ResumeRTCStreams": (_resume_streams, 20),
    "DescribeRTCStreamState": (_describe_stream_state, 40),
    # Not of the product, which has no way to ask for its rooms.
    "DescribeRooms": (_describe_rooms, 10),
}
"""By name: what it does, and how many calls a second one AppID may make."""

ROOM_RATES: Mapping[str, float] = {"DescribeUserList": 1, "DescribeSimpleStreamList": 0.1}
"""Of these, how many a second may be about one room (product-facts 4.2)."""

"""The server API: its signature, its codes, and what each action does to the rooms."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from sanderling.enums import PublisherState
from sanderling.server.app import create_app
from sanderling.server.http.server_api import ServerApi
from sanderling.server.source_limits import SourceLimits
from sanderling.server.storage.base import new_project
from sanderling.server_signature import sign, signed_parameters
from sanderling.signaling.messages import (
    BarrageNotice,
    BroadcastNotice,
    CommandNotice,
    Kicked,
    PublisherStateNotice,
    User,
)


class Backend:
    """A developer's back end: signs calls and makes them."""

    def __init__(self, world, project) -> None:
        self.project = project
        services = SimpleNamespace(
            rooms=world.rooms,
            storage=world.storage,
            config=SimpleNamespace(static=""),
            sources=SourceLimits(),
            draining=False,
        )
        self.app = create_app(cast(Any, services))
        self.steady = 0.0
        self.app.state.server_api = ServerApi(cast(Any, services), steady=lambda: self.steady)

    async def get(self, parameters: list[tuple[str, str]]) -> dict[str, Any]:
        transport = httpx.ASGITransport(app=cast(Any, self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/api/", params=parameters)
        assert response.status_code == 200
        answer = response.json()
        assert answer["RequestId"]
        return answer

    async def call(self, action: str, *more: tuple[str, str], **parameters: object) -> dict[str, Any]:
        signed = signed_parameters(self.project.app_id, self.project.server_secret, now=time.time())
        named = [(name, str(value)) for name, value in parameters.items()]
        return await self.get([("Action", action), *signed.items(), *named, *more])

    async def data(self, action: str, *more: tuple[str, str], **parameters: object) -> Any:
        answer = await self.call(action, *more, **parameters)
        assert (answer["Code"], answer["Message"]) == (0, "success")
        return answer.get("Data")


@pytest.fixture
def backend(world):
    # Not async: making the application reads files.
    project = new_project("test", l3=True, max_plays=12, now=world.now)
    world.storage.rows[project.app_id] = project
    return Backend(world, project)


async def meet(world, backend):
    """Host publishes "cam", guest is there; nothing is left unread."""
    host, guest = world.client("host"), world.client("guest")
    await host.login(backend.project, resumable=True)
    world.now += 1
    await guest.login(backend.project)
    await host.publish_live("cam")
    host.take(), guest.take()
    return host, guest


def test_the_signature_is_the_products():
    secret = "9193cc662a4c0ec135ec71fb57194b38"
    assert sign(12345, "4fd24687296dd9f3", secret, 1615186943) == "43e5cfcca828314675f91b001390566a"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AppId": "x"}, 100000001),
        ({"AppId": "0"}, 100000001),
        ({"AppId": "1"}, 100000010),
        ({"Timestamp": ""}, 100000002),
        ({"Timestamp": "now"}, 100000003),
        ({"Timestamp": "1615186943"}, 100000004),
        ({"Signature": "43e5cfcca828314675f91b001390566a"}, 100000005),
        ({"Signature": "\u2603"}, 100000005),
        ({"Action": ""}, 100000006),
        ({"Action": "KickEverybody"}, 100000007),
        ({"SignatureNonce": ""}, 100000008),
        ({"SignatureNonce": "0000000000000000"}, 100000005),
        ({"Signature": ""}, 100000009),
        ({"SignatureVersion": ""}, 100000013),
        ({"SignatureVersion": "1.0"}, 100000014),
    ],
)
async def test_a_call_that_is_not_signed_well(backend, changes, code):
    project = backend.project
    good = {"Action": "DescribeRooms"} | signed_parameters(
        project.app_id, project.server_secret, now=time.time()
    )
    assert (await backend.get(list(good.items())))["Code"] == 0
    answer = await backend.get(list((good | changes).items()))
    assert answer["Code"] == code
    assert answer["Message"]
    assert project.server_secret not in answer["Message"]


async def test_users_rooms_and_streams_are_listed(world, backend):
    await meet(world, backend)
    assert await backend.data("DescribeRooms") == {
        "Marker": "",
        "RoomList": [{"RoomId": "room", "UserCount": 2, "StreamCount": 1}],
    }
    count = await backend.data("DescribeUserNum", ("RoomId[]", "room"), ("RoomId[]", "nowhere"))
    assert [entry["UserCount"] for entry in count["UserCountList"]] == [2, 0]
    host = {"UserId": "host", "UserName": "Host", "UserRole": 1}
    guest = {"UserId": "guest", "UserName": "Guest", "UserRole": 2}
    assert (await backend.data("DescribeUserList", RoomId="room"))["UserList"] == [host, guest]
    backend.steady += 1
    assert (await backend.data("DescribeUserList", RoomId="room", Mode=1))["UserList"] == [guest, host]
    states = await backend.data("DescribeUsers", ("UserId[]", "host"), ("UserId[]", "x"), RoomId="room")
    there, away = states["UserStatusList"]
    assert (there["Status"], there["UserRole"], away["Status"]) == (1, 1, 0)
    assert there["LoginTime"] == 1_700_000_000_000
    (stream,) = (await backend.data("DescribeSimpleStreamList", RoomId="room"))["StreamList"]
    assert (stream["StreamId"], stream["UserId"]) == ("cam", "host")
    assert stream["CreateTime"] == 1_700_000_001_000
    state = await backend.data("DescribeRTCStreamState", StreamId="cam", Sequence=1)
    assert state["create_time"] == "1700000001000"


async def test_who_is_away_or_joining_is_not_listed_but_can_be_thrown_out(world, backend):
    host, guest = await meet(world, backend)
    late = world.client("late")
    world.native.hold("answered")
    joining = asyncio.create_task(late.send(late.login_message(backend.project)))
    await world.settle()
    await host.drop()
    await world.pass_time(6)
    rooms = await backend.data("DescribeRooms")
    assert rooms["RoomList"] == [{"RoomId": "room", "UserCount": 1, "StreamCount": 0}]
    (count,) = (await backend.data("DescribeUserNum", ("RoomId[]", "room")))["UserCountList"]
    assert count["UserCount"] == 1
    listed = await backend.data("DescribeUserList", RoomId="room")
    assert [user["UserId"] for user in listed["UserList"]] == ["guest"]
    wanted = [("UserId[]", name) for name in ("host", "guest", "late")]
    states = (await backend.data("DescribeUsers", *wanted, RoomId="room"))["UserStatusList"]
    assert [state["Status"] for state in states] == [0, 1, 0]
    await guest.logout()
    backend.steady += 1
    assert (await backend.data("DescribeUserList", RoomId="room"))["UserList"] == []
    # Nobody is seen there, and the room is not gone: it can be closed for those who are on their way.
    await backend.data("CloseRoom", RoomId="room")
    world.native.release()
    await joining
    for client in (host, guest, late):
        await client.drop()
    await world.assert_empty()


async def test_a_long_list_comes_in_parts_while_users_come_and_go(world, backend):
    clients = [world.client(f"user{number}") for number in range(7)]
    for client in clients:
        await client.login(backend.project)
    first = await backend.data("DescribeUserList", RoomId="room", Limit=3)
    # The one that the marker names goes, and so does one behind it.
    await clients[2].logout()
    await clients[4].logout()
    backend.steady += 1
    second = await backend.data("DescribeUserList", RoomId="room", Limit=3, Marker=first["Marker"])
    names = [user["UserId"] for part in (first, second) for user in part["UserList"]]
    assert names == ["user0", "user1", "user2", "user5", "user6"]
    assert second["Marker"] == ""
    backend.steady += 1
    assert (await backend.data("DescribeUserList", RoomId="room", Marker="what:ever"))["UserList"]


@pytest.mark.parametrize(("action", "every_s"), [("DescribeUserList", 1), ("DescribeSimpleStreamList", 10)])
async def test_a_room_may_be_looked_at_so_often(world, backend, monkeypatch, action, every_s):
    for room_id in ("room", "other", "third"):
        await world.client(f"user-of-{room_id}").login(backend.project, room_id)
    await backend.data(action, RoomId="room")
    assert (await backend.call(action, RoomId="room"))["Code"] == 207
    # Neither another room nor another action of the same one.
    await backend.data(action, RoomId="other")
    await backend.data("DescribeUserNum", ("RoomId[]", "room"))
    backend.steady += every_s * 0.9
    assert (await backend.call(action, RoomId="room"))["Code"] == 207
    backend.steady += every_s * 0.1 + 1e-6
    await backend.data(action, RoomId="room")
    # What is remembered is bounded: the room longest not asked for is forgotten.
    await backend.data(action, RoomId="other")
    monkeypatch.setattr("sanderling.server.http.server_api.LARGEST_TABLE", 2)
    await backend.data(action, RoomId="third")
    assert (await backend.call(action, RoomId="other"))["Code"] == 207
    await backend.data(action, RoomId="room")


async def test_many_rooms_come_in_parts(world, backend):
    for number in range(5):
        await world.client(f"user{number}").login(backend.project, f"room{number}")
    found, marker = [], ""
    for _ in range(3):
        part = await backend.data("DescribeRooms", Limit=2, Marker=marker)
        assert len(part["RoomList"]) <= 2
        found += [room["RoomId"] for room in part["RoomList"]]
        marker = part["Marker"]
    assert (found, marker) == ([f"room{number}" for number in range(5)], "")
    assert (await backend.call("DescribeRooms", Limit=201))["Code"] == 2


async def test_a_room_that_is_not_there(backend):
    for action in ("DescribeUserList", "DescribeSimpleStreamList", "CloseRoom"):
        assert (await backend.call(action, RoomId="nowhere"))["Code"] == 104
    # As in the product: whoever is not there is gone.
    assert (await backend.call("KickoutUser", ("UserId[]", "x"), RoomId="nowhere"))["Code"] == 0


async def test_a_user_is_kicked_with_a_reason(world, backend):
    host, guest = await meet(world, backend)
    await backend.data("KickoutUser", ("UserId[]", "host"), RoomId="room", CustomReason="spoilers")
    await world.settle()
    assert host.take() == [Kicked(1002055, "removed by the server", custom_reason="spoilers")]
    assert [type(message).__name__ for message in guest.take()] == ["StreamNotice", "UserNotice"]
    too_many = [("UserId[]", str(number)) for number in range(6)]
    assert (await backend.call("KickoutUser", *too_many, RoomId="room"))["Code"] == 50011
    long = await backend.call("KickoutUser", ("UserId[]", "guest"), RoomId="room", CustomReason="x" * 257)
    assert long["Code"] == 2
    assert guest.outbox.closed == ""


async def test_a_room_is_closed(world, backend):
    host, guest = await meet(world, backend)
    await backend.data("CloseRoom", RoomId="room", CustomReason="the end")
    await world.settle()
    for client in (host, guest):
        assert Kicked(1002055, "removed by the server", custom_reason="the end") in client.take()
    # One a second, for the whole AppID.
    assert (await backend.call("CloseRoom", RoomId="room"))["Code"] == 206


@pytest.mark.parametrize("several", [False, True])
async def test_a_stream_is_forbidden_until_it_is_resumed(world, backend, several):
    host, _ = await meet(world, backend)
    actions = ("ForbidRTCStreams", "ResumeRTCStreams") if several else ("ForbidRTCStream", "ResumeRTCStream")
    named = ("StreamId[]" if several else "StreamId", "cam")
    await backend.data(actions[0], named, Sequence=1)
    await world.settle()
    (ended,) = host.take()
    assert isinstance(ended, PublisherStateNotice)
    assert (ended.state, ended.code) == (PublisherState.NO_PUBLISH, 1003025)
    world.now += 3000
    await host.expect_error(host.publish_message("cam"), 1003025)
    await backend.data(actions[1], named, Sequence=2)
    await host.publish_live("cam")


async def test_a_user_is_shut_out_and_let_in_again(world, backend):
    _, guest = await meet(world, backend)
    rule = {"RuleType": 3, "UserId": "guest"}
    until = await backend.data("SetForbidUserRule", ("DisabledPrivilege[]", "1"), **rule, EffectiveTime=60)
    assert until == {"ExpireTime": 1_700_000_061}
    assert guest.outbox.closed == ""
    again = world.client("guest")
    await again.expect_error(again.login_message(backend.project), 1002066)
    await backend.data("DelForbidUserRule", **rule)
    await again.login(backend.project)
    for wrong in ({"RuleType": 2}, {"EffectiveTime": 0}, {"EffectiveTime": 86_401}, {"UserId": "a b"}):
        answer = await backend.call(
            "SetForbidUserRule", ("DisabledPrivilege[]", "1"), **({**rule, "EffectiveTime": 60} | wrong)
        )
        assert answer["Code"] == 2


@pytest.mark.parametrize(
    "number", ["201", "-1", "1" + "0" * 30, "0" * 19 + "1" + "9" * 9, "9" * 5000, "\u0661", "1e2"]
)
async def test_a_number_beyond_its_bounds_is_refused_however_it_is_written(world, backend, number):
    await meet(world, backend)
    assert (await backend.call("DescribeUserList", RoomId="room", Limit=number))["Code"] == 2


async def test_two_hundred_users_may_be_shut_out(world, backend):
    administration, app_id = world.rooms.administration, backend.project.app_id
    for number in range(199):
        await administration.forbid_user(app_id, f"user{number}", 60)
    rule = {"RuleType": 3, "EffectiveTime": 60}
    login = ("DisabledPrivilege[]", "1")
    await backend.data("SetForbidUserRule", login, **rule, UserId="the-200th")
    refused = await backend.call("SetForbidUserRule", login, **rule, UserId="one-more")
    assert (refused["Code"], refused["Message"]) == (
        50123,
        "200 others are shut out of the project already",
    )
    await world.client("one-more").login(backend.project)
    await backend.data("DelForbidUserRule", RuleType=3, UserId="user7")
    await backend.data("SetForbidUserRule", login, **rule, UserId="one-more")


async def test_messages_of_the_server(world, backend):
    host, guest = await meet(world, backend)
    chat = {"RoomId": "room", "UserId": "guest", "UserName": "G", "MessageCategory": 2}
    sent = await backend.data("SendBroadcastMessage", **chat, MessageContent="hello")
    said = await backend.data("SendBarrageMessage", **chat, MessageContent="hi")
    # Whose name it is under does not get it.
    assert guest.take() == []
    first, second = host.take()
    assert isinstance(first, BroadcastNotice)
    assert isinstance(second, BarrageNotice)
    assert (first.text, first.user, first.message_id) == ("hello", User("guest", "G"), sent["MessageId"])
    assert said["MessageId"] == str(second.message_id)
    assert second.message_id > first.message_id
    command = {"RoomId": "room", "FromUserId": "director", "MessageContent": "cut"}
    failed = await backend.data("SendCustomCommand", ("ToUserId[]", "host"), ("ToUserId[]", "x"), **command)
    assert failed == {"FailUsers": [{"Uid": "x", "Code": 50003}]}
    (notice,) = host.take()
    assert isinstance(notice, CommandNotice)
    assert guest.take() == []
    assert await backend.data("SendCustomCommand", ("ToUserId[]", "x"), **command)
    assert host.take() == guest.take() == []
    await backend.data("SendCustomCommand", **command)
    assert [len(client.take()) for client in (host, guest)] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"MessageContent": ""}, 1008),
        ({"MessageContent": "x" * 1025}, 50012),
        ({"MessageCategory": 3}, 2),
        ({"UserId": ""}, 2),
        ({"UserId": "x" * 65}, 3),
        ({"RoomId": "x" * 129}, 3),
        ({"RoomId": "elsewhere"}, 104),
    ],
)
async def test_messages_that_cannot_be_sent(world, backend, changes, code):
    await meet(world, backend)
    good = {"RoomId": "room", "UserId": "guest", "MessageCategory": 1, "MessageContent": "hello"}
    assert (await backend.call("SendBroadcastMessage", **(good | changes)))["Code"] == code
    assert (await backend.call("SendBarrageMessage", **(good | changes)))["Code"] == code

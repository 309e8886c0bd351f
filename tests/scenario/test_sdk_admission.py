"""Whom a project admits, as the SDK is told it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sanderling import (
    Engine,
    EngineProfile,
    RoomConfig,
    RoomError,
    RoomMode,
    RoomStateReason,
    SanderlingError,
    User,
)
from sanderling.testing import server
from scenario.cut_proxy import cut_proxy
from scenario.town import town
from unit.sdk.recorder import Recorder

ALICE = User("alice", "alice")
DENIED = {"denied_addresses": "127.0.0.0/8"}


async def test_an_address_that_is_denied_later_cannot_come_back() -> None:
    """Who is there stays as long as the connection lasts; neither its session nor a new login is admitted then."""
    heard, refused = Recorder(), Recorder()
    async with server() as node, cut_proxy(node.port) as proxy:
        project = await node.create_project()
        config = RoomConfig(token=node.token(project, "alice"), custom_data="seat 7")
        profile = EngineProfile(app_id=project.app_id, server=proxy.url)
        async with Engine(profile, heard) as engine, Engine(profile, refused) as other:
            room = await engine.login_room("r", ALICE, config)
            [described] = (await node.snapshot())["rooms"]
            assert described["members"][0]["custom_data"] == "seat 7"
            await node.change_project(project, **DENIED)
            await room.send_broadcast_message("still here")
            with pytest.raises(SanderlingError) as caught:
                await other.login_room("r", User("bob", "bob"), RoomConfig(token=node.token(project, "bob")))
            assert int(caught.value.code) == 1000039
            await refused.until_call("room", "r", RoomStateReason.LOGIN_FAILED, 1000039)
            proxy.cut()
            await heard.until_call("room", "r", RoomStateReason.RECONNECT_FAILED, 1000039)
            # Admitted again, a login is all it takes.
            await node.change_project(project, denied_addresses="")
            await engine.login_room("r", ALICE, config)


async def test_several_rooms_are_for_those_who_may() -> None:
    async with town() as it:
        await it.node.change_project(it.project, multi_room_users="host-*")
        for user, admitted in (("host-1", True), ("guest-1", False)):
            engine = it.engine(room_mode=RoomMode.MULTI_ROOM)
            await engine.login_room("one", User(user, user), it.config(user))
            second = engine.login_room("two", User(user, user), replace(it.config(user), custom_data="x"))
            if admitted:
                assert (await second).id == "two"
                continue
            with pytest.raises(RoomError) as caught:
                await second
            assert int(caught.value.code) == 1002063
            assert list(engine.rooms) == ["one"]

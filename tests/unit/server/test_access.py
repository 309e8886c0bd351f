"""Whom a project admits: by address, and to several rooms; and what else a login is refused for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sanderling.errors import SanderlingError
from sanderling.server.rooms import access
from sanderling.server.storage.settings import (
    ProjectSettings,
    change_settings,
    decode_settings,
    encode_settings,
)
from sanderling.signaling.messages import Resume, RoomConfig, SessionKey, SwitchRoom

HERE = "192.0.2.1:50000"


@pytest.mark.parametrize(
    ("allowed", "denied", "origin", "admitted"),
    [
        ((), (), HERE, True),
        ((), (), "", True),
        (("192.0.2.0/24",), (), HERE, True),
        (("192.0.2.1",), (), HERE, True),
        (("198.51.100.0/24",), (), HERE, False),
        ((), ("192.0.2.0/24",), HERE, False),
        (("192.0.2.0/24",), ("192.0.2.1/32",), HERE, False),
        (("192.0.2.0/24",), ("192.0.2.2",), HERE, True),
        (("2001:db8::/32",), (), "[2001:db8::7]:51000", True),
        (("2001:db8::/32",), (), "2001:db8::7", True),
        (("2001:db8::/32",), (), HERE, False),
        ((), ("0.0.0.0/0",), "[2001:db8::7]:51000", True),
        # Whoever comes from nowhere is none of those allowed, and none of those denied.
        (("0.0.0.0/0", "::/0"), (), "", False),
        ((), ("0.0.0.0/0", "::/0"), "", True),
    ],
)
def test_an_address_is_admitted_or_not(allowed, denied, origin, admitted):
    settings = ProjectSettings(allowed_addresses=allowed, denied_addresses=denied)
    if admitted:
        access.check_address(settings, origin)
        return
    with pytest.raises(SanderlingError) as caught:
        access.check_address(settings, origin)
    assert int(caught.value.code) == 1000039
    assert "192.0.2" not in str(caught.value)  # the rules are the operator's business


async def test_an_address_that_is_not_admitted_can_neither_log_in_nor_resume_nor_switch(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    login = await alice.login(project, resumable=True)
    await world.storage.update_project(project.app_id, settings={"denied_addresses": "192.0.2.0/24"})
    await bob.expect_error(bob.login_message(project), 1000039)
    assert alice.connection.logged_in
    await alice.expect_error(SwitchRoom(alice.next_seq(), "other"), 1000039)
    await alice.drop()
    again = world.client("alice")
    await again.expect_error(Resume(again.next_seq(), login.session_id, login.secret, 0), 1000039)
    await world.storage.update_project(project.app_id, settings={"denied_addresses": ""})
    await alice.resume(login, 0)
    await bob.login(project)


@pytest.mark.parametrize(
    "changes",
    [
        {"allowed_addresses": "192.0.2.1/24"},  # bits behind the network: which of the two was meant?
        {"denied_addresses": "everybody"},
        {"allowed_addresses": ("10.0.0.1",) * 257},
        {"multi_room_users": ("a",) * 257},
    ],
)
def test_rules_that_are_none_are_refused(changes):
    with pytest.raises(SanderlingError) as caught:
        change_settings(ProjectSettings(), changes)
    assert int(caught.value.code) == 1000017


def test_lists_are_read_from_text_and_kept():
    changed = change_settings(
        ProjectSettings(), {"allowed_addresses": "10.0.0.0/8, ::1", "multi_room_users": "host-*"}
    )
    assert changed.allowed_addresses == ("10.0.0.0/8", "::1")
    assert decode_settings(encode_settings(changed)) == changed


@pytest.mark.parametrize(
    ("users", "admitted"), [((), True), (("alice",), True), (("al*", "x"), True), (("bob", "?lice"), False)]
)
async def test_a_second_room_takes_the_permission_for_it(world, users, admitted):
    project = await world.project(settings={"multi_room_users": users})
    first, second = world.client("alice"), world.client("alice")
    login = await first.login(project, "one")
    beside = SessionKey(login.session_id, login.secret)
    if admitted:
        await second.login(project, "two", beside=beside)
        return
    await second.expect_error(second.login_message(project, "two", beside=beside), 1002063)
    assert first.connection.logged_in
    assert first.take() == []


async def test_custom_data_is_kept_for_the_operator_and_has_its_limit(world):
    project = await world.project()
    alice, bob = world.client("alice"), world.client("bob")
    await alice.login(project, config=RoomConfig(custom_data="é" * 64))
    assert alice.connection.member.custom_data == "é" * 64
    (room,) = world.rooms.describe()
    assert room["members"][0]["custom_data"] == "é" * 64
    too_long = RoomConfig(custom_data="é" * 64 + "x")
    await bob.expect_error(bob.login_message(project, config=too_long), 1002083)
    await alice.expect_error(SwitchRoom(alice.next_seq(), "other", config=too_long), 1002083)
    assert alice.connection.logged_in


async def test_a_token_that_the_server_cannot_check_is_not_the_clients_fault(world):
    """A stored ServerSecret that is damaged: no token of the project can be told good from bad."""
    project = await world.project()
    alice = world.client("alice")
    login = alice.login_message(project)
    world.storage.rows[project.app_id] = replace(project, server_secret=project.server_secret[:-1])
    error = await alice.expect_error(login, 1002074)
    assert project.server_secret[:-1] not in error.message + error.hint
    await alice.drop()
    await world.assert_empty()

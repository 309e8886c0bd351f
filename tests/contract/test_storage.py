"""What every storage must do. ``make(where)``: one that is not open yet; those of one place share what they keep."""

from __future__ import annotations

import asyncio

import pytest

from sanderling.errors import SanderlingError
from sanderling.server.storage import SqliteStorage
from sanderling.server.storage.settings import ProjectSettings

CREATED = 1_700_000_000


def sqlite(where):
    return SqliteStorage(where, clock=lambda: CREATED + 0.5)


IMPLEMENTATIONS = [sqlite]


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request):
    return request.param


@pytest.fixture
async def storage(make, tmp_path):
    made = make(tmp_path / "state")
    await made.open()
    yield made
    await made.aclose()


async def test_a_new_project_has_fresh_secrets_and_l3_off(storage):
    one, two = await storage.create_project("one"), await storage.create_project(" two ")
    assert 0 < one.app_id < 2**32
    assert one.app_id != two.app_id
    assert (len(one.app_sign), len(one.server_secret)) == (64, 32)
    assert int(one.app_sign, 16) >= 0
    assert one.server_secret != two.server_secret
    assert (one.l3, one.max_plays, one.created, two.name) == (False, 12, CREATED, "two")
    assert await storage.project(one.app_id) == one
    assert {p.app_id for p in await storage.projects()} == {one.app_id, two.app_id}


async def test_secrets_do_not_show_in_a_repr(storage):
    project = await storage.create_project("one")
    assert project.server_secret not in repr(project)
    assert project.app_sign not in repr(project)


async def test_an_unknown_project_is_none_and_cannot_be_changed(storage):
    assert await storage.project(5) is None
    with pytest.raises(SanderlingError) as caught:
        await storage.update_project(5, l3=True)
    assert int(caught.value.code) == 1001004


async def test_only_what_is_named_changes(storage):
    project = await storage.create_project("one")
    changed = await storage.update_project(project.app_id, l3=True)
    assert (changed.l3, changed.max_plays, changed.name) == (True, 12, "one")
    changed = await storage.update_project(project.app_id, max_plays=16, name="new")
    assert (changed.l3, changed.max_plays, changed.name) == (True, 16, "new")
    assert changed.server_secret == project.server_secret


async def test_settings_change_one_by_one_and_the_rest_keeps_its_default(storage):
    project = await storage.create_project("one")
    assert project.settings == ProjectSettings()
    await storage.update_project(project.app_id, settings={"silent_s": "60"})
    changed = await storage.update_project(project.app_id, settings={"token_expired": "kick"}, l3=True)
    assert changed.settings == ProjectSettings(silent_s=60, token_expired="kick")
    assert changed.l3
    assert await storage.project(project.app_id) == changed


@pytest.mark.parametrize(
    "changes",
    [{"max_plays": 0}, {"max_plays": 17}, {"name": ""}, {"name": "x" * 65}, {"name": "a\nb"}]
    + [{"settings": changes} for changes in ({"silent_s": 4}, {"max_rooms": 0}, {"x": 1}, {"l3_off": "no"})],
)
async def test_impossible_values_are_refused(storage, changes):
    project = await storage.create_project("one")
    with pytest.raises(SanderlingError) as caught:
        await storage.update_project(project.app_id, **changes)
    assert int(caught.value.code) == 1000017
    assert await storage.project(project.app_id) == project


async def test_another_opening_sees_what_was_committed_at_once(storage, make, tmp_path):
    project = await storage.create_project("one")
    other = make(tmp_path / "state")
    await other.open()
    try:
        await other.update_project(project.app_id, l3=True)
        found = await storage.project(project.app_id)
        assert found is not None
        assert found.l3
    finally:
        await other.aclose()


async def test_what_another_process_commits_is_seen_by_the_next_read(storage, make, tmp_path):
    """However soon after the former it comes, and whatever was read before."""
    project = await storage.create_project("one")
    other = make(tmp_path / "state")
    await other.open()
    try:
        for number in range(100):
            plays = number % 16 + 1
            await other.update_project(project.app_id, max_plays=plays)
            for _ in range(2):
                found = await storage.project(project.app_id)
                assert found is not None
                assert found.max_plays == plays
    finally:
        await other.aclose()


async def test_several_may_open_a_new_place_at_once(make, tmp_path):
    storages = [make(tmp_path / "new") for _ in range(4)]
    try:
        await asyncio.gather(*(storage.open() for storage in storages))
        await asyncio.gather(*(storage.create_project("x") for storage in storages))
        assert len(await storages[0].projects()) == 4
    finally:
        for storage in storages:
            await storage.aclose()


async def test_a_closed_storage_fails_its_check(storage):
    await storage.check()
    await storage.aclose()
    await storage.aclose()
    with pytest.raises(SanderlingError):
        await storage.check()

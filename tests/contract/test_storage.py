"""What every storage must do, and what the SQLite one does with its files."""

from __future__ import annotations

import asyncio
import stat

import pytest
from sqlalchemy import create_engine, event, inspect

from sanderling.errors import SanderlingError
from sanderling.server.storage import SqliteStorage, sqlite
from sanderling.server.storage.settings import ProjectSettings
from sanderling.server.storage.tables import metadata


@pytest.fixture
async def storage(tmp_path):
    made = SqliteStorage(tmp_path / "state", clock=lambda: 1_700_000_000.5)
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
    assert (one.l3, one.max_plays, one.created, two.name) == (False, 12, 1_700_000_000, "two")
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


async def test_another_opening_sees_what_was_committed_at_once(storage, tmp_path):
    project = await storage.create_project("one")
    other = SqliteStorage(tmp_path / "state")
    await other.open()
    try:
        await other.update_project(project.app_id, l3=True)
        found = await storage.project(project.app_id)
        assert found is not None
        assert found.l3
    finally:
        await other.aclose()


async def test_reads_that_come_together_are_few_and_each_sees_what_was_committed_before(storage, tmp_path):
    project = await storage.create_project("one")
    statements = []
    event.listen(
        storage._opened().sync_engine, "before_cursor_execute", lambda *seen: statements.append(seen[2])
    )
    early = [asyncio.create_task(storage.project(project.app_id)) for _ in range(50)]
    other = SqliteStorage(tmp_path / "state")
    await other.open()
    try:
        await other.update_project(project.app_id, l3=True)
        late = [asyncio.create_task(storage.project(project.app_id)) for _ in range(50)]
        early[0].cancel()
        assert [(await task).l3 for task in late] == [True] * 50
        assert {task.result().app_id for task in early[1:] if task.done()} <= {project.app_id}
        await asyncio.gather(*early[1:])
        assert 1 <= len(statements) <= 3
        assert await storage.project(project.app_id + 1) is None
    finally:
        await other.aclose()


async def test_what_another_process_commits_is_seen_by_the_next_read(storage, tmp_path):
    """However soon after the former it comes, and whatever was read before."""
    project = await storage.create_project("one")
    other = SqliteStorage(tmp_path / "state")
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


async def test_a_project_is_read_again_only_after_a_commit(storage, tmp_path):
    project = await storage.create_project("one")
    await storage.project(project.app_id)
    statements = []
    event.listen(
        storage._opened().sync_engine, "before_cursor_execute", lambda *seen: statements.append(seen[2])
    )
    assert await storage.project(project.app_id) == project
    assert statements == []
    other = SqliteStorage(tmp_path / "state")
    await other.open()
    try:
        for on in (True, False) * 10:
            await other.update_project(project.app_id, l3=on)
            found = await storage.project(project.app_id)
            assert found is not None
            assert found.l3 is on
        assert len(statements) == 20
    finally:
        await other.aclose()


async def test_a_read_is_not_believed_for_long(storage, monkeypatch):
    project = await storage.create_project("one")
    monkeypatch.setattr(sqlite, "_version", lambda _path: ())
    await storage.project(project.app_id)
    await storage.update_project(project.app_id, l3=True)
    monkeypatch.setattr(sqlite, "HELD_SECONDS", 0.0)
    found = await storage.project(project.app_id)
    assert found is not None
    assert found.l3


async def test_several_may_open_a_new_folder_at_once(tmp_path):
    storages = [SqliteStorage(tmp_path / "new") for _ in range(4)]
    try:
        await asyncio.gather(*(storage.open() for storage in storages))
        await asyncio.gather(*(storage.create_project("x") for storage in storages))
        assert len(await storages[0].projects()) == 4
    finally:
        for storage in storages:
            await storage.aclose()


async def test_files_are_for_their_owner_only(storage):
    folder = storage.path.parent
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes.pop("state") == 0o700
    assert set(modes.values()) == {0o600}


async def test_the_migrations_make_what_the_tables_say(storage):
    engine = create_engine(f"sqlite:///{storage.path}")
    try:
        for table in metadata.sorted_tables:
            found = {column["name"]: column for column in inspect(engine).get_columns(table.name)}
            assert set(found) == {column.name for column in table.columns}
            for column in table.columns:
                assert found[column.name]["nullable"] == column.nullable
            checks = {check["name"] for check in inspect(engine).get_check_constraints(table.name)}
            assert checks == {"projects_app_id_uint32", "projects_max_plays_range"}
    finally:
        engine.dispose()


async def test_a_file_that_is_no_database_is_said_in_a_sentence(tmp_path):
    (tmp_path / "sanderling.db").write_bytes(b"no database" * 1000)
    storage = SqliteStorage(tmp_path)
    with pytest.raises(SanderlingError) as caught:
        await storage.open()
    assert "sanderling.db" in caught.value.message
    assert "--state" in caught.value.hint


async def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    storage = SqliteStorage(tmp_path / "file" / "state")
    with pytest.raises(SanderlingError) as caught:
        await storage.open()
    assert "--state" in caught.value.hint


async def test_a_file_that_was_taken_away_fails_the_check(storage):
    """The open file can still be read, but what the command line writes goes to another one."""
    other = storage.path.with_name("other")
    # Made while the first one is there, so that it cannot get its inode.
    other.write_bytes(storage.path.read_bytes())
    storage.path.unlink()
    with pytest.raises(FileNotFoundError):
        await storage.check()
    other.rename(storage.path)
    with pytest.raises(FileNotFoundError):
        await storage.check()


async def test_a_closed_storage_fails_its_check(storage):
    await storage.check()
    await storage.aclose()
    await storage.aclose()
    with pytest.raises(SanderlingError):
        await storage.check()


async def test_a_query_whose_caller_is_gone_is_carried_out_before_the_end(storage):
    """Else the driver's thread would report to a loop that is closed by then."""
    caller = asyncio.create_task(storage.create_project("one"))
    while not storage.under_way:
        await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert storage.under_way
    await storage.aclose()
    assert not storage.under_way

    again = SqliteStorage(storage.path.parent)
    await again.open()
    assert [project.name for project in await again.projects()] == ["one"]
    await again.aclose()

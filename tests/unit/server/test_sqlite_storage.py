"""What the SQLite storage does with its files, and how seldom it reads them."""

from __future__ import annotations

import asyncio
import stat

import pytest
from sqlalchemy import create_engine, event, inspect

from sanderling.errors import SanderlingError
from sanderling.server.storage import SqliteStorage, sqlite
from sanderling.server.storage.tables import metadata


@pytest.fixture
async def storage(tmp_path):
    made = SqliteStorage(tmp_path / "state")
    await made.open()
    yield made
    await made.aclose()


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


async def test_several_folders_are_opened_at_once(tmp_path):
    storages = [SqliteStorage(tmp_path / str(number)) for number in range(8)]
    try:
        await asyncio.gather(*(storage.open() for storage in storages))
        made = [await storage.create_project("one") for storage in storages]
        for storage, project in zip(storages, made, strict=True):
            assert [held.app_id for held in await storage.projects()] == [project.app_id]
    finally:
        for storage in storages:
            await storage.aclose()

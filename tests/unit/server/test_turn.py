from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.turn import TurnServers, read_secret
from sanderling.signaling.messages import Login, LoginOk, User
from sanderling.testing.fake_engine import make_offer

NOW = 1_700_000_000.9
# printf '1700086400:alice' | openssl dgst -sha1 -hmac s3cret -binary | base64
ALICE = "HJX0XIkrCiQCuU88Z0oeXj+QW60="


def test_credentials_are_those_that_coturn_computes() -> None:
    (server,) = TurnServers(["192.0.2.1:3478"], "s3cret", ttl_s=86_400)("alice", NOW)
    assert server.urls == ("turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp")
    assert server.username == "1700086400:alice"
    assert server.credential == ALICE


def test_every_user_and_every_time_has_its_own() -> None:
    servers = TurnServers(["a.example:3478"], "s3cret", ttl_s=60)
    credentials = {servers(user, now)[0].credential for user in ("alice", "bob") for now in (NOW, NOW + 1)}
    assert len(credentials) == 4


def test_without_servers_there_is_nothing() -> None:
    assert TurnServers([], "", ttl_s=60)("alice", NOW) == ()


def test_the_credential_is_in_no_text() -> None:
    (server,) = TurnServers(["a.example:3478"], "s3cret", ttl_s=60)("alice", NOW)
    reply = LoginOk(1, "s", 0, 0, 0, ice_servers=(server,))
    assert server.credential not in repr(server)
    assert server.credential not in repr(reply)


def test_the_secret_is_one_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert read_secret(str(file)) == "s3cret"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SanderlingError, match=str(file)) as refused:
        read_secret(str(file))
    assert refused.value.code == ErrorCode.ILLEGAL_PARAMETER


async def test_the_login_brings_them(world) -> None:
    project = await world.project()
    world.context.ice_servers = TurnServers(["a.example:3478"], "s3cret", ttl_s=60)
    client = world.client("alice")
    login = Login(
        1, project.app_id, "room", User("alice", "Alice"), token=world.token(project, "alice"),
        viewer_offer=make_offer("recvonly", audio=2, video=2),
    )  # fmt: skip
    reply = await client.expect(login, LoginOk)
    assert [server.username for server in reply.ice_servers] == [f"{int(world.now) + 60}:alice"]

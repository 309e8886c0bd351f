"""A node with a self-signed certificate: the SDK over wss, and what plain clients get."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request

import pytest

from sanderling import TLS, Engine, EngineProfile, ErrorCode, RoomConfig, SanderlingError, User
from sanderling.testing import server

LIMIT_S = 30.0


def get(url: str) -> dict[str, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=10, context=context) as reply:
        return dict(json.loads(reply.read()))


async def test_a_login_over_a_pinned_certificate() -> None:
    async with asyncio.timeout(LIMIT_S), server(tls="self-signed") as node:
        assert await asyncio.to_thread(get, f"{node.url}/healthz") == {"status": "ok"}
        project = await node.create_project()
        room = RoomConfig(token=node.token(project, "alice"))
        file = node.state / "tls/certificate.pem"
        for tls in (TLS(fingerprint=node.fingerprint), TLS(ca_file=file)):
            async with Engine(EngineProfile(app_id=project.app_id, server=node.url, tls=tls)) as engine:
                joined = await engine.login_room("room", User("alice", "Alice"), room)
                assert joined.id == "room"
                await joined.logout()
        wrong = EngineProfile(app_id=project.app_id, server=node.url, tls=TLS(fingerprint="00" * 32))
        async with Engine(wrong) as engine:
            with pytest.raises(SanderlingError) as refused:
                await engine.login_room("room", User("alice", "Alice"), room)
        assert refused.value.code == ErrorCode.LOGIN_FAILED
        assert node.fingerprint in refused.value.message


async def test_a_connection_that_never_finishes_its_handshake_does_no_harm() -> None:
    async with asyncio.timeout(LIMIT_S), server(tls="self-signed") as node:
        idle = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(20)]
        for _, writer in idle[:10]:
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await asyncio.to_thread(get, f"{node.url}/healthz") == {"status": "ok"}
        for _, writer in idle:
            writer.close()

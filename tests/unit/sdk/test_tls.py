from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sanderling import TLS, Engine, EngineProfile, ErrorCode, RoomConfig, RoomError, SanderlingError, User
from sanderling.sdk.tls import make_context
from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, prepare_certificate

LIMIT_S = 20.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    config = ServerConfig(tls="self-signed", state=str(tmp_path_factory.mktemp("state")))
    made = prepare_certificate(config, ["127.0.0.1"], now=dt.datetime.now(dt.UTC))
    assert made is not None
    return made


class Listener:
    """A TLS server that keeps what it is sent and answers nothing but that it is no WebSocket server."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0
        self.gone = asyncio.Event()
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                self.received += data
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                writer.close()
        writer.close()
        self.gone.set()


@pytest.fixture
async def listener(certificate: Certificate) -> AsyncIterator[Listener]:
    listener = Listener()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = await asyncio.start_server(listener.take, "127.0.0.1", 0, ssl=context)
    listener.port = server.sockets[0].getsockname()[1]
    yield listener
    server.close()
    await server.wait_closed()


async def refused(listener: Listener, tls: TLS | None, *, scheme: str = "wss") -> SanderlingError:
    profile = EngineProfile(app_id=1, server=f"{scheme}://127.0.0.1:{listener.port}", tls=tls)
    async with asyncio.timeout(LIMIT_S), Engine(profile) as engine:
        with pytest.raises(SanderlingError) as caught:
            await engine.login_room("room", User("alice", "Alice"), RoomConfig(token="a-token"))
    return caught.value


async def test_a_wrong_fingerprint_shows_both_and_nothing_is_sent(
    listener: Listener, certificate: Certificate
) -> None:
    wrong = ":".join(["00"] * 32)
    error = await refused(listener, TLS(fingerprint=wrong))
    assert isinstance(error, RoomError)
    assert error.code == ErrorCode.LOGIN_FAILED
    assert wrong in error.message
    assert certificate.fingerprint in error.message
    await listener.gone.wait()
    assert (listener.connections, listener.received) == (1, b"")


async def test_the_right_fingerprint_lets_the_request_out(
    listener: Listener, certificate: Certificate
) -> None:
    for written in (certificate.fingerprint, certificate.fingerprint.replace(":", "").lower()):
        listener.received = b""
        error = await refused(listener, TLS(fingerprint=written))
        assert "no Sanderling server" in error.message
        assert listener.received.startswith(b"GET /ws HTTP/1.1\r\n")
        assert b"a-token" not in listener.received


async def test_the_file_lets_the_request_out(listener: Listener, certificate: Certificate) -> None:
    error = await refused(listener, TLS(ca_file=certificate.certificate))
    assert "no Sanderling server" in error.message
    assert listener.received


async def test_with_both_both_must_hold(listener: Listener, certificate: Certificate) -> None:
    error = await refused(listener, TLS(ca_file=certificate.certificate, fingerprint="00" * 32))
    assert certificate.fingerprint in error.message
    assert listener.received == b""


async def test_a_certificate_that_nobody_vouches_for_is_refused_with_what_to_do(listener: Listener) -> None:
    error = await refused(listener, None)
    assert error.code == ErrorCode.LOGIN_FAILED
    assert "not trusted" in error.message
    assert "fingerprint" in error.hint
    assert listener.received == b""


async def test_tls_to_a_server_without_it_says_so() -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    plain = Listener()
    plain.port = server.sockets[0].getsockname()[1]
    error = await refused(plain, TLS(fingerprint="00" * 32))
    assert error.code == ErrorCode.LOGIN_FAILED
    assert "encrypted connection failed" in error.message
    assert "http://" in error.hint
    server.close()
    await server.wait_closed()


async def test_a_fingerprint_for_a_server_without_encryption_is_refused(listener: Listener) -> None:
    error = await refused(listener, TLS(fingerprint="00" * 32), scheme="ws")
    assert error.code == ErrorCode.ILLEGAL_PARAMETER
    assert listener.connections == 0


async def test_a_file_without_a_certificate_is_named(listener: Listener, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for file, reason in ((junk, "no PEM certificate"), (tmp_path / "none.pem", "No such file")):
        error = await refused(listener, TLS(ca_file=file))
        assert error.code == ErrorCode.ILLEGAL_PARAMETER
        assert str(file) in error.message
        assert reason in error.message


@pytest.mark.parametrize("fingerprint", ["00" * 31, "0g" * 32, "sha1:" + "00" * 32])
def test_what_is_no_fingerprint_is_refused(fingerprint: str) -> None:
    with pytest.raises(SanderlingError, match="SHA-256") as error:
        TLS(fingerprint=fingerprint)
    assert error.value.code == ErrorCode.ILLEGAL_PARAMETER


def test_settings_that_say_nothing_are_refused() -> None:
    with pytest.raises(SanderlingError, match="says nothing"):
        TLS()


def test_without_settings_the_system_decides() -> None:
    context = make_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname

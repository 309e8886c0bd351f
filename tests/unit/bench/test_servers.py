"""What the servers under measurement are told, and how their answers are read."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from pathlib import Path

import msgspec
import pytest

from sanderling.bench.failure import BenchFailed
from sanderling.bench.http_client import HttpClient
from sanderling.bench.janus import configuration
from sanderling.bench.node import parse_counters, settings_file
from sanderling.bench.targets import host_address
from sanderling.server.config import ServerConfig


def test_the_settings_file_is_one_the_server_takes(tmp_path: Path) -> None:
    values = tomllib.loads(settings_file(tmp_path / 'a "b"', "127.0.0.1", 2, "secret"))
    config = msgspec.convert(values, ServerConfig)
    assert (config.port, config.media_ports, config.workers) == (0, "0", 2)
    assert config.state == str(tmp_path / 'a "b"')
    assert config.media_listen == config.public_address == ("127.0.0.1",)


def test_workers_are_the_servers_own_choice_unless_told(tmp_path: Path) -> None:
    assert "workers" not in tomllib.loads(settings_file(tmp_path, "127.0.0.1", None, "secret"))


def test_clients_of_one_address_are_not_limited(tmp_path: Path) -> None:
    config = msgspec.convert(
        tomllib.loads(settings_file(tmp_path, "127.0.0.1", None, "secret")), ServerConfig
    )
    assert config.max_sessions >= 20_000
    for name in ("logins_per_s", "posts_per_s"):
        assert getattr(config, name, 0) == 0


def test_counters_are_read_off_the_metrics() -> None:
    text = (
        "# HELP sanderling_media_packets_out_total x\n"
        "sanderling_media_packets_out_total 12.0\n"
        "sanderling_media_sessions 3.0\n"
        "sanderling_rooms 1.0\n"
    )
    assert parse_counters(text) == {"packets_out": 12.0, "sessions": 3.0}


def test_the_viewers_socket_is_its_host_candidate() -> None:
    sdp = "v=0\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 4711 typ host\r\n"
    assert host_address(sdp) == "127.0.0.1:4711"
    with pytest.raises(BenchFailed, match="no host candidate"):
        host_address("v=0\r\n")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A gateway's installation, as Debian lays it out; the path of its binary."""
    for kind, names in {
        "plugins": ["libjanus_videoroom.so.1.1.2", "libjanus_echotest.so.1.1.2"],
        "transports": ["libjanus_websockets.so.1.1.2", "libjanus_http.so.1.1.2"],
    }.items():
        folder = tmp_path / "lib" / "x86_64-linux-gnu" / "janus" / kind
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "janus").touch()
    return tmp_path / "bin" / "janus"


def test_the_gateway_has_only_what_it_needs(package: Path, tmp_path: Path) -> None:
    files = configuration(tmp_path, str(package), "192.0.2.9", 8199, 0)
    main = files["janus.jcfg"]
    assert 'ice_enforce_list = "192.0.2.9"' in main
    assert 'disable = "libjanus_echotest.so.1.1.2"' in main
    assert 'disable = "libjanus_http.so.1.1.2"' in main
    assert "event_loops" not in main
    assert "ws_port = 8199" in files["janus.transport.websockets.jcfg"]
    assert 'ws_ip = "192.0.2.9"' in files["janus.transport.websockets.jcfg"]


def test_a_gateway_without_its_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed) as caught:
        configuration(tmp_path, str(tmp_path / "bin" / "janus"), "127.0.0.1", 8188, 0)
    assert "apt-get install" in caught.value.remedy


async def test_connections_are_used_again() -> None:
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            await answer_all(reader, writer)

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if b"/chunked" in head:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                )
            else:
                answer = b"HTTP/1.1 201 Created\r\nLocation: /x\r\ncontent-length: %d\r\n\r\n" % len(body)
                writer.write(answer + body)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, HttpClient(f"http://127.0.0.1:{port}") as http:
        response = await http.request("POST", "/whip", headers={"authorization": "Bearer x"}, body="offer")
        assert (response.status, response.text, response.headers["location"]) == (201, "offer", "/x")
        assert (await http.request("GET", "/chunked")).text == "abcde"
        assert len(served) == 1
        await asyncio.gather(*(http.request("GET", "/") for _ in range(5)))
        assert len(served) <= 5
    await asyncio.gather(*served)


async def test_a_server_that_is_gone_is_a_clear_failure() -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    async with HttpClient(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(BenchFailed, match="GET /healthz"):
            await http.request("GET", "/healthz")

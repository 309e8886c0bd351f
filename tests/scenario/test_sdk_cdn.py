"""Streams pushed to an RTMP server: instead of publishing, and besides."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sanderling import (
    CDNConfig,
    Engine,
    EngineProfile,
    ErrorCode,
    PublisherRelayCDNStateUpdate,
    PublishError,
    PublisherState,
    Room,
    SanderlingError,
    StreamRelayCDNState,
    StreamRelayCDNUpdateReason,
)
from scenario.rtmp_server import rtmp_server
from scenario.test_sdk_encryption import enter, showing
from scenario.town import town

pytestmark = pytest.mark.timeout(90)

URL = "rtmp://127.0.0.1:1/live/film"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_stream_goes_to_the_cdn_in_place_of_the_server() -> None:
    async with town() as it, showing(brightness=180) as sources, rtmp_server(free_port()) as cdn:
        host, stage, hosting = await enter(it, "host")
        _, _, viewing = await enter(it, "viewer")
        host.enable_publish_direct_to_cdn(True, CDNConfig(cdn.url))
        publisher = await stage.start_publishing_stream("film", sources)
        assert publisher.state is PublisherState.PUBLISHING
        await cdn.until_pictures(20)
        assert cdn.codecs == ["h264", "aac"]
        assert {picture[:2] for picture in cdn.pictures} == {(320, 180)}
        assert all(abs(picture[2] - 180) <= 5 for picture in cdn.pictures)
        await publisher.stop()
        await cdn.until_end()
        assert cdn.ended  # the server was told
        assert hosting.of("publisher")[-1][1:] == (PublisherState.NO_PUBLISH, 0)
        assert viewing.of("streams") == []
        # Back to the server.
        host.enable_publish_direct_to_cdn(False)
        await stage.start_publishing_stream("film", sources)
        await viewing.until(lambda: bool(viewing.of("streams")))


async def test_a_cdn_that_goes_away_is_told_and_used_again_when_it_is_back() -> None:
    port = free_port()
    async with town() as it, showing() as sources:
        host, stage, hosting = await enter(it, "host")
        async with rtmp_server(port) as cdn:
            host.enable_publish_direct_to_cdn(True, CDNConfig(cdn.url))
            await stage.start_publishing_stream("film", sources)
            await cdn.until_pictures(5)
            await cdn.kill()
            await hosting.until_call("publisher", "film", PublisherState.PUBLISH_REQUESTING, 1003029)
        async with rtmp_server(port) as cdn:
            await cdn.until_pictures(5)
            await hosting.until(lambda: hosting.of("publisher")[-1][1] is PublisherState.PUBLISHING)


async def test_a_cdn_that_is_not_there_fails_the_publish() -> None:
    async with town() as it, showing() as sources:
        host, stage, hosting = await enter(it, "host")
        host.enable_publish_direct_to_cdn(True, CDNConfig(f"rtmp://127.0.0.1:{free_port()}/live/film"))
        with pytest.raises(PublishError) as caught:
            await stage.start_publishing_stream("film", sources)
        assert caught.value.code == ErrorCode.RTMP_SERVER_DISCONNECTED
        assert hosting.of("publisher")[-1] == ("film", PublisherState.NO_PUBLISH, 1003029)


async def test_a_cdn_that_says_nothing_holds_nobody_up() -> None:
    async with town() as it, showing() as sources:
        host, stage, _ = await enter(it, "host")
        _, seats, _ = await enter(it, "viewer")
        await stage.start_publishing_stream("film", sources)
        player = await seats.start_playing_stream("film")
        await player.first_frame(20)
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
            url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/film"
            adding = asyncio.create_task(host.add_publish_cdn_url("film", url, 3))
            pictures = player.video()
            for _ in range(20):
                await asyncio.wait_for(anext(pictures), 10)
            with pytest.raises(PublishError, match="within 3 seconds") as caught:
                await adding
            assert caught.value.code == ErrorCode.CDN_TARGET_UPDATE_FAILED
            for _ in range(20):
                await asyncio.wait_for(anext(pictures), 10)


async def until_relay(room: Room, state: StreamRelayCDNState) -> StreamRelayCDNUpdateReason:
    async for event in room.events(PublisherRelayCDNStateUpdate):
        for info in event.infos:
            if info.state is state:
                return info.update_reason
    raise AssertionError("the engine was destroyed")


async def test_a_published_stream_is_relayed_until_told_otherwise() -> None:
    async with town() as it, showing(brightness=180) as sources, rtmp_server(free_port()) as cdn:
        host, stage, _ = await enter(it, "host")
        _, seats, _ = await enter(it, "viewer")
        await stage.start_publishing_stream("film", sources)
        player = await seats.start_playing_stream("film")
        await player.first_frame(20)
        relaying = asyncio.create_task(until_relay(stage, StreamRelayCDNState.RELAYING))
        await host.add_publish_cdn_url("film", cdn.url, 20)
        await asyncio.wait_for(relaying, 10)
        await cdn.until_pictures(20)
        assert all(abs(picture[2] - 180) <= 5 for picture in cdn.pictures)
        with pytest.raises(PublishError) as twice:
            await host.add_publish_cdn_url("film", cdn.url)
        assert twice.value.code == ErrorCode.CDN_TARGET_UPDATE_FAILED
        await host.remove_publish_cdn_url("film", cdn.url)
        await cdn.until_end()
        assert cdn.ended
        pictures = player.video()
        for _ in range(5):  # the viewers have noticed nothing
            await asyncio.wait_for(anext(pictures), 10)


async def test_a_relay_whose_server_dies_says_so() -> None:
    async with town() as it, showing() as sources, rtmp_server(free_port()) as cdn:
        host, stage, _ = await enter(it, "host")
        await stage.start_publishing_stream("film", sources)
        await host.add_publish_cdn_url("film", cdn.url, 20)
        gone = asyncio.create_task(until_relay(stage, StreamRelayCDNState.NO_RELAY))
        await asyncio.sleep(0)
        await cdn.kill()
        assert await asyncio.wait_for(gone, 20) is StreamRelayCDNUpdateReason.CDN_SERVER_DISCONNECTED


async def test_what_cannot_be_relayed_says_why() -> None:
    async with town() as it, showing() as sources:
        host, stage, _ = await enter(it, "host")
        other, _, _ = await enter(it, "other")
        await stage.start_publishing_stream("film", sources)
        refusals = [
            (other.add_publish_cdn_url("film", URL), "does not publish"),
            (host.remove_publish_cdn_url("film", URL), "not relayed"),
            (host.add_publish_cdn_url("film", URL), "Connection refused"),
        ]
        for call, why in refusals:
            with pytest.raises(PublishError, match=why) as caught:
                await call
            assert caught.value.code == ErrorCode.CDN_TARGET_UPDATE_FAILED


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("rtmp://cdn.example/live/" + "x" * 1000, ErrorCode.CDN_URL_TOO_LONG),
        ("http://cdn.example/live/film", ErrorCode.CDN_URL_INVALID),
        ("rtmp:///live/film", ErrorCode.CDN_URL_INVALID),
        ("rtmp://cdn.example", ErrorCode.CDN_URL_INVALID),
        ("rtmp://cdn.example:port/live/film", ErrorCode.CDN_URL_INVALID),
        ("", ErrorCode.CDN_URL_INVALID),
    ],
)
async def test_a_url_that_is_none_has_its_code(url: str, code: ErrorCode) -> None:
    with pytest.raises(SanderlingError) as configured:
        CDNConfig(url)
    assert configured.value.code == code
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:1")) as engine:
        for call in (engine.add_publish_cdn_url("film", url), engine.remove_publish_cdn_url("film", url)):
            with pytest.raises(SanderlingError) as added:
                await call
            assert added.value.code == code


def test_parameters_of_a_cdn_have_their_length() -> None:
    config = CDNConfig(URL, auth_param="key=" + "k" * 507)
    assert config.target == f"{URL}?key={'k' * 507}"
    assert CDNConfig(URL + "?a=1", auth_param="b=2").target == URL + "?a=1&b=2"
    assert "kkk" not in repr(config)
    with pytest.raises(SanderlingError) as caught:
        CDNConfig(URL, auth_param="ä" * 256)
    assert caught.value.code == ErrorCode.CDN_AUTH_PARAM_TOO_LONG
    assert CDNConfig("rtmp://cdn.example/" + "x" * 1004).url  # 1023 bytes

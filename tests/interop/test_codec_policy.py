"""The room's codec, with real encoders and decoders: libwebrtc's Python build has no H.264, Chromium has."""

from __future__ import annotations

import pytest

from interop.conftest import NewPage
from interop.native import member
from sanderling import ErrorCode, PlayError
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def video_codec(host: TestServer) -> str:
    """The codec that the one publisher sends."""
    (publisher,) = (await host.snapshot())["workers"][0]["publishers"]
    return next(str(t["codec"]).split()[0] for t in publisher["tracks"] if t["kind"] == "video")


async def test_a_member_without_the_codec_makes_it_vp8(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    page = await new_page()
    async with member(host, project, "bob") as bob:
        await page.open("alice", publish="test", stream="film", codec="H264")
        await page.wait_published()
        player = await bob.start_playing_stream("film")
        await player.first_frame(20)
        assert await video_codec(host) == "VP8"


async def test_who_comes_later_is_told_both_sides_and_the_remedy(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    page = await new_page()
    await page.open("alice", publish="test", stream="film", codec="H264")
    await page.wait_published()
    assert await video_codec(host) == "H264"
    async with member(host, project, "bob") as bob:
        with pytest.raises(PlayError) as refused:
            await bob.start_playing_stream("film")
        assert refused.value.code is ErrorCode.DECODER_UNSUPPORTED
        assert "H264" in refused.value.message and "VP8" in refused.value.message
        assert "VP8" in refused.value.hint


async def test_the_project_may_fix_it(new_page: NewPage, host: TestServer, project: Project) -> None:
    await host.call(host.services.storage.update_project(project.app_id, settings={"video_codec": "VP9"}))
    page = await new_page()
    await page.open("alice", publish="test", stream="film", codec="VP8")
    await page.wait_published()
    assert await video_codec(host) == "VP9"

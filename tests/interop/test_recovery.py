"""Pages that go, come back or lose the network, and what the others notice."""

from __future__ import annotations

import asyncio

import pytest

from interop.conftest import NewPage
from interop.native import ClockSource, member
from interop.tunnel import Tunnel
from sanderling import Channel
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_closed_tab_is_noticed(new_page: NewPage, host: TestServer) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", autoplay=1)
    await bob.wait_frames("film")
    await alice.page.close()
    await bob.wait_gone("film")
    await bob.wait("() => document.getElementById('log').textContent.includes('alice left')")
    assert (await host.snapshot())["counts"]["users"] == 1


async def test_a_reloaded_host_comes_back(new_page: NewPage) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", autoplay=1)
    await bob.wait_frames("film")
    await alice.page.reload()
    await bob.wait("() => document.getElementById('log').textContent.split('went live').length === 3")
    await bob.wait_frames("film")


async def test_a_reloaded_viewer_comes_back_and_leaves_nothing(new_page: NewPage, host: TestServer) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", autoplay=1)
    await bob.wait_frames("film")
    await bob.page.reload()
    await bob.wait_frames("film")
    assert (await host.snapshot())["counts"] == {
        "rooms": 1,
        "users": 2,
        "streams": 1,
        "viewers": 2,
        "plays": 1,
        "connections": 2,
    }


async def test_host_and_viewer_go_on_after_the_network_was_away(new_page: NewPage, host: TestServer) -> None:
    async with Tunnel(host.port) as tunnel:
        through = f"http://127.0.0.1:{tunnel.port}"
        alice, bob = await new_page(), await new_page()
        await alice.open("alice", publish="test", stream="film", server=through)
        await alice.wait_published()
        await bob.open("bob", autoplay=1, server=through)
        await bob.wait_frames("film")

        await tunnel.cut()
        await alice.wait_room("RECONNECTING")
        await bob.wait_room("RECONNECTING")
        await bob.screenshot("reconnecting")
        await tunnel.mend()
        await alice.wait_room("RECONNECTED")
        await bob.wait_room("RECONNECTED")
        await alice.wait_published()
        await bob.wait_frames("film")
        assert abs(await bob.tone_hz("film") - 440) < 15


async def test_more_streams_than_places_and_places_used_again(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    bob = await new_page()
    await bob.open("bob", autoplay=1)
    await bob.wait_room("LOGINED")
    async with member(host, project, "alice") as room, ClockSource() as sources:
        publishers = {}
        for number, channel in enumerate((Channel.MAIN, Channel.AUX, Channel.THIRD)):
            publishers[number] = await room.start_publishing_stream(
                f"film-{number}", sources, channel=channel
            )
        for number in publishers:
            await bob.wait_frames(f"film-{number}")
        await bob.screenshot("three-hosts")

        await publishers[0].stop()
        await bob.wait_gone("film-0")
        await room.start_publishing_stream("film-3", sources, channel=Channel.MAIN)
        figures = await bob.wait_frames("film-3")
        assert int(figures["readable"]) >= 0.9 * int(figures["frames"])
        (viewer,) = [
            entry for entry in (await host.snapshot())["rooms"][0]["members"] if entry["user_id"] == "bob"
        ]
        assert {play["stream_id"] for play in viewer["plays"]} == {"film-1", "film-2", "film-3"}
        assert max(play["slot"] for play in viewer["plays"]) < 4
    await asyncio.gather(*(bob.wait_gone(f"film-{number}") for number in (1, 2, 3)))


async def test_a_viewer_notices_within_seconds_that_it_is_offline_and_goes_on_after(
    new_page: NewPage,
) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", autoplay=1)
    await bob.wait_frames("film")
    await bob.page.context.set_offline(True)
    await bob.wait_room("RECONNECTING")
    await bob.page.context.set_offline(False)
    await bob.wait_room("RECONNECTED")
    await bob.wait_frames("film")
    # Media does not use the signalling connection: the play was not interrupted.
    assert (await bob.log()).count("1004020") == 0

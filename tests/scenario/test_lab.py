"""What takes too long for real sockets: minutes without a network, in the lab's time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sanderling.enums import PlayerState
from scenario import bodies
from scenario.bodies import ADD, DELETE, INTERRUPTED, RECONNECTED, RECONNECTING
from scenario.lab import Lab, lab
from scenario.virtual_clock import run_virtually

GIVEN_UP = 1002053
RETRY_S = 1200.0
"""``room_retry_time`` (product-facts 5.5)."""


def play(scene: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        async with lab() as on:
            await scene(on)

    run_virtually(run())


# The last one comes back 15 s after the network at the latest: that is how rarely it tries by then.
@pytest.mark.parametrize("seconds", [1.0, 29.0, 31.0, 74.0])
def test_a_session_is_resumed_for_a_minute_and_a_half(seconds: float) -> None:
    async def scene(on: Lab) -> None:
        alice, bob = await bodies.meet(on)
        await bob.cut()
        await bob.expect_state(RECONNECTING, INTERRUPTED)
        await alice.say("while you are away")
        await asyncio.sleep(seconds)
        await bob.picture("film")
        await bob.mend()
        await bob.expect_state(RECONNECTED)
        await bob.expect_message("alice", "while you are away")
        # His media says that he is there: nobody is told anything.
        for user in (alice, bob):
            await user.expect_nothing_else()

    play(scene)


def test_after_that_there_is_a_new_login_and_the_play_goes_on() -> None:
    async def scene(on: Lab) -> None:
        alice, bob = await bodies.meet(on)
        await bob.cut()
        await bob.expect_state(RECONNECTING, INTERRUPTED)
        await alice.say("you will never read this")
        await asyncio.sleep(120)
        await alice.expect_users(DELETE, "bob")
        await bob.mend()
        await bob.expect_state(RECONNECTED)
        await alice.expect_users(ADD, "bob")
        await bob.expect_player("film", PlayerState.PLAY_REQUESTING, bodies.PLAY_INTERRUPTED)
        await bob.expect_player("film", PlayerState.PLAYING)
        await bob.picture("film")
        for user in (alice, bob):
            await user.expect_nothing_else()

    play(scene)


def test_it_is_given_up_after_twenty_minutes() -> None:
    async def scene(on: Lab) -> None:
        alice, bob = await bodies.meet(on)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await bob.cut()
        await bob.expect_state(RECONNECTING, INTERRUPTED)
        await asyncio.sleep(RETRY_S - 30)
        await bob.mend()
        await bob.expect_state(RECONNECTED)
        assert loop.time() - began < RETRY_S
        await alice.expect_users(DELETE, "bob")
        await alice.expect_users(ADD, "bob")
        await bob.expect_player("film", PlayerState.PLAY_REQUESTING, bodies.PLAY_INTERRUPTED)
        await bob.expect_player("film", PlayerState.PLAYING)
        # The time is that of one interruption.
        began = loop.time()
        await bob.cut()
        await bob.expect_state(RECONNECTING, INTERRUPTED)
        await asyncio.sleep(RETRY_S + 60)
        await bob.expect_state(bodies.RoomStateReason.RECONNECT_FAILED, GIVEN_UP)
        await bob.expect_player("film", PlayerState.NO_PLAY, bodies.PLAY_INTERRUPTED)
        await alice.expect_users(DELETE, "bob")
        for user in (alice, bob):
            await user.expect_nothing_else()

    play(scene)

"""What users of a room do and see, written once for the lab, for real sockets and for the browser.

A body knows neither sockets nor clocks: it says what somebody does, and what everybody has to see next. Each ``expect``
takes the next event of its kind, so that what comes too often, too early or not at all fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from sanderling.enums import PlayerState, RoomStateReason, StreamDeleteReason, UpdateType

__all__ = ["BODIES", "Body", "Stage", "User"]

ADD, DELETE = UpdateType.ADD, UpdateType.DELETE
LOGINING, LOGINED = RoomStateReason.LOGINING, RoomStateReason.LOGINED
RECONNECTING, RECONNECTED = RoomStateReason.RECONNECTING, RoomStateReason.RECONNECTED
LOGOUT, KICK_OUT = RoomStateReason.LOGOUT, RoomStateReason.KICK_OUT

INTERRUPTED, SAME_USER, BY_SERVER, PLAY_INTERRUPTED = 1002051, 1002050, 1002055, 1004020


class User(Protocol):
    """One program with one user in it."""

    async def log_in(self, room: str) -> None:
        """Log in and wait until it is done."""

    async def log_out(self) -> None:
        """Log out and wait until it is done."""

    async def publish(self, stream: str) -> None:
        """Publish moving pictures and wait until they are on their way."""

    async def stop_publishing(self, stream: str) -> None:
        """Stop it."""

    async def play(self, stream: str) -> None:
        """Play, and wait until it plays."""

    async def picture(self, stream: str) -> None:
        """Wait for a picture of a played stream that was not there before."""

    async def say(self, text: str) -> None:
        """Tell the room."""

    async def cut(self) -> None:
        """Cut the way of signalling to the server, for media not."""

    async def mend(self) -> None:
        """Let signalling through again."""

    async def expect_state(self, reason: RoomStateReason, code: int = 0) -> None:
        """The next state of the room."""

    async def expect_users(self, update: UpdateType, *user_ids: str) -> None:
        """The next news of users."""

    async def expect_streams(
        self, update: UpdateType, *streams: str, reason: StreamDeleteReason | None = None
    ) -> None:
        """The next news of streams."""

    async def expect_player(self, stream: str, state: PlayerState, code: int = 0) -> None:
        """The next state of a played stream."""

    async def expect_message(self, sender: str, text: str) -> None:
        """The next message."""

    async def expect_nothing_else(self) -> None:
        """Whatever was reported has been expected."""


class Stage(Protocol):
    """A server and its surroundings."""

    async def user(self, user_id: str) -> User:
        """Another program; the same userID as often as wanted."""

    async def kick(self, room: str, user_id: str, reason: str) -> None:
        """Remove a user, as the operator does."""

    async def restart(self) -> None:
        """End the server without warning and start it again."""


Body = Callable[[Stage], Awaitable[None]]


async def meet(on: Stage) -> tuple[User, User]:
    """Alice publishes, Bob plays; everything so far was expected."""
    alice, bob = await on.user("alice"), await on.user("bob")
    await alice.log_in("r")
    await bob.log_in("r")
    for user, other in ((alice, "bob"), (bob, "alice")):
        await user.expect_state(LOGINING)
        await user.expect_state(LOGINED)
        await user.expect_users(ADD, other)
    await alice.publish("film")
    await bob.expect_streams(ADD, "film")
    await bob.play("film")
    await bob.expect_player("film", PlayerState.PLAY_REQUESTING)
    await bob.expect_player("film", PlayerState.PLAYING)
    await bob.picture("film")
    return alice, bob


async def publish_play_and_leave(on: Stage) -> None:
    """Two users meet; the stream ends, then they go."""
    alice, bob = await meet(on)
    await alice.say("hello")
    await bob.expect_message("alice", "hello")
    await bob.say("hello yourself")
    await alice.expect_message("bob", "hello yourself")
    await alice.stop_publishing("film")
    await bob.expect_streams(DELETE, "film", reason=StreamDeleteReason.PUBLISHER_STOPPED)
    await bob.expect_player("film", PlayerState.NO_PLAY)
    await bob.log_out()
    await bob.expect_state(LOGOUT)
    await alice.expect_users(DELETE, "bob")
    await alice.log_out()
    await alice.expect_state(LOGOUT)
    for user in (alice, bob):
        await user.expect_nothing_else()


async def network_cut_and_resumed(on: Stage) -> None:
    """The viewer's signalling is away: media goes on, what was said meanwhile is told in order, once."""
    alice, bob = await meet(on)
    await bob.cut()
    await bob.expect_state(RECONNECTING, INTERRUPTED)
    await bob.picture("film")
    for text in ("one", "two"):
        await alice.say(text)
    await bob.mend()
    await bob.expect_state(RECONNECTED)
    for text in ("one", "two"):
        await bob.expect_message("alice", text)
    await bob.say("back")
    await alice.expect_message("bob", "back")
    await bob.picture("film")
    # Neither was told that anybody went, came or stopped.
    for user in (alice, bob):
        await user.expect_nothing_else()


async def replaced_by_the_same_user(on: Stage) -> None:
    """The publisher's userID logs in elsewhere: the first one is put out, its stream ends, the second stays."""
    alice, bob = await meet(on)
    second = await on.user("alice")
    await second.log_in("r")
    await alice.expect_state(KICK_OUT, SAME_USER)
    await second.expect_state(LOGINING)
    await second.expect_state(LOGINED)
    await second.expect_users(ADD, "bob")
    await bob.expect_streams(DELETE, "film", reason=StreamDeleteReason.REPEATED_LOGIN)
    await bob.expect_player("film", PlayerState.NO_PLAY)
    await bob.expect_users(DELETE, "alice")
    await bob.expect_users(ADD, "alice")
    await second.publish("film")
    await bob.expect_streams(ADD, "film")
    for user in (alice, bob, second):
        await user.expect_nothing_else()


async def server_restarted(on: Stage) -> None:
    """The server dies and is back: everybody logs in, publishes and plays again by itself, and nobody is told more."""
    alice, bob = await meet(on)
    await on.restart()
    for user in (alice, bob):
        await user.expect_state(RECONNECTING, INTERRUPTED)
        await user.expect_state(RECONNECTED)
    await bob.expect_player("film", PlayerState.PLAY_REQUESTING, PLAY_INTERRUPTED)
    await bob.expect_player("film", PlayerState.PLAYING)
    await bob.picture("film")
    await alice.say("still here")
    await bob.expect_message("alice", "still here")
    for user in (alice, bob):
        await user.expect_nothing_else()


async def kicked_by_the_server(on: Stage) -> None:
    """The operator removes the publisher: it is told, its stream and it are gone for the others."""
    alice, bob = await meet(on)
    await on.kick("r", "alice", "bad manners")
    await alice.expect_state(KICK_OUT, BY_SERVER)
    await bob.expect_streams(DELETE, "film", reason=StreamDeleteReason.USER_KICKED)
    await bob.expect_player("film", PlayerState.NO_PLAY)
    await bob.expect_users(DELETE, "alice")
    for user in (alice, bob):
        await user.expect_nothing_else()


BODIES: tuple[Body, ...] = (
    publish_play_and_leave,
    network_cut_and_resumed,
    replaced_by_the_same_user,
    server_restarted,
    kicked_by_the_server,
)

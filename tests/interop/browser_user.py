"""A user of a body (see ``scenario.bodies``) that is the web SDK in a real Chromium, and a stage of such users."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from interop.browser import TIMEOUT_MS
from sanderling import PlayerState, RoomStateReason, StreamDeleteReason, UpdateType
from scenario.cut_proxy import cut_proxy
from scenario.node_process import NodeProcess, node_process
from scenario.sdk_user import EXPECTED, SdkUser
from scenario.sockets_stage import SocketsStage

__all__ = ["BrowserStage", "BrowserUser", "browser_stage", "open_user"]

LOGIN = """async ([appID, server, room, token, user]) => {
    const seen = { room: [], users: [], streams: [], player: [], broadcast: [], other: [] };
    const engine = new sanderlingDebug.SanderlingEngine(appID, server);
    engine.on('roomStateChanged', (room, reason, code) => seen.room.push([room, reason, code]));
    engine.on('roomUserUpdate', (room, update, users) =>
        seen.users.push([room, update, users.map(({ userID }) => userID)]));
    engine.on('roomStreamUpdate', (room, update, streams, why) =>
        seen.streams.push([room, update, streams.map(({ streamID }) => streamID), why]));
    engine.on('playerStateUpdate', ({ streamID, state, errorCode }) => seen.player.push([streamID, state, errorCode]));
    engine.on('IMRecvBroadcastMessage', (room, messages) => {
        for (const { fromUser, message } of messages) seen.broadcast.push([room, fromUser.userID, message]);
    });
    engine.on('publisherStateUpdate', ({ streamID, state, errorCode }) =>
        seen.other.push(['publisherStateUpdate', { streamID, state, errorCode }]));
    for (const event of ['IMRecvBarrageMessage', 'IMRecvCustomCommand', 'recvRoomTransparentMessage',
        'roomExtraInfoUpdate', 'streamExtraInfoUpdate', 'remoteCameraStatusUpdate', 'remoteMicStatusUpdate',
        'playerResourceUpdate', 'tokenWillExpire']) {
        engine.on(event, (...args) => seen.other.push([event, ...JSON.parse(JSON.stringify(args))]));
    }
    window.user = { engine, seen, videos: {}, sources: {} };
    await engine.loginRoom(room, token, { userID: user, userName: user }, { userUpdate: true });
}"""

PUBLISH = """([streamID, options]) => new Promise((resolve, reject) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [320, 180];
    const pen = canvas.getContext('2d');
    let number = 0;
    setInterval(() => {
        number += 1;
        pen.fillStyle = `hsl(${number * 7 % 360} 80% 50%)`;
        pen.fillRect(0, 0, 320, 180);
    }, 40);
    const stream = canvas.captureStream(25);
    window.user.sources[streamID] = stream;
    window.user.engine.on('publisherStateUpdate', info => {
        if (info.streamID !== streamID) return;
        if (info.state === 'PUBLISHING') resolve();
        if (info.state === 'NO_PUBLISH') reject(new Error(`${info.errorCode} ${info.extendedData}`));
    });
    window.user.engine.startPublishingStream(streamID, stream, options);
})"""

PLAY = """([streamID, options]) => {
    const video = document.createElement('video');
    Object.assign(video, { autoplay: true, muted: true, frames: 0 });
    document.body.prepend(video);
    window.user.videos[streamID] = video;
    const count = () => { video.frames += 1; video.requestVideoFrameCallback(count); };
    video.requestVideoFrameCallback(count);
    // Not awaited: a stream may come later.
    window.user.engine.startPlayingStream(streamID, options).then(media => { video.srcObject = media; }, () => {});
}"""


class BrowserUser:
    """See ``bodies.User``. ``cut``: what happens to this user's way to the server."""

    def __init__(
        self, page: Page, user_id: str, login: tuple[int, str, str], cut: Callable[[bool], None]
    ) -> None:
        self.page = page
        self.errors: list[str] = []
        """What the page did not catch; a test ends with none."""
        self._id = user_id
        self._login = login
        self._cut = cut
        self._seen = dict.fromkeys(EXPECTED, 0)
        self._room = ""
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def call(self, script: str, argument: object = None) -> Any:
        """Run ``script`` in the page; ``user.engine`` is the engine."""
        return await self.page.evaluate(script, argument)

    async def log_in(self, room: str) -> None:
        app_id, server, token = self._login
        self._room = room
        await self.call(LOGIN, [app_id, server, room, token, self._id])

    async def log_out(self) -> None:
        await self.call("() => user.engine.logoutRoom()")

    async def publish(self, stream: str, **options: object) -> None:
        await self.call(PUBLISH, [stream, options])

    async def stop_publishing(self, stream: str) -> None:
        await self.call("stream => user.engine.stopPublishingStream(stream)", stream)

    async def begin_to_play(self, stream: str, **options: object) -> None:
        """Ask for a stream that may come later."""
        await self.call(PLAY, [stream, options])

    async def play(self, stream: str) -> None:
        await self.begin_to_play(stream)
        await self.page.wait_for_function(
            "stream => user.seen.player.some(([id, state]) => id === stream && state === 'PLAYING')",
            arg=stream,
        )

    async def picture(self, stream: str) -> None:
        before = await self.call("stream => user.videos[stream].frames", stream)
        await self.page.wait_for_function(
            "([stream, before]) => user.videos[stream].frames > before + 1", arg=[stream, before]
        )

    async def say(self, text: str) -> None:
        await self.call("([room, text]) => user.engine.sendBroadcastMessage(room, text)", [self._room, text])

    async def cut(self) -> None:
        self._cut(True)

    async def mend(self) -> None:
        self._cut(False)

    async def expect_state(self, reason: RoomStateReason, code: int = 0) -> None:
        # The product's web SDK has words and codes of its own.
        word = "KICKOUT" if reason is RoomStateReason.KICK_OUT else reason.name
        assert await self._next("room") == [self._room, word, await self._web(code)]

    async def expect_users(self, update: UpdateType, *user_ids: str) -> None:
        assert await self._next("users") == [self._room, update.name, [*user_ids]]

    async def expect_streams(
        self, update: UpdateType, *streams: str, reason: StreamDeleteReason | None = None
    ) -> None:
        *told, why = await self._next("streams")
        assert told == [self._room, update.name, [*streams]]
        reasons = [entry["code"] for entry in json.loads(why)["stream_delete_reason"]] if why else []
        assert reasons == ([] if reason is None else [int(reason)] * len(streams))

    async def expect_player(self, stream: str, state: PlayerState, code: int = 0) -> None:
        assert await self._next("player") == [stream, state.name, await self._web(code)]

    async def expect_message(self, sender: str, text: str) -> None:
        assert await self._next("broadcast") == [self._room, sender, text]

    async def expect_nothing_else(self) -> None:
        for kind, seen in self._seen.items():
            assert (await self.call("kind => user.seen[kind]", kind))[seen:] == []

    async def until_other(self, *event: object) -> None:
        """Wait for an event of another kind: its name, then its arguments as JSON."""
        wanted = json.dumps(event, separators=(",", ":"))
        await self.page.wait_for_function(
            "wanted => user.seen.other.some(event => JSON.stringify(event) === wanted)", arg=wanted
        )

    async def _web(self, code: int) -> int:
        return int(await self.call("code => sanderlingDebug.webCode(code)", code))

    async def _next(self, kind: str) -> list[Any]:
        number = self._seen[kind]
        self._seen[kind] += 1
        await self.page.wait_for_function(
            "([kind, number]) => user.seen[kind].length > number", arg=[kind, number]
        )
        found: list[Any] = await self.call("([kind, number]) => user.seen[kind][number]", [kind, number])
        return found


async def open_user(
    stack: AsyncExitStack, browser: Browser, port: int, user_id: str, *, app_id: int, token: str
) -> BrowserUser:
    """A page of the server at ``port`` with a user in it, which is not logged in yet, and a relay to cut."""
    proxy = await stack.enter_async_context(cut_proxy(port))

    def cut(away: bool) -> None:
        proxy.refuses = away
        if away:
            proxy.cut()

    context = await browser.new_context()
    stack.push_async_callback(context.close)
    page = await context.new_page()
    user = BrowserUser(page, user_id, (app_id, proxy.url, token), cut)
    await page.goto(f"http://127.0.0.1:{port}/debug/")
    return user


class BrowserStage(SocketsStage):
    """See ``bodies.Stage``; users named in ``native`` are the Python SDK."""

    def __init__(
        self, node: NodeProcess, stack: AsyncExitStack, browser: Browser, native: Collection[str]
    ) -> None:
        super().__init__(node, stack)
        self._browser = browser
        self._native = native
        self.browser_users: list[BrowserUser] = []

    async def user(self, user_id: str) -> SdkUser | BrowserUser:  # type: ignore[override]
        if user_id in self._native:
            return await super().user(user_id)
        node = self.node
        user = await open_user(
            self._stack,
            self._browser,
            node.port,
            user_id,
            app_id=node.project.app_id,
            token=node.token(user_id),
        )
        self.browser_users.append(user)
        return user


@asynccontextmanager
async def browser_stage(
    state: Path, browser: Browser, native: Collection[str] = ()
) -> AsyncIterator[BrowserStage]:
    """A running server; ``state`` is its folder."""
    async with node_process(state) as node, AsyncExitStack() as stack:
        stage = BrowserStage(node, stack, browser, native)
        yield stage
        assert [error for user in stage.browser_users for error in user.errors] == []

"""A stage for bodies in the browser: every user is a page of its own with the web SDK; server and relays are real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from interop.browser import EXECUTABLE, ROOT, chromium
from sanderling.enums import PlayerState, RoomStateReason, StreamDeleteReason, UpdateType
from scenario.cut_proxy import cut_proxy
from scenario.node_process import node_process
from scenario.sdk_user import EXPECTED, LIMIT_S
from scenario.sockets_stage import SocketsStage

__all__ = ["browser_stage", "bundled_sdk"]

LIMIT_MS = LIMIT_S * 1000
REASONS = {RoomStateReason.KICK_OUT: "KICKOUT"}
"""Room states that the web calls by another name."""


async def bundled_sdk() -> str:
    """The web SDK as built, and what the pages do with it, as one script."""
    web = ROOT / "web"
    process = await asyncio.create_subprocess_exec(
        *(str(web / "node_modules/.bin/esbuild"), str(web / "packages/sdk/dist/index.js")),
        *("--bundle", "--format=iife", "--global-name=Sanderling", "--log-level=warning"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    own = await asyncio.to_thread(Path(__file__).with_name("browser_stage.js").read_text)
    return output.decode() + own


class PageUser:
    """See ``bodies.User``."""

    def __init__(self, page: Page, cut: Callable[[bool], None]) -> None:
        self._page = page
        self._cut = cut
        self._room = ""
        self._seen = dict.fromkeys(EXPECTED, 0)
        self.errors: list[str] = []
        page.set_default_timeout(LIMIT_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def log_in(self, room: str) -> None:
        self._room = room
        await self._page.evaluate("room => user.logIn(room)", room)

    async def log_out(self) -> None:
        await self._page.evaluate("room => user.engine.logoutRoom(room)", self._room)

    async def publish(self, stream: str) -> None:
        await self._page.evaluate("stream => user.publish(stream)", stream)

    async def stop_publishing(self, stream: str) -> None:
        assert await self._page.evaluate("stream => user.engine.stopPublishingStream(stream)", stream)

    async def play(self, stream: str) -> None:
        await self._page.evaluate("stream => user.play(stream)", stream)

    async def picture(self, stream: str) -> None:
        before = await self._page.evaluate("stream => user.pictures(stream)", stream)
        more = "([stream, before]) => user.pictures(stream) > before"
        await self._page.wait_for_function(more, arg=[stream, before])

    async def say(self, text: str) -> None:
        await self._page.evaluate(
            "([room, text]) => user.engine.sendBroadcastMessage(room, text)", [self._room, text]
        )

    async def cut(self) -> None:
        self._cut(True)

    async def mend(self) -> None:
        self._cut(False)

    async def expect_state(self, reason: RoomStateReason, code: int = 0) -> None:
        assert await self._next("room") == [
            self._room,
            REASONS.get(reason, reason.name),
            await self._web(code),
        ]

    async def expect_users(self, update: UpdateType, *user_ids: str) -> None:
        assert await self._next("users") == [self._room, update.name, list(user_ids)]

    async def expect_streams(
        self, update: UpdateType, *streams: str, reason: StreamDeleteReason | None = None
    ) -> None:
        room, told, told_streams, reasons = await self._next("streams")
        assert (room, told, told_streams) == (self._room, update.name, list(streams))
        if reason is not None:
            assert [entry["code"] for entry in reasons] == [int(reason)] * len(streams)

    async def expect_player(self, stream: str, state: PlayerState, code: int = 0) -> None:
        assert await self._next("player") == [stream, state.name, await self._web(code)]

    async def expect_message(self, sender: str, text: str) -> None:
        assert await self._next("broadcast") == [self._room, sender, text]

    async def expect_nothing_else(self) -> None:
        told = await self._page.evaluate("() => user.told")
        assert {kind: told[kind][seen:] for kind, seen in self._seen.items()} == {
            kind: [] for kind in EXPECTED
        }
        assert self.errors == []

    async def _next(self, kind: str) -> Any:
        number = self._seen[kind]
        self._seen[kind] += 1
        there = "([kind, number]) => user.told[kind].length > number"
        await self._page.wait_for_function(there, arg=[kind, number])
        return await self._page.evaluate("([kind, number]) => user.told[kind][number]", [kind, number])

    async def _web(self, code: int) -> int:
        """The web's number for a code."""
        return int(await self._page.evaluate("code => webCode(code)", code))


class BrowserStage(SocketsStage):
    """See ``bodies.Stage``."""

    browser: Browser
    script = ""

    async def user(self, user_id: str) -> PageUser:  # type: ignore[override]  # another kind of bodies.User
        proxy = await self._stack.enter_async_context(cut_proxy(self.node.port))

        def cut(away: bool) -> None:
            proxy.refuses = away
            if away:
                proxy.cut()

        context = await self.browser.new_context()
        self._stack.push_async_callback(context.close)
        page = await context.new_page()
        user = PageUser(page, cut)
        await page.goto(f"{self.node.url}/healthz")  # any page of this origin
        await page.add_script_tag(content=self.script)
        values = [self.node.project.app_id, proxy.url, user_id, self.node.token(user_id)]
        await page.evaluate(f"() => {{ globalThis.user = new StageUser(...{json.dumps(values)}); }}")
        return user


@asynccontextmanager
async def browser_stage(state: Path) -> AsyncIterator[BrowserStage]:
    """A running server and a browser; ``state`` is the server's folder."""
    if not EXECUTABLE:
        pytest.skip("no Chromium here; run:  sudo apt-get install -y chromium")
    script = await bundled_sdk()
    async with node_process(state) as node, chromium() as browser, AsyncExitStack() as stack:
        stage = BrowserStage(node, stack)
        stage.browser, stage.script = browser, script
        yield stage

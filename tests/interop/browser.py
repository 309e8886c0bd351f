"""A real Chromium and the debug page in it, with what tests want to know of the page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, async_playwright

from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / ".build/screenshots"

INSECURE_HOST = "sanderling.test"
"""A name for this machine that is not localhost: pages from there over plain HTTP are not secure."""

EXECUTABLE = shutil.which("chromium") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)
SOUND_AT_ONCE = "--autoplay-policy=no-user-gesture-required"
SOUND_WHEN_TOUCHED = "--autoplay-policy=document-user-activation-required"
TIMEOUT_MS = 20_000
"""How long a page may take for anything: generous, since nothing is measured by it."""


@asynccontextmanager
async def chromium(*, sound_at_once: bool = True) -> AsyncIterator[Browser]:
    """Run headless Chromium with fake devices; without ``sound_at_once`` pages are silent until touched, as usual."""
    flags = [*FLAGS, SOUND_AT_ONCE if sound_at_once else SOUND_WHEN_TOUCHED]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


class DebugPage:
    """One user's debug page, in a browser context of its own."""

    def __init__(self, page: Page, host: TestServer, project: Project) -> None:
        self.page = page
        self.errors: list[str] = []
        """What the page did not catch; a test ends with none."""
        self._host = host
        self._project = project
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def link(
        self, user: str, *, base: str | None = None, token: str | None = None, **parameters: object
    ) -> str:
        """Address of the page for ``user``, the token in the fragment; ``base`` replaces the server's address."""
        query = urlencode({"appid": self._project.app_id, "room": "interop", "user": user, **parameters})
        secret = self._host.token(self._project, user) if token is None else token
        return f"{base or self._host.url}/debug/?{query}#{urlencode({'token': secret})}"

    async def open(self, user: str, **parameters: object) -> None:
        """Open the page as ``user``; parameters as in the page's links."""
        await self.page.goto(self.link(user, **parameters))  # type: ignore[arg-type]

    async def wait(self, condition: str, argument: object = None) -> None:
        """Wait until a JavaScript function holds."""
        await self.page.wait_for_function(condition, arg=argument)

    async def wait_room(self, reason: str) -> None:
        """Wait for a room state, as in roomStateChanged."""
        await self.wait("reason => document.getElementById('room-state').dataset.reason === reason", reason)

    async def wait_published(self) -> None:
        """Wait until the page's own stream is live."""
        await self.wait("() => document.getElementById('publish-state').dataset.state === 'PUBLISHING'")

    async def wait_frames(self, stream: str, more: int = 20) -> dict[str, str]:
        """Wait for ``more`` pictures with a readable clock of a remote stream; its tile's figures."""
        before = int((await self.tile(stream) or {}).get("readable", "0"))
        await self.wait(
            """([stream, count]) => {
                const tile = document.querySelector(`.tile[data-stream="${stream}"][data-local="false"]`);
                return tile !== null && Number(tile.dataset.readable ?? 0) >= count;
            }""",
            [stream, before + more],
        )
        figures = await self.tile(stream)
        assert figures is not None
        return figures

    async def wait_gone(self, stream: str) -> None:
        """Wait until no tile shows ``stream``."""
        await self.wait("stream => document.querySelector(`.tile[data-stream='${stream}']`) === null", stream)

    async def tile(self, stream: str) -> dict[str, str] | None:
        """The figures of a stream's tile; None when it has none."""
        script = "stream => ({ ...document.querySelector(`.tile[data-stream='${stream}']`)?.dataset ?? { none: '' } })"
        found: dict[str, str] = await self.page.evaluate(script, stream)
        return None if "none" in found else found

    async def tone_hz(self, stream: str) -> float:
        """Wait for sound in a remote stream; the frequency of its strongest part."""
        found: Any = await self.page.evaluate(
            """async stream => {
                const video = document.querySelector(`.tile[data-stream="${stream}"] video`);
                const sound = new AudioContext();
                const analyser = new AnalyserNode(sound, { fftSize: 8192, smoothingTimeConstant: 0 });
                const source = sound.createMediaStreamSource(video.srcObject);
                source.connect(analyser);
                const bins = new Float32Array(analyser.frequencyBinCount);
                for (let turn = 0; turn < 400; turn += 1) {
                    await new Promise(done => setTimeout(done, 50));
                    analyser.getFloatFrequencyData(bins);
                    const loudest = bins.indexOf(bins.reduce((a, b) => Math.max(a, b), -Infinity));
                    if (bins[loudest] < -60 || turn < 8) continue;
                    await sound.close();
                    return loudest * 48000 / 8192 * (sound.sampleRate / 48000);
                }
                return 0;
            }""",
            stream,
        )
        return float(found)

    async def alert(self) -> tuple[int, str]:
        """Wait for the page's error line; its code and words."""
        line = self.page.locator("#alert")
        await line.wait_for(state="visible")
        return int(await line.get_attribute("data-code") or 0), await line.inner_text()

    async def log(self) -> str:
        """What happened, newest first."""
        return await self.page.inner_text("#log")

    async def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page in .build/screenshots."""
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

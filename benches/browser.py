"""Glass-to-glass delay and time to the first picture, browser to browser over a real server on loopback.

One Chromium publishes the debug page's moving 720p picture, another plays it. The delay is that of every picture shown
in ``seconds``, from the moment it was drawn to the moment the browser expects it on the screen. The first picture is
timed twice: on a page just opened, where ICE and DTLS run after the call, and on a viewer that stands already.
"""

from __future__ import annotations

import asyncio
import statistics

import msgspec
from tests.interop.browser import DebugPage, chromium

from sanderling.demo.measure import percentiles
from sanderling.testing.server import server

RUNS = 15
"""Values of each first-frame figure."""
STREAM = "bench"


class BrowserLatency(msgspec.Struct, frozen=True):
    """Result of the bench; milliseconds."""

    seconds: float
    runs: int
    chromium: str
    latency_ms: dict[str, float]
    first_frame_ms: dict[str, float]
    """From the call to the picture, on a page just opened."""
    warm_first_frame_ms: dict[str, float]
    """The same on a viewer whose transport stands."""
    frames: int

    def line(self) -> str:
        """Return the figures as one line."""
        delay, first, warm = self.latency_ms, self.first_frame_ms, self.warm_first_frame_ms
        return (
            f"browser to browser p50/p95/p99 {delay['p50']}/{delay['p95']}/{delay['p99']} ms "
            f"over {self.frames} frames; first frame median {first['median']} (worst {first['max']}) ms on a new page, "
            f"{warm['median']} (worst {warm['max']}) ms on a standing viewer, {self.runs} runs each"
        )


def measure(seconds: float = 20.0, runs: int = RUNS) -> BrowserLatency:
    """Measure for ``seconds`` after ``runs`` first pictures of each kind."""
    return asyncio.run(_measure(seconds, runs))


async def _measure(seconds: float, runs: int) -> BrowserLatency:
    async with server() as host, chromium() as hosting, chromium() as viewing:
        project = await host.create_project("bench")
        publisher = DebugPage(await hosting.new_page(), host, project)
        await publisher.open("host", publish="test", stream=STREAM)
        await publisher.wait_published()

        cold = []
        for _ in range(runs):
            viewer = DebugPage(await viewing.new_page(), host, project)
            await viewer.open("viewer", autoplay=1, mode=2)
            cold.append(await _first_frame(viewer))
            await viewer.page.close()

        viewer = DebugPage(await viewing.new_page(), host, project)
        await viewer.open("viewer", autoplay=1, mode=2)
        await _first_frame(viewer)
        warm = []
        for _ in range(runs):
            await viewer.page.evaluate(
                """stream => {
                    delete document.querySelector(`.tile[data-stream="${stream}"]`).dataset.firstFrameMs;
                    sanderlingDebug.playAgain(stream);
                }""",
                STREAM,
            )
            warm.append(await _first_frame(viewer))

        # The encoder reaches its bit rate first.
        await asyncio.sleep(5)
        before = len(await _delays(viewer))
        await asyncio.sleep(seconds)
        delays = (await _delays(viewer))[before:]
        version = viewing.version
    return BrowserLatency(
        seconds=seconds,
        runs=runs,
        chromium=version,
        latency_ms={
            name: round(value, 1) for name, value in msgspec.to_builtins(percentiles(delays)).items()
        },
        first_frame_ms=_spread(cold),
        warm_first_frame_ms=_spread(warm),
        frames=len(delays),
    )


async def _first_frame(viewer: DebugPage) -> float:
    tile = f'.tile[data-stream="{STREAM}"][data-local="false"]'
    await viewer.wait("tile => document.querySelector(tile)?.dataset.firstFrameMs !== undefined", tile)
    return float((await viewer.tile(STREAM) or {})["firstFrameMs"])


async def _delays(viewer: DebugPage) -> list[float]:
    found: list[float] = await viewer.page.evaluate("stream => [...sanderlingDebug.delays(stream)]", STREAM)
    return found


def _spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": round(statistics.median(values), 1), "max": max(values)}

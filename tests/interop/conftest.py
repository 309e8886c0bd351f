"""One browser for all tests of the folder, a server and fresh pages for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from interop.browser import EXECUTABLE, SCREENSHOTS, DebugPage, chromium
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer, server

NewPage = Callable[..., Awaitable[DebugPage]]

__all__ = ["NewPage"]


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> None:
    """Not looked for here: the server starts and ends inside these tests, on a loop of its own that may block then."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not EXECUTABLE:
        pytest.skip("no Chromium here; run:  sudo apt-get install -y chromium")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def host() -> AsyncIterator[TestServer]:
    async with server() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def project(host: TestServer) -> Project:
    return await host.create_project("interop")


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser, host: TestServer, project: Project) -> AsyncIterator[NewPage]:
    """Makes pages that know nothing of each other; none may have failed by itself."""
    pages: list[DebugPage] = []

    async def make(**options: object) -> DebugPage:
        context = await browser.new_context(**options)  # type: ignore[arg-type]
        pages.append(DebugPage(await context.new_page(), host, project))
        return pages[-1]

    yield make
    for page in pages:
        await page.page.context.close()
    assert [error for page in pages for error in page.errors] == []

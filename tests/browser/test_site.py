"""The documentation as a site, in Chromium: it searches, and asks nobody else for anything."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hack.site import ROOT

from tests.browser.chromium import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SITE = ROOT / "build" / "site"


@asynccontextmanager
async def site() -> AsyncIterator[str]:
    """The site on loopback, built if it is not; the test is skipped where it cannot be built."""
    if not (SITE / "index.html").exists():
        build = await asyncio.create_subprocess_exec(sys.executable, "-m", "hack.site", cwd=ROOT)
        if await build.wait():
            pytest.skip("the site is not built, and mkdocs is not installed: `make docs` does both")
    app = web.Application()
    app.router.add_get("/{path:.*}", _file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _file(request: web.Request) -> web.FileResponse:
    path = SITE / request.match_info["path"]
    found = path / "index.html" if path.is_dir() else path
    if not found.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(found)


async def test_the_site_searches_and_asks_nobody_else(browser: Browser) -> None:
    """A word of the specification is found from the first page, pictures are there, every request stays on loopback."""
    async with site() as address:
        page = await browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        failed: list[str] = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        await page.goto(address)
        await page.get_by_role("textbox", name="Search").first.fill("maxUnavailable")
        await page.locator(".md-search-result__item").first.wait_for(timeout=30_000)
        await page.goto(f"{address}page/")
        await page.locator("img").first.wait_for()
        assert failed == []
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        await page.close()

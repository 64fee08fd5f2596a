"""Tabs of a Chromium, and what the page says in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from tests.browser.chromium import Browser

Tab: TypeAlias = Any  # of Playwright
WITHIN = 30_000  # milliseconds that the page may take to say something


@asynccontextmanager
async def tab(browser: Browser, address: str, **options: Any) -> AsyncIterator[Tab]:
    """A tab at an address; errors in the page fail the test."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page, problems = await context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(address)
    await page.wait_for_selector("h1, .banner, .empty")
    try:
        yield page
        assert problems == []
    finally:
        await context.close()


async def told(page: Tab, selector: str, words: str, within: float = WITHIN) -> str:
    """The text of a part of the page, as soon as it has these words."""
    found = page.locator(selector)
    try:
        await found.filter(has_text=words).first.wait_for(timeout=within)
    except Exception as error:
        shown = await page.locator("lws-app").inner_text()
        raise AssertionError(f"{selector} does not say {words!r}; the page shows:\n{shown[:2000]}") from error
    return str(await found.first.inner_text())


async def fresh(page: Tab, within: float = WITHIN) -> None:
    """Wait until nothing on the page is marked as old."""
    await page.locator(".banner.bad").first.wait_for(state="detached", timeout=within)
    assert "stale" not in (await page.locator("main").get_attribute("class") or "")

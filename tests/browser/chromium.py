"""Starts the Chromium of the machine, with nothing of its own to say to any network."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

Browser: TypeAlias = Any  # of Playwright, which is not installed wherever types are checked
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in CHROMIUM if (path := shutil.which(name)) is not None), None)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A Chromium with an empty profile, until left."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()

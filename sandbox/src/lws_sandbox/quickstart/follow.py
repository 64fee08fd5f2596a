"""Following every LeaderWorkerSet of a cluster: drawn in place on a terminal, else a line for each change."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.live import Live

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws.errors import ApiError, TransportError
from lws_sandbox.quickstart.view import SetRow, blockers, changes, draw, read_set

TIMEOUT: Final = 60.0  # seconds until ``ONCE=1`` gives up
INTERVAL: Final = 0.25  # seconds between two looks
FEWEST: Final = 6  # lines of the picture, however small the terminal is


class Watch:
    """Looks at the cluster; a drill may have its API server fail for a while.

    Attributes:
        sets: as they were seen last.
        trouble: why the last look failed; empty if it did not.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.sets: list[SetRow] = []
        self.trouble = ""

    async def look(self) -> None:
        """Look once."""
        try:
            self.sets = await observe(self._client)
            self.trouble = ""
        except (ApiError, TransportError) as error:
            self.trouble = f"the API server cannot be read: {error}"


async def observe(client: ApiClient) -> list[SetRow]:
    """Every LeaderWorkerSet with its pods, as they are now."""
    sets = await client.list(LEADERWORKERSETS)
    pods = (await client.list(PODS, label_selector=labels.NAME))["items"]
    return [
        read_set(item, [pod for pod in pods if pod["metadata"]["namespace"] == item["metadata"]["namespace"]])
        for item in sets["items"]
    ]


async def follow_in_place(client: ApiClient, console: Console, hints: Sequence[str], stop: asyncio.Task[None]) -> None:
    """Print the hints, and below them a picture that is drawn over until ``stop`` is done.

    Hints are printed once and whole, so that they can be copied; hints and picture fit the terminal together.
    """
    _print(console, hints)
    used = sum(-(-max(len(line), 1) // console.width) for line in hints)
    watch = Watch(client)
    with Live(console=console, auto_refresh=False) as live:
        while not stop.done():
            await watch.look()
            room = max(FEWEST, console.height - used - 1)
            live.update(draw(watch.sets, console.width, room, watch.trouble), refresh=True)
            await asyncio.wait({stop}, timeout=INTERVAL)
    stop.result()


async def follow_in_lines(
    client: ApiClient, console: Console, hints: Sequence[str], stop: asyncio.Task[None], *, once: bool
) -> int:
    """Print what changes, and the hints when everything is Ready; with ``once`` that is the end.

    Returns:
        The exit code: 1 if with ``once`` not everything was Ready in time.
    """
    before: dict[str, str] = {}
    begin = asyncio.get_running_loop().time()
    ready = False
    watch = Watch(client)
    while not stop.done():
        trouble = watch.trouble
        await watch.look()
        _print(console, ([watch.trouble] if watch.trouble not in ("", trouble) else []) + changes(before, watch.sets))
        took = asyncio.get_running_loop().time() - begin
        if not ready and watch.sets and all(row.done for row in watch.sets):
            ready = True
            _print(console, [f"everything is Ready after {took:.1f} s"])
            if once:
                return 0
            _print(console, hints)
        if once and took > TIMEOUT:
            sys.stderr.write(f"run: not Ready after {TIMEOUT:.0f} s: {watch.trouble or blockers(watch.sets)}\n")
            return 1
        await asyncio.wait({stop}, timeout=INTERVAL)
    stop.result()
    return 0


def _print(console: Console, lines: Sequence[str]) -> None:
    """Whole lines, as they are: a terminal wraps them without breaking what is copied."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)

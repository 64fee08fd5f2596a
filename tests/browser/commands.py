"""What the page says of a set, view by view, beside what `kubectl lws` says of it at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from lws.apimachinery.resources import NODES
from lws.errors import NotFoundError
from tests.browser.chromium import Browser
from tests.browser.tabs import Tab, tab
from tests.browser.world import World
from tests.cli.sessions import Plugin

TRIES: Final = 300  # a tenth of a second each: while things move, command and page do not look at the same moment
HOSTS: Final = "/places?key=kubernetes.io/hostname"
GONE: Final = "There is no such set any more, or not yet."
READING: Final = Path(__file__).with_name("reading.js").read_text()


@dataclass(frozen=True, slots=True)
class Views:
    """Every view of one set, each in a tab of its own."""

    cluster: World
    name: str
    sets: Tab
    set: Tab
    rollout: Tab
    places: Tab

    @property
    def tabs(self) -> tuple[Tab, ...]:
        """All of them."""
        return self.sets, self.set, self.rollout, self.places

    async def agree(self) -> None:
        """Wait until the page says in every view what the commands say before and after it was looked at."""
        said, shown = None, None
        for _ in range(TRIES):
            said = await self._said()
            shown = await self._shown()
            if shown == said == await self._said():
                return
            await asyncio.sleep(0.1)
        assert shown == said

    async def _shown(self) -> dict[str, Any]:
        tabs = {"sets": self.sets, "set": self.set, "rollout": self.rollout, "places": self.places}
        read = (page.evaluate(READING, [view, self.name]) for view, page in tabs.items())
        sets, one, rollout, places = await asyncio.gather(*read)
        if one["gone"] == rollout["gone"] == GONE and sets is None:
            return {"gone": True, "places": places}
        if one["gone"] or rollout["gone"] or sets is None:
            return {}
        return {
            "sets": sets["ready"],
            "first": one["says"][:1] if not one["says"] or one["says"][0] in sets["why"] else sets["why"],
            "set": (one["ready"], one["says"], one["pods"]),
            "rollout": (rollout["progress"], rollout["says"], rollout["revisions"], rollout["groups"]),
            "places": places,
        }

    async def _said(self) -> dict[str, Any]:
        try:
            listed = (await self._document("list"))["items"]
            row = next((one for one in listed if one["name"] == self.name), None)
            if row is None:
                return {"gone": True, "places": await self._places([])}
            says = [text.replace("`", "") for text in (await self._document("explain-stuck"))["sentences"]]
            tree, status = await self._document("tree"), await self._document("status")
            progress = (await self._document("rollout status", "--watch=false"))["message"]
            history = (await self._document("rollout history"))["revisions"]
            places = await self._places(tree["groups"])
        except NotFoundError:
            return {}
        pods = [
            f"{group['index']} {pod['name']} {pod['node']} {str(pod['ready']).lower()}"
            for group in tree["groups"]
            for pod in group["pods"]
        ]
        return {
            "sets": f"{row['ready']}/{row['replicas']}",
            "first": says[:1],
            "set": (f"{status['ready']} of {status['replicas']} groups ready", says, sorted(pods)),
            "rollout": (
                progress,
                says,
                sorted(f"{one['number']} {one['key']}" for one in history),
                sorted(f"{one['index']} {one['revision']}" for one in tree["groups"]),
            ),
            "places": places,
        }

    async def _places(self, groups: list[Any]) -> dict[str, Any]:
        """Where groups are, as `tree` says, and what leaves which node, as `evacuate` does of those to be emptied."""
        there: dict[tuple[str, int], int] = {}
        for group in groups:
            for pod in group["pods"]:
                if pod["node"]:
                    there[pod["node"], group["index"]] = there.get((pod["node"], group["index"]), 0) + 1
        nodes = (await self.cluster.client.list(NODES))["items"]
        names = {kind: sorted(one["metadata"]["name"] for one in nodes if is_so(one)) for kind, is_so in _KINDS.items()}
        emptied = " ".join(names["cordoned"])
        lines = (await self._run(f"evacuate {emptied} --dry-run")).splitlines() if emptied else []
        leaving = [text for text in lines if text.startswith("default/")]
        found = sorted(f"{node} {index} {count}" for (node, index), count in there.items())
        return {"leaving": leaving, **names, "groups": found}

    async def _document(self, command: str, *flags: str) -> Any:
        words = [command, *([self.name] if command != "list" else []), "-o json", *flags]
        return orjson.loads(await self._run(" ".join(words)))

    async def _run(self, line: str) -> str:
        return await Plugin(self.cluster.client).run(line)


def _lost(node: Any) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] != "True" for one in conditions)


_KINDS: Final = {"cordoned": lambda node: bool(node["spec"].get("unschedulable")), "lost": _lost}


@asynccontextmanager
async def views(
    browser: Browser, cluster: World, name: str, at: Callable[[str], str] | None = None
) -> AsyncIterator[Views]:
    """Tabs that look at the set until left; ``at`` gives the addresses of another page than the cluster's."""
    paths = ("/sets", f"/set/default/{name}", f"/rollout/lws/default/{name}", HOSTS)
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(browser, (at or cluster.at)(path))) for path in paths]
        yield Views(cluster, name, *tabs)

"""Draws the dashboard out of real answers: a control plane, two replicas and Prometheus run, and sets live for minutes.

    python -m hack.dashboard_picture      needs KUBEBUILDER_ASSETS with Prometheus, and chromium; writes a PNG

No Grafana is at hand to be run, so what its panels ask is drawn here: the queries and legends of the dashboard, the
values that Prometheus gave to them.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from tests.real.partners.monitored import Site
from tests.real.partners.processes import beside
from tests.real.planes import RealPlane
from tests.real.test_prometheus import Prometheus
from tests.simulation.cluster import manifest

from hack.panels import PANELS, VARIABLES, Panel
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES
from lws.client.api import ApiClient
from lws_sandbox.controllers.kubelet.runtime import Delays

PICTURE: Final = Path(__file__).resolve().parents[1] / "docs/images/dashboard.png"
STEP: Final = 2.0  # seconds between two values
WINDOW: Final = "20s"
COLUMNS, WIDTH, HEIGHT, GAP = 3, 420, 170, 10
COLOURS: Final = ("#3b6fb6", "#c2702c", "#3f8f5f", "#8a5fb0", "#b03a48", "#7a7a7a", "#2aa0a0", "#b59b00")
TEXT: Final = "font-family='DejaVu Sans, sans-serif' fill='#222'"
MOST: Final = 6  # lines of a legend
NAMESPACE: Final = "team"
Line = tuple[str, list[tuple[float, float]]]


async def live(plane: RealPlane) -> None:
    """Two sets come up, one waits for nodes; one is rolled, a pod of it crashes, the other is scaled."""
    client = plane.env.client("picture")
    await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    await asyncio.sleep(20)
    surge = {"maxSurge": 1, "maxUnavailable": 0}
    await client.create(LEADERWORKERSETS, _set("chat", replicas=6, size=2, rolling=surge))
    await client.create(LEADERWORKERSETS, _set("search", replicas=3, size=3))
    await asyncio.sleep(40)
    pod = {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"gpu": "b200"}}
    await client.create(LEADERWORKERSETS, _set("huge", replicas=1, size=2, section={"workerTemplate": {"spec": pod}}))
    await _roll(client, "chat")
    await asyncio.sleep(60)
    plane.cluster.loops.kubelets.crash(NAMESPACE, "search-1-1")
    await asyncio.sleep(20)
    await client.patch(LEADERWORKERSETS, NAMESPACE, "search", {"spec": {"replicas": 5}})
    await asyncio.sleep(50)


def _set(name: str, **arguments: object) -> JSON:
    return manifest(name, metadata={"namespace": NAMESPACE}, **arguments)  # type: ignore[arg-type]


async def _roll(client: ApiClient, name: str) -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await client.patch(LEADERWORKERSETS, NAMESPACE, name, change)


def asked(prometheus: Prometheus, panel: Panel, begin: float, end: float) -> list[Line]:
    """What a panel's queries answer over a time."""
    found = []
    values = {"$__rate_interval": WINDOW, **{f"${each.name}": ".*" for each in VARIABLES}}
    for query, legend in panel.queries:
        for name in sorted(values, key=len, reverse=True):
            query = query.replace(name, values[name])
        answer = prometheus.get("query_range", query=query, start=str(begin), end=str(end), step=str(STEP))
        for each in answer["result"]:
            points = [(float(at), float(value)) for at, value in each["values"]]
            found.append((_legend(legend, each["metric"]), points))
    return found


def _legend(text: str, labels: JSON) -> str:
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", str(value))
    return text


def drawn(panels: Sequence[tuple[Panel, list[Line]]], begin: float, end: float) -> str:
    """All panels as SVG."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'>"]
    parts.append("<rect width='100%' height='100%' fill='#f4f5f7'/>")
    for number, (panel, lines) in enumerate(panels):
        left = GAP + (number % COLUMNS) * (WIDTH + GAP)
        top = GAP + (number // COLUMNS) * (HEIGHT + GAP)
        parts += [f"<g transform='translate({left},{top})'>", *_panel(panel, lines, begin, end), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, lines: list[Line], begin: float, end: float) -> Iterator[str]:
    low, high = 24.0, HEIGHT - 40.0  # of the curves
    top = max((value for _, points in lines for _, value in points), default=1.0) or 1.0
    yield f"<rect width='{WIDTH}' height='{HEIGHT}' rx='4' fill='#fff' stroke='#ccd'/>"
    yield f"<text x='10' y='16' {TEXT} font-size='12' font-weight='bold'>{escape(panel.title)}</text>"
    yield f"<text x='{WIDTH - 10}' y='16' {TEXT} font-size='10' text-anchor='end'>{top:.3g} {escape(panel.unit)}</text>"
    for share in (0.0, 0.5, 1.0):
        y = low + (high - low) * share
        yield f"<line x1='10' x2='{WIDTH - 10}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e4e6ec'/>"
    for number, (_, points) in enumerate(lines):
        path = " ".join(
            f"{10 + (WIDTH - 20) * (at - begin) / (end - begin):.1f},{high - (high - low) * value / top:.1f}"
            for at, value in points
        )
        colour = COLOURS[number % len(COLOURS)]
        yield f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.6'/>"
    for number, (legend, _) in enumerate(lines[:MOST]):
        x, y = 10 + (number % 3) * (WIDTH - 20) / 3, HEIGHT - 24 + 13 * (number // 3)
        yield f"<rect x='{x:.0f}' y='{y - 6}' width='10' height='3' fill='{COLOURS[number % len(COLOURS)]}'/>"
        yield f"<text x='{x + 14:.0f}' y='{y}' {TEXT} font-size='9'>{escape(legend[:24])}</text>"


def shot(svg: str, folder: Path) -> None:
    """Have chromium take a picture."""
    (folder / "dashboard.svg").write_text(svg)
    rows = svg.count("<g transform")
    size = f"{COLUMNS * (WIDTH + GAP) + GAP},{-(-rows // COLUMNS) * (HEIGHT + GAP) + GAP}"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder}/profile", f"--window-size={size}", f"--screenshot={PICTURE}"]
    subprocess.run([*command, f"file://{folder}/dashboard.svg"], check=True, capture_output=True, timeout=120)


def main() -> int:
    """Run everything, and draw what was answered."""
    if shutil.which("chromium") is None:
        sys.stderr.write("chromium is not in PATH: it takes the picture\n")
        return 1
    site = Site(interval=STEP)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        delays = Delays(start=2.0, init=1.0, ready=3.0, stop=1.0, jitter=0.5)
        (folder / "site").mkdir()
        with beside(site.life, folder / "site", delays) as plane:
            begin = time.time()
            plane.call(live(plane))
            end, prometheus = time.time(), Prometheus(site.address)
            answers = [(panel, asked(prometheus, panel, begin, end)) for panel in PANELS]
        shot(drawn([(panel, lines) for panel, lines in answers if lines and not panel.table], begin, end), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

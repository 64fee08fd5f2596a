"""Workers that lost our label are found by their names."""

from __future__ import annotations

from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.cli.sessions import Plugin
from tests.cli.shelf import site
from tests.virtual import virtual_time


@virtual_time
async def test_a_worker_without_its_label_is_named() -> None:
    """It is there under its name, so its StatefulSet cannot make another; the way out is told (resilience 2.3)."""
    shelf = site(1, 3)
    shelf.objects[PODS][2]["metadata"]["labels"] = {}
    shelf.objects[STATEFULSETS][1]["status"]["availableReplicas"] = 1
    told = await Plugin(shelf).run("explain-stuck web")
    assert "worker pod web-0-2 is there, but counts as missing, for it lost its label" in told
    assert "Put the label back, or delete the pod." in told

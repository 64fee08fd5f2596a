"""``kubectl lws hand-back`` writes what was decided, guarded, and says it."""

from __future__ import annotations

import pytest

from lws.apimachinery.resources import PODDISRUPTIONBUDGETS, PODS
from lws.errors import ConfigurationError
from tests.cli.sessions import Plugin
from tests.cli.shelf import READY, Shelf, pod, site
from tests.virtual import virtual_time


def held() -> Shelf:
    """A set with conditions and a budget of ours, and a healed member."""
    told = [{"type": "Available", "status": "True"}, {"type": "Stalled", "status": "True"}]
    shelf = site(2, 1, status={"conditions": told})
    owner = {"kind": "LeaderWorkerSet", "name": "web", "uid": "uid-web", "controller": True}
    meta = {"name": "web", "namespace": "default", "uid": "b", "ownerReferences": [owner]}
    shelf.objects[PODDISRUPTIONBUDGETS] = [{"metadata": meta}]
    shelf.objects[PODS][1] = pod("web", 1, status={**READY, "containerStatuses": [{"restartCount": 1}]})
    return shelf


@virtual_time
async def test_conditions_and_budgets_are_removed_and_healed_groups_named() -> None:
    """The status is written without them if it is as it was seen, the budget deleted by its UID."""
    shelf = held()
    assert (await Plugin(shelf).run("hand-back -A")).splitlines() == [
        (
            "default/web: conditions Stalled removed; PodDisruptionBudget web removed; the reference will recreate "
            "group 1 (a container was restarted)"
        ),
        "Stop this controller first if it still runs: it writes what was removed again.",
    ]
    ((kind, name, patch, options),) = shelf.patched
    assert (kind, name, options["subresource"]) == ("leaderworkersets.leaderworkerset.x-k8s.io", "web", "status")
    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/status/conditions", "value": [{"type": "Available", "status": "True"}]},
    ]
    assert shelf.deleted == [("web", {"uid": "b"})]


@virtual_time
async def test_a_dry_run_writes_nothing() -> None:
    """It says what would be removed."""
    shelf = held()
    assert "conditions Stalled would be removed" in await Plugin(shelf).run("hand-back web --dry-run")
    assert (shelf.patched, shelf.deleted) == ([], [])


@virtual_time
async def test_nothing_to_hand_back_is_said() -> None:
    """Sets without anything of ours are not listed."""
    told = await Plugin(site(2, 1)).run("hand-back")
    assert told == "nothing to hand back: the reference can take every set as it is\n"
    with pytest.raises(ConfigurationError, match="names or -A"):
        await Plugin(site(2, 1)).run("hand-back web -A")
    with pytest.raises(ConfigurationError, match="LeaderWorkerSets only"):
        await Plugin(site(2, 1)).run("hand-back disaggregatedset/web")

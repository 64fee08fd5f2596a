"""``kubectl lws evacuate`` and ``release``: what they write to nodes, and what they say of groups there."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset.policykeys import DISRUPTION_BUDGET, EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws.errors import ConfigurationError, LwsError
from tests.cli.sessions import Plugin
from tests.cli.shelf import NOW, Shelf, site
from tests.virtual import virtual_time


def shelf(chosen: JSON | None = None, *, ready: str = "True", status: JSON | None = None) -> Shelf:
    """A set with two groups of one pod on node n1, chosen as given."""
    found = site(2, 1)
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": NOW}
    meta = {"name": "n1", "resourceVersion": "5"}
    found.objects[NODES] = [{"metadata": meta, "spec": {"taints": []}, "status": {"conditions": [condition]}}]
    for pod in found.objects[PODS]:
        pod["spec"] = {**(pod.get("spec") or {}), "nodeName": "n1"}
    (lws,) = found.objects[LEADERWORKERSETS]
    lws["metadata"]["annotations"] = chosen or {}
    lws["status"] = {**(lws.get("status") or {}), **(status or {})}
    return found


@pytest.mark.parametrize(
    ("chosen", "status", "how"),
    [
        ({}, {}, "nothing moves them: kubectl drain evicts their pods"),
        ({}, {"disruptionBudget": "web"}, "moved by the cluster's policies"),
        ({EVACUATE: "true"}, {}, "moved one by one, each after another group stands in"),
        ({DISRUPTION_BUDGET: "1"}, {}, "moved, at most 1 at a time"),
        ({DISRUPTION_BUDGET: "0"}, {}, "a person moves them: the disruption budget is 0"),
    ],
)
@virtual_time
async def test_evacuate_cordons_and_says_what_is_moved(chosen: JSON, status: JSON, how: str) -> None:
    """The node is cordoned, and each set there is named with its groups and the policy that moves them."""
    found = shelf(chosen, status=status)
    assert (await Plugin(found).run("evacuate n1")).splitlines() == [
        "node/n1 cordoned",
        f"default/web: groups 0, 1: {how}",
    ]
    ((kind, name, patch, _),) = found.patched
    assert (kind, name, patch) == ("nodes", "n1", {"spec": {"unschedulable": True}})


@virtual_time
async def test_evacuate_without_writing() -> None:
    """A dry run says the same and writes nothing; a node that is not there is an error."""
    found = shelf()
    assert (await Plugin(found).run("evacuate n1 --dry-run")).startswith("node/n1 would be cordoned\n")
    assert found.patched == []
    with pytest.raises(ConfigurationError, match="there is no node n2"):
        await Plugin(found).run("evacuate n1 n2")
    assert found.patched == []


@virtual_time
async def test_evacuate_waits_for_what_is_moved() -> None:
    """With -w it waits until the groups are gone, and says which sets are left when the time is over."""
    found = shelf({EVACUATE: "true"})
    with pytest.raises(LwsError, match="still there: default/web"):
        await Plugin(found).run("evacuate n1 -w --timeout 30s")
    assert (await Plugin(shelf()).run("evacuate n1 -w")).startswith("node/n1 cordoned")  # nothing there is moved


@virtual_time
async def test_release_taints_a_lost_node() -> None:
    """A node that is not ready for long is tainted as out of service, under the version that was read."""
    found = shelf(ready="Unknown")
    told = (await Plugin(found).run("release n1")).splitlines()
    assert told[:2] == ["node/n1 is now tainted node.kubernetes.io/out-of-service", "  default/web-0 is ended"]
    ((kind, name, patch, _),) = found.patched
    assert (kind, name) == ("nodes", "n1")
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "add", "path": "/spec/taints", "value": [taint]},
    ]


@virtual_time
async def test_release_refuses_a_node_that_works() -> None:
    """Pods on a node that is Ready may run: nothing is written."""
    found = shelf()
    with pytest.raises(ConfigurationError, match="node n1 is Ready, and pods on it may run"):
        await Plugin(found).run("release n1")
    assert found.patched == []

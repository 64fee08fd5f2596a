"""Which revision is the target, and what placement adds and takes (disaggregatedset 5.7, DD-23)."""

from __future__ import annotations

import pytest

from lws.api.disaggregatedset.placement import placed, unplaced
from lws.api.disaggregatedset.revision import revision_of
from lws.api.disaggregatedset.types import PlacementPolicy
from lws.apimachinery.manifests import JSON
from lws.planning.disaggregatedset.revisions import choose
from tests.api.disaggregatedset.making import ds, pause, role
from tests.planning.disaggregatedset.world import OLD, child

POLICY = {"type": "ExclusiveTopology", "topology": "zone"}


def test_the_computed_revision_if_any_child_bears_it() -> None:
    """Bytes decide where they can."""
    made = ds(role("a"), role("b"))
    own = revision_of(made.raw_roles)
    same = [child(made, name, 1, revision=OLD) for name in ("a", "b")]
    assert choose(made, own, [*same, child(made, "a", 1)]) == own
    assert choose(made, own, []) == own


def test_a_revision_that_means_the_same() -> None:
    """Children of exactly these roles with equal templates are the target, whatever their revision is called."""
    made = ds(role("a", template=pause(restartPolicy="Default")), role("b"), placementPolicy=POLICY)
    children = [child(made, name, 1, revision=OLD, slice_=1) for name in ("a", "b")]
    assert choose(made, "11111111", children) == OLD
    assert choose(made, "11111111", children[:1]) == "11111111"


@pytest.mark.parametrize(
    "other",
    [pause("3.10"), pause(size=2), pause(container={"env": [{"name": "A", "value": "b"}]})],
    ids=["image", "size", "environment"],
)
def test_a_revision_that_means_something_else(other: JSON) -> None:
    """One difference in a template is a rollout."""
    before, after = ds(role("a"), role("b")), ds(role("a", template=other), role("b"))
    children = [child(before, name, 1, revision=OLD) for name in ("a", "b")]
    assert choose(after, revision_of(after.raw_roles), children) == revision_of(after.raw_roles)


def test_the_newest_of_several() -> None:
    """Of two revisions that mean the same, the one made last is the target."""
    made = ds(role("a"), role("b"))
    first = [child(made, name, 1, revision="22222222", created="2026-01-01T00:00:00Z") for name in ("a", "b")]
    later = [child(made, name, 1, revision=OLD, created="2026-01-02T00:00:00Z") for name in ("a", "b")]
    assert choose(made, "11111111", [*later, *first]) == OLD


@pytest.mark.parametrize("slice_", [0, 3])
@pytest.mark.parametrize("kind", ["ExclusiveSlice", "ExclusiveTopology"])
@pytest.mark.parametrize(
    "affinity",
    [
        {},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}},
        {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
    ],
)
def test_5_7_what_is_placed_can_be_taken_away(slice_: int, kind: str, affinity: JSON) -> None:
    """The terms come after the author's, and without them the template is the author's again."""
    spec = {"containers": [], **({"affinity": affinity} if affinity else {})}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    policy = PlacementPolicy(type=kind, topology="zone")
    there = placed(template, policy, "x", slice_)
    assert there != template
    assert unplaced(there, "x", slice_) == template
    terms = there["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert len(terms) == (2 if kind == "ExclusiveTopology" else 1)


@pytest.mark.parametrize("policy", [None, PlacementPolicy(), PlacementPolicy(type="ExclusiveSlice")])
def test_5_7_nothing_to_place(policy: PlacementPolicy | None) -> None:
    """Without a policy, or without its topology, the template stays the very same object."""
    template: JSON = {"spec": {}}
    assert placed(template, policy, "x", 0) is template

"""Roles with the fields of newer LeaderWorkerSets (next 8, N49 to N52)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.disaggregatedset.revision import revision_of
from lws.api.disaggregatedset.validation import validate, warnings
from lws.apimachinery.actions import Patch
from lws.apimachinery.manifests import JSON
from lws.planning.disaggregatedset import sets
from lws.planning.disaggregatedset.revisions import choose
from tests.api.disaggregatedset.making import ds, external, manifest, pause, role
from tests.planning.disaggregatedset.world import NOW, OLD, child, planned, snapshot

HASH: dict[str, Any] = {"groupIdentity": "Hash"}


def test_n49_defaults_of_a_newer_definition_make_no_revision() -> None:
    """What the server fills in, and how groups are replaced, is no part of the revision; identity and budget are."""
    plain = revision_of([role("a")])
    assert revision_of([role("a", groupIdentity="Ordinal", groupReplacementPolicy="PostTermination")]) == plain
    assert revision_of([role("a", groupIdentity="")]) == plain
    hashed = revision_of([role("a", **HASH)])
    assert hashed != plain
    assert revision_of([role("a", groupReplacementPolicy="Immediate", **HASH)]) == hashed
    assert revision_of([role("a", template=pause(maxGroupRestarts=0))]) not in (plain, hashed)


def test_n49_set_from_before_keeps_its_children() -> None:
    """Nothing is planned for children of the same revision, whatever defaults they lack."""
    old = ds(role("a"), role("b"))
    kept = [child(old, name, 1) for name in ("a", "b")]
    newer = ds(*(role(name, groupIdentity="Ordinal", groupReplacementPolicy="PostTermination") for name in ("a", "b")))
    assert [each for each in planned(snapshot(newer, *kept)) if "LeaderWorkerSet" in each or "patch" in each] == []


def test_n50_change_of_identity_is_a_rollout() -> None:
    """A role that becomes Hash gets a child of a new revision that is Hash."""
    before = ds(role("a"), role("b"))
    after = ds(role("a", **HASH), role("b"))
    old = [child(before, name, 1) for name in ("a", "b")]
    plan = sets.plan(snapshot(after, *old), NOW)
    made = [each.manifest for part in plan.parts for each in part.actions if hasattr(each, "manifest")]
    specs = {each["metadata"]["name"].rpartition("-")[2]: each["spec"] for each in made if "replicas" in each["spec"]}
    assert specs["a"]["groupIdentity"] == "Hash"
    assert "groupIdentity" not in specs["b"]


@pytest.mark.parametrize(
    "edited",
    [role("a", **HASH), role("a", template=pause(maxGroupRestarts=1)), role("a", template=pause(maxGroupRestarts=0))],
)
def test_n50_children_of_another_identity_or_limit_are_no_stand_in(edited: JSON) -> None:
    """Children are taken for those of a computed revision only if they are the same in this too (DD-39)."""
    before, after = ds(role("a"), role("b")), ds(edited, role("b"))
    old = [child(before, name, 1) for name in ("a", "b")]
    assert choose(before, "another", old) == revision_of(before.raw_roles)
    computed = revision_of(after.raw_roles)
    assert choose(after, computed, old) == computed


@pytest.mark.parametrize("revision", ["", OLD])
def test_n51_replacement_policy_reaches_every_child_by_key(revision: str) -> None:
    """Children of the present and of an old revision follow; one with indices, or without a role, does not."""
    before = ds(role("a", **HASH), role("b"))
    after = ds(
        role("a", groupReplacementPolicy="Immediate", **HASH), role("b", groupReplacementPolicy="PostTermination")
    )
    kept = [child(before, name, 1, revision=revision) for name in ("a", "b")]
    gone = child(ds(role("c", **HASH)), "c", 1, revision=OLD)
    plan = sets.plan(snapshot(after, *kept, gone), NOW)
    patches = [each for part in plan.parts for each in part.actions if isinstance(each, Patch)]
    followed = [(each.name, each.change["spec"]) for each in patches if "groupReplacementPolicy" in str(each.change)]
    assert followed == [(kept[0].name, {"groupReplacementPolicy": "Immediate"})]


def test_n52_external_roles_and_slices_stay_apart() -> None:
    """The refusal of next 8.4."""
    (refused,) = validate(manifest(external("a"), role("b"), slices=2))
    assert refused == (
        "spec.slices: Forbidden: spec.slices > 1 is not supported while any role has scaling.mode: External "
        "(alpha restriction)"
    )


def test_8_1_rows_23_to_26_have_the_path_of_the_role() -> None:
    """What a LeaderWorkerSet would be refused for, its role is."""
    template = pause(maxGroupRestarts=1, restartPolicy="None", volumeClaimTemplates=[{"metadata": {"name": "c"}}])
    first = role("a", template=template, groupReplacementPolicy="Immediate")
    second = role("b", template=template, **HASH)
    budget = "maxGroupRestarts is only supported when restartPolicy recreates the group"
    claims = "volumeClaimTemplates are not supported with groupIdentity Hash"
    immediate = 'Invalid value: "Immediate": Immediate is only supported with groupIdentity Hash'
    assert validate(manifest(first, second)) == [
        f"spec.roles[0].spec.leaderWorkerTemplate.maxGroupRestarts: Invalid value: 1: {budget}",
        f"spec.roles[0].spec.groupReplacementPolicy: {immediate}",
        f"spec.roles[1].spec.leaderWorkerTemplate.maxGroupRestarts: Invalid value: 1: {budget}",
        f'spec.roles[1].spec.groupIdentity: Invalid value: "Hash": {claims}',
    ]


@pytest.mark.parametrize(("size", "longest"), [(2, 24), (1, 35)])
def test_8_3_names_leave_room_for_groups_by_key(size: int, longest: int) -> None:
    """A DisaggregatedSet with one slice and a role prefill may have 24 characters, without workers 35."""
    roles = (role("prefill", template=pause(size=size), **HASH), role("d"))
    assert validate(manifest(*roles, name="x" * longest)) == []
    (refused,) = validate(manifest(*roles, name="x" * (longest + 1)))
    assert refused == (
        'spec.roles[0].name: Invalid value: "prefill": the generated names (64 chars) would exceed the DNS-1035 limit '
        "of 63 characters (accounting for StatefulSet revision hash labels); reduce the DisaggregatedSet name and/or "
        f"role name (combined limit: {longest + 7} characters)"
    )
    assert [each for each in warnings(manifest(*roles, name="x" * longest), None) if "prefill" in each] == []

"""Taking the operand away, step by step (operator 5.8; A18, A19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lws.api.operand import names
from lws.apimachinery.actions import Delete, EmitEvent, Patch
from lws.apimachinery.manifests import JSON
from lws.planning.operand.removal import Course, course, removal
from lws.planning.operand.world import Workloads
from tests.planning.operand.making import installed, operator, without

COURSES: dict[str, tuple[JSON, int | None, Course]] = {
    "managed": ({"managementState": "Managed"}, 3, Course.MAINTAIN),
    "forced": ({"managementState": "Force"}, 3, Course.MAINTAIN),
    "unmanaged": ({"managementState": "Unmanaged", "removal": {"policy": "Operand"}}, 0, Course.LEAVE),
    "kept": ({"managementState": "Removed"}, 0, Course.LEAVE),
    "in use": ({"managementState": "Removed", "removal": {"policy": "WhenUnused"}}, 1, Course.MAINTAIN),
    "not known": ({"managementState": "Removed", "removal": {"policy": "WhenUnused"}}, None, Course.MAINTAIN),
    "unused": ({"managementState": "Removed", "removal": {"policy": "WhenUnused"}}, 0, Course.REMOVE),
    "asked for": ({"managementState": "Removed", "removal": {"policy": "Operand"}}, 3, Course.REMOVE),
    "only a policy": ({"removal": {"policy": "Operand"}}, 0, Course.MAINTAIN),
}


@pytest.mark.parametrize("case", COURSES)
def test_what_state_and_policy_ask_for(case: str) -> None:
    """The operand is removed under Removed alone, as the policy says; sets that may exist keep it under WhenUnused."""
    spec, sets, expected = COURSES[case]
    assert course(operator(**spec).spec, None if sets is None else Workloads(sets=sets)) is expected


def test_the_pods_go_first_then_the_webhooks_then_the_rest() -> None:
    """Each step waits for the one before; definitions and objects of others are never among what goes."""
    world = installed(managementState="Removed", removal={"policy": "Operand"})
    pod: JSON = {"metadata": {"name": "pod"}}
    first = removal(replace(world, pods=(pod,)), None)
    (scaled,) = first.actions
    assert isinstance(scaled, Patch)
    assert scaled.change == {"spec": {"replicas": 0}}
    assert "1 pods" in first.waits[1]
    live = {**world.live}
    live["Deployment", names.DEPLOYMENT]["spec"]["replicas"] = 0
    live["Role", "stranger"] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": "stranger", "uid": "x"},
    }
    second = removal(replace(world, live=live), None)
    assert {each.name for each in second.actions if isinstance(each, Delete)} == {names.MUTATING, names.VALIDATING}
    hooks = (("MutatingWebhookConfiguration", names.MUTATING), ("ValidatingWebhookConfiguration", names.VALIDATING))
    third = removal(without(replace(world, live=live), *hooks), None)
    *gone, event = third.actions
    deleted = {(each.resource.kind, each.name) for each in gone if isinstance(each, Delete)}
    assert deleted == {key for key in world.live if key[0] != "CustomResourceDefinition"} - {
        *hooks,
        ("Role", "stranger"),
    }
    assert isinstance(event, EmitEvent)
    assert event.reason == "OperandRemoved"
    over = removal(without(world, *hooks, *deleted), None)
    assert (over.actions, over.waits) == ([], ("", ""))

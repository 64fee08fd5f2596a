"""Nobody grants more than he has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sandbox.tests.auth.support import World, message, rule, subject, user

from lws.apimachinery.manifests import JSON
from lws.client.transport import Response
from lws_sandbox.auth.rulebook import GROUP
from lws_sandbox.user import ADMIN
from tests.virtual import virtual_time

JANE = user("jane")
WRITER = rule("create update patch get", "roles rolebindings clusterroles clusterrolebindings", GROUP)


async def writer(*rules: JSON, everywhere: bool = False) -> World:
    """A world in which jane may write roles and bindings, and what else is given."""
    world = await World().start()
    namespace = "" if everywhere else "team"
    kind = "ClusterRole" if everywhere else "Role"
    await world.role("writer", WRITER, *rules, namespace=namespace)
    await world.bind("writer", subject("jane"), namespace=namespace, kind=kind)
    return world


def role(name: str, *rules: JSON, kind: str = "Role", **more: Any) -> JSON:
    """A role."""
    return {"kind": kind, "metadata": {"name": name}, "rules": list(rules), **more}


def binding(name: str, kind: str, role_name: str, made: str = "RoleBinding") -> JSON:
    """A binding for jane herself."""
    reference = {"apiGroup": GROUP, "kind": kind, "name": role_name}
    return {"kind": made, "metadata": {"name": name}, "roleRef": reference, "subjects": [subject("jane")]}


async def post(world: World, path: str, manifest: JSON) -> Response:
    """Create as jane."""
    return await world.create(path, manifest, JANE)


ROLES = "namespaces/team/roles"
BINDINGS = "namespaces/team/rolebindings"


@virtual_time
async def test_role_within_ones_own_rights() -> None:
    """A role may grant what its writer has, and not a verb more."""
    world = await writer(rule("get list", "configmaps"))
    assert (await post(world, ROLES, role("small", rule("get", "configmaps")))).status == 201
    refusal = await post(world, ROLES, role("big", rule("get list watch", "configmaps secrets")))
    assert refusal.status == 403
    assert message(refusal) == (
        'roles.rbac.authorization.k8s.io "big" is forbidden: user "jane" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["configmaps"], Verbs:["watch"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}'
    )


@virtual_time
async def test_update_is_looked_at_too() -> None:
    """A role cannot grow beyond its writer's rights by PUT or PATCH; what the collector needs to change is free."""
    world = await writer()
    await world.role("given", rule("get", "secrets"))
    path = f"/apis/{GROUP}/v1/{ROLES}/given"
    grown = {"apiVersion": f"{GROUP}/v1", **role("given", rule("get list", "secrets"))}
    assert (await world.ask("PUT", path, JANE, grown)).status == 403
    live = orjson.loads((await world.ask("GET", path, ADMIN)).body)
    live["metadata"]["finalizers"] = ["example.com/wait"]
    assert (await world.ask("PUT", path, JANE, live)).status == 200


@virtual_time
async def test_escalate_allows() -> None:
    """The verb escalate on roles lets their writer grant anything."""
    world = await writer(rule("escalate", "roles", GROUP))
    assert (await post(world, ROLES, role("big", rule("*", "*", "*")))).status == 201


@virtual_time
async def test_binding_within_ones_own_rights() -> None:
    """A role may be bound by who has all that it grants."""
    world = await writer(rule("get", "configmaps"))
    await world.role("small", rule("get", "configmaps"))
    await world.role("big", rule("get", "secrets"))
    assert (await post(world, BINDINGS, binding("a", "Role", "small"))).status == 201
    assert (await post(world, BINDINGS, binding("b", "Role", "big"))).status == 403
    assert (await post(world, BINDINGS, binding("c", "ClusterRole", "cluster-admin"))).status == 403
    missing = await post(world, BINDINGS, binding("d", "ClusterRole", "none"))
    assert (missing.status, message(missing)) == (404, 'clusterrole.rbac.authorization.k8s.io "none" not found')


@virtual_time
async def test_bind_allows() -> None:
    """The verb bind on a role lets it be bound, and no other."""
    world = await writer(rule("bind", "clusterroles", GROUP, resourceNames=["view"]))
    await world.role("other", rule("get", "secrets"), namespace="")
    assert (await post(world, BINDINGS, binding("a", "ClusterRole", "view"))).status == 201
    assert (await post(world, BINDINGS, binding("b", "ClusterRole", "other"))).status == 403


@virtual_time
async def test_rights_in_a_namespace_do_not_reach_further() -> None:
    """Who has everything in one namespace may grant it there, and not for the cluster."""
    world = await writer(everywhere=True)
    await world.bind("cluster-admin", subject("jane"), kind="ClusterRole")
    everything = binding("a", "ClusterRole", "cluster-admin", "ClusterRoleBinding")
    assert (await post(world, "clusterrolebindings", everything)).status == 403
    assert (await post(world, BINDINGS, binding("a", "ClusterRole", "cluster-admin"))).status == 201


@pytest.mark.parametrize("held", [False, True])
@virtual_time
async def test_aggregation_rule_needs_everything(held: bool) -> None:
    """A rule that gathers others' rules may be set only by who has everything."""
    everything = [rule("*", "*", "*"), {"nonResourceURLs": ["*"], "verbs": ["*"]}] if held else []
    world = await writer(*everything, everywhere=True)
    selector = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    answer = await post(world, "clusterroles", role("all", kind="ClusterRole", aggregationRule=selector))
    assert answer.status == (201 if held else 403)
    assert held or "must have cluster-admin privileges" in message(answer)

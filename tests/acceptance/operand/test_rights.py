"""The operator lives on the rights of its bundle and uses them: A49 to A51."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hack.kustomization import render
from hack.operator_rbac import granted

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    DEPLOYMENTS,
    NAMESPACES,
    PODDISRUPTIONBUDGETS,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
)
from lws.client.transport import Request, Response, Stream, Transport
from lws.planning.operand.access import Grant, covers, grants
from lws_sandbox.user import UserInfo
from tests.acceptance.operand import reference
from tests.acceptance.operand.certmanager import CertManager, Tls
from tests.acceptance.operand.ground import NAMESPACE, Ground, fixture
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_certificates import SLOW
from tests.forwarding import Forwarding
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
ACCOUNT = UserInfo(
    f"system:serviceaccount:{NAMESPACE}:openshift-lws-operator",
    groups=("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"),
)
KINDS = {each.kind: each for each in (CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES, ROLEBINDINGS, SERVICEACCOUNTS)}

CRDS = "customresourcedefinitions"

# What is held although no request of this file needs it, and why.
RESERVED = {
    ("list", "servers without streaming lists"),
    ("get", "an object that has lost its label is asked for by name"),
}
RARE = {
    "apiservers": "OpenShift",
    "namespaces": "OpenShift",
    names.OPERATOR_METRICS_SECRET: "the certificate of the operator's own port, which no process here opens",
    "customresourcedefinitions": "the definitions of DisaggregatedSets lose their owner at a take-over",
}
UNUSED_DELETIONS = "an object that a later release lacks is pruned; a binding whose role is another is made anew"


@cache
def installed() -> tuple[JSON, ...]:
    """What config/operator grants, and to whom."""
    return tuple(each for each in render(ROOT / "config/operator/rbac") if each["kind"] in KINDS)


async def grant(site: Ground) -> None:
    """Install it."""
    for manifest in installed():
        await site.client.create(KINDS[manifest["kind"]], manifest)


class Noting(Forwarding):
    """A transport that notes which right each request needs, and how it ended."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.needed: set[tuple[str, Grant]] = set()  # namespace, or empty for the cluster
        self.refused: list[str] = []

    async def send(self, request: Request) -> Response:
        """Note and pass on."""
        self._note(request)
        response = await self._inner.send(request)
        if response.status == 403 and b" cannot " in response.body:  # and no webhook's refusal
            self.refused.append(f"{request.method} {request.path}: {response.body.decode()}")
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Note and pass on."""
        self._note(request)
        return self._inner.stream(request)

    def _note(self, request: Request) -> None:
        parts = request.path.strip("/").split("/")
        if len(parts) < 3 or (parts[0] == "apis" and len(parts) == 3):
            return  # discovery, which everybody may read
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource, name = "/".join([rest[0], *rest[2:3]]), rest[1] if len(rest) > 1 else ""
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "")
        if not verb:
            verb = "watch" if dict(request.query).get("watch") else "get" if name else "list"
        self.needed.add((namespace, (verb, group, resource, name)))
        if request.method == "PATCH" and ("fieldManager", names.FIELD_MANAGER) in request.query:
            self.needed.add((namespace, ("create", group, resource, "")))  # an apply may be a creation


async def live(site: Ground, noting: Noting) -> None:
    """The life of an installation: take-over, monitoring, both kinds of certificates, an upgrade, drift, pruning."""
    await site.apply_cr()
    await reference.install(site)
    running = await site.start(transport=noting)
    await asyncio.sleep(60)
    await site.settled()
    await site.define(fixture("service-monitor"))
    await site.define(fixture("prometheus-rule"))
    await asyncio.sleep(15)
    for mode in ("Internal", "CertManager"):
        await site.edit(certificates={"mode": mode})
        await asyncio.sleep(60)
        await site.settled()
    extra = {"spec": {"template": {"spec": {"volumes": [{"name": "x", "emptyDir": {}}]}}}}
    await site.client.patch(
        DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, extra, content_type="application/strategic-merge-patch+json"
    )
    await site.edit(monitoring={"mode": "Disabled"}, networkPolicy={"mode": "Disabled"})
    await asyncio.sleep(60)
    await site.settled()
    await running.stop()


@virtual_time
async def test_a49_the_operator_needs_what_it_holds_and_nothing_else() -> None:
    """A49: no request is refused, every right is used, granted on or has its reason; no other Secret is read."""
    async with Site(definitions=["cert-manager"], delays=SLOW) as site:
        manager, tls = CertManager(site), Tls(site)
        await grant(site)
        noting = Noting(site.sandbox.transport(ACCOUNT))
        await live(site, noting)
        manager.task.cancel()
        await tls.stop()
    assert noting.refused == []
    assert {namespace for namespace, (_, _, resource, _) in noting.needed if resource == "secrets"} == {NAMESPACE}
    for kind, where in (("ClusterRole", {""}), ("Role", {NAMESPACE})):
        (role,) = [each for each in installed() if each["kind"] == kind and each["metadata"]["name"] == NAMESPACE]
        own = [rule for rule in role["rules"] if rule not in granted(kind)]
        used = [need for namespace, need in noting.needed if namespace in where]
        for held in grants(own):
            verb, group, resource, name = held
            one = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
            rule: Any = one | ({"resourceNames": [name]} if name else {})
            needed = any(covers([rule], [_rule(need)]) for need in used)
            reserved = verb in {each for each, _ in RESERVED} or {resource, name} & RARE.keys() or verb == "delete"
            assert needed or reserved or name.endswith("-next"), held
    ours = [grant for role in installed() if "rules" in role and is_ours(role) for grant in grants(role["rules"])]
    assert not any("*" in grant for grant in ours)
    assert {verb for verb, *_ in ours}.isdisjoint({"escalate", "bind", "impersonate"})
    assert "delete" not in {verb for verb, _, what, _ in ours if what == CRDS}


def is_ours(role: JSON) -> bool:
    """Whether a role is the operator's, and not one for people."""
    return bool(role["metadata"]["name"] == names.OPERATOR_DEPLOYMENT)


def _rule(need: Grant) -> JSON:
    verb, group, resource, name = need
    rule: JSON = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
    return rule | ({"resourceNames": [name]} if name else {})


async def our_role(site: Site, kind: str) -> JSON:
    """The operator's own Role or ClusterRole."""
    return await site.client.get(KINDS[kind], NAMESPACE if kind == "Role" else "", names.OPERATOR_DEPLOYMENT)


async def change_role(site: Site, kind: str, rules: list[JSON]) -> None:
    """Give the operator's own Role or ClusterRole these rules."""
    await site.client.update(KINDS[kind], {**await our_role(site, kind), "rules": rules})


def without(rules: list[JSON], resource: str, verb: str) -> list[JSON]:
    """The rules with a verb on a resource taken away."""
    left = (
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if resource in rule.get("resources", ())
        else rule
        for rule in rules
    )
    return [rule for rule in left if rule["verbs"]]


LOST = {
    "applying": (("Role", "ClusterRole"), "poddisruptionbudgets", "patch", "PermissionDenied"),
    "looking": (("ClusterRole",), "leases", "list", "PermissionDenied"),
}


@pytest.mark.parametrize("case", LOST)
def test_a50_a_right_that_is_lost_is_named_and_heals(case: str) -> None:
    """A50: the process lives without it; once it is given back what was held up is done."""

    @virtual_time
    async def lose() -> None:
        kinds, resource, verb, reason = LOST[case]
        async with Site() as site:
            await grant(site)
            await site.start(transport=site.sandbox.transport(ACCOUNT))
            await site.apply_cr()
            await site.settled()
            before = {kind: (await our_role(site, kind))["rules"] for kind in kinds}
            for kind, rules in before.items():
                await change_role(site, kind, without(rules, resource, verb))
            await site.client.delete(PODDISRUPTIONBUDGETS, NAMESPACE, names.DEPLOYMENT)
            if reason:
                degraded = await site.becomes("Degraded", "True", reason, seconds=600)
                assert f"cannot {verb}" in degraded["message"]
                assert resource in degraded["message"]
            await asyncio.sleep(300)
            assert not site.operators[0].task.done()
            assert await site.get(PODDISRUPTIONBUDGETS, names.DEPLOYMENT) is None
            for kind, rules in before.items():
                await change_role(site, kind, rules)

            async def healed() -> bool:
                return await site.get(PODDISRUPTIONBUDGETS, names.DEPLOYMENT) is not None

            await site.until(healed, seconds=1200)
            await site.becomes("Degraded", "False")

    lose()


@virtual_time
async def test_a51_another_namespace_needs_its_own_rights() -> None:
    """A51: without the component's rights there the cause names what is missing; with them all is there and works."""
    async with Site() as site:
        await grant(site)
        await site.client.create(NAMESPACES, {"metadata": {"name": "elsewhere"}})
        site.serve("elsewhere")
        await site.start(transport=site.sandbox.transport(ACCOUNT))
        await site.apply_cr(operand={"namespace": "elsewhere"})
        degraded = await site.becomes("Degraded", "True", "PermissionDenied", seconds=600)
        assert 'in the namespace "elsewhere"' in degraded["message"]
        for manifest in render(ROOT / "config/operator/namespace"):
            manifest["metadata"]["namespace"] = "elsewhere"
            await site.client.create(KINDS[manifest["kind"]], manifest)
        await site.becomes("Available", "True", seconds=1500)
        assert len(await site.ready_pods("elsewhere")) == 2
        await site.becomes("Degraded", "False")

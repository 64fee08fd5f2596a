"""What is installed, and what people ask for from our documents: applied as `kubectl apply --server-side` does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import yaml

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from lws.client.api import APPLY_PATCH, ApiClient
from lws.client.transport import Request
from lws.clock import Clock
from lws.errors import InvalidError
from lws.runtime.authorization import Reviewer
from tests.drift.stages import until

ROOT: Final = Path(__file__).parents[2]
HOME: Final = "lws-system"
INSTALLED: Final = (
    "config/manager/manager.yaml",
    "config/manager/metrics_service.yaml",
    "config/manager/disruption_budget.yaml",
    "config/rbac/*.yaml",
    "config/webhook/service.yaml",
    "config/internalcert/secret.yaml",
    "config/networkpolicy/policy.yaml",
)
RBAC: Final = "rbac.authorization.k8s.io"
KINDS: Final = {
    resource.kind: resource
    for resource in (
        DEPLOYMENTS,
        LEADERWORKERSETS,
        NAMESPACES,
        SERVICEACCOUNTS,
        SERVICES,
        CONFIGMAPS,
        Resource("", "v1", "secrets", "Secret"),
        Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
        Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        Resource(RBAC, "v1", "roles", "Role"),
        Resource(RBAC, "v1", "rolebindings", "RoleBinding"),
        Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    )
}


async def install(user: ApiClient, unseen: ApiClient) -> None:
    """Apply what config/ holds, twice; the manager's Deployment comes up."""
    for _ in range(2):
        for document in (*_documents(INSTALLED), _configuration()):
            await _apply(user, document)
        await until(lambda: _up(unseen))
        await asyncio.sleep(2.0)
    for resource in (DEPLOYMENTS, REPLICASETS, PODS, KINDS["NetworkPolicy"]):
        await user.list(resource, HOME)


async def try_examples(user: ApiClient, namespace: str) -> None:
    """Apply every example in a dry run."""
    for document in _documents(("examples/*.yaml", "config/samples/leaderworkerset*.yaml")):
        document["metadata"]["namespace"] = namespace
        await _apply(user, document, ("dryRun", "All"))


async def try_wrong_policies(user: ApiClient) -> None:
    """Create network policies that the server refuses."""
    block = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}, "podSelector": {}}
    ports = [{"port": 0}, {"port": 80, "protocol": "ICMP"}, {"port": 80, "endPort": 79}, {"port": "web", "endPort": 1}]
    for spec in (
        {"ingress": [{"ports": ports, "from": [{}]}]},
        {"egress": [{"ports": [{"endPort": 1}], "to": [block, {"ipBlock": {"cidr": "nowhere"}}]}]},
        {"podSelector": {"matchLabels": {"a b": "c"}}, "policyTypes": ["Sideways"]},
        {"policyTypes": ["Ingress", "Egress", "Ingress"]},
    ):
        with suppress(InvalidError):
            body = {"metadata": {"name": "wrong", "namespace": HOME}, "spec": spec}
            await user.create(KINDS["NetworkPolicy"], body)


async def ask_for_metrics(user: ApiClient, reviews: ApiClient, clock: Clock) -> None:
    """A caller of the metrics who may not, one who may, and one whom nobody knows."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    answer = await user.create(SERVICEACCOUNTS, request, namespace=HOME, name="controller-manager", subresource="token")
    bearer = f"Bearer {answer['status']['token']}"
    await Reviewer(reviews, clock).review(bearer, "/metrics")
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "metrics-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "controller-manager", "namespace": HOME}],
    }
    await user.create(KINDS["ClusterRoleBinding"], binding)
    reviewer = Reviewer(reviews, clock)
    while await reviewer.review(bearer, "/metrics") is not None:  # the server's roles lag behind
        await asyncio.sleep(0.2)
        reviewer = Reviewer(reviews, clock)
    await Reviewer(reviews, clock).review("Bearer rubbish", "/metrics")


def _configuration() -> JSON:
    """The ConfigMap that kustomize generates."""
    text = (ROOT / "config/manager/controller_manager_config.yaml").read_text()
    metadata = {"name": "manager-config", "namespace": HOME}
    data = {"controller_manager_config.yaml": text}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _documents(patterns: tuple[str, ...]) -> Iterator[JSON]:
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            for document in yaml.safe_load_all(path.read_text()):
                if document and document.get("kind") in KINDS:
                    yield _placed(document)


def _placed(document: JSON) -> JSON:
    metadata = document["metadata"]
    if document["kind"] == NAMESPACES.kind:
        metadata["name"] = HOME
    for place in (metadata, *document.get("subjects", ())):
        if "namespace" in place:
            place["namespace"] = HOME
    return document


async def _apply(user: ApiClient, document: JSON, *options: tuple[str, str]) -> None:
    resource, metadata = KINDS[document["kind"]], document["metadata"]
    path = resource.path(metadata.get("namespace", ""), metadata["name"])
    query = (("fieldManager", "kubectl"), ("fieldValidation", "Strict"), ("force", "false"), *options)
    body = json.dumps(document).encode()
    await user.send(Request("PATCH", path, query, {"content-type": APPLY_PATCH}, body))


async def _up(client: ApiClient) -> bool:
    found = await client.get(DEPLOYMENTS, HOME, "controller-manager")
    return bool(found.get("status", {}).get("availableReplicas") == found["spec"]["replicas"])

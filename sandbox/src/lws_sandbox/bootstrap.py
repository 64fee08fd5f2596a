"""What a cluster has before anybody comes: namespaces, roles, the API's own Service, a storage class, priorities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, NAMESPACES, SERVICES, Resource
from lws.client.api import ApiClient
from lws.errors import AlreadyExistsError
from lws_sandbox.controllers.volumebinding.binder import STORAGE_CLASSES
from lws_sandbox.controllers.volumebinding.choice import PROVISIONER
from lws_sandbox.partners import PODGROUPS, PRIORITYCLASSES, QUEUES, WORKLOAD_PODGROUPS, WORKLOADS

SYSTEM_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
STORAGE_CLASS: Final = "standard"
_PRIORITIES: Final = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


async def bootstrap(client: ApiClient) -> None:
    """Create what an API server makes for itself: namespaces, its own Service, priorities; what is there stays.

    Raises:
        ApiError: the server refuses.
    """
    await _create_missing(client, _own())


async def seed_objects(client: ApiClient, *, volumes: bool, gang: bool, workloads: bool = False) -> None:
    """Create what our loops work with; what is there stays.

    Args:
        client: may create everything.
        volumes: claims are bound here, so there is a default storage class.
        gang: pods are placed by group, so there are the kinds that Volcano describes groups and their queues with.
        workloads: so are the pods of Workloads, which are served.

    Raises:
        ApiError: the server refuses.
    """
    if volumes:
        await _create_missing(client, [(STORAGE_CLASSES, _storage_class())])
    if workloads:
        await serve_workloads(client)
    if gang:
        await _create_missing(client, ((CUSTOMRESOURCEDEFINITIONS, _definition(each)) for each in (PODGROUPS, QUEUES)))


async def serve_workloads(client: ApiClient) -> None:
    """Serve Workloads and PodGroups of ``scheduling.k8s.io/v1beta1``, as Kubernetes 1.37 does where it is asked to.

    Raises:
        ApiError: the server refuses.
    """
    approved = {"api-approved.kubernetes.io": "unapproved, stands for a kind of a newer Kubernetes"}
    definitions = [_definition(each) for each in (WORKLOADS, WORKLOAD_PODGROUPS)]
    for each in definitions:
        each["metadata"]["annotations"] = approved
    await _create_missing(client, ((CUSTOMRESOURCEDEFINITIONS, each) for each in definitions))


async def _create_missing(client: ApiClient, manifests: Iterable[tuple[Resource, JSON]]) -> None:
    for resource, manifest in manifests:
        with suppress(AlreadyExistsError):
            await client.create(resource, manifest)


def _own() -> Iterator[tuple[Resource, JSON]]:
    for name in SYSTEM_NAMESPACES:
        yield NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield SERVICES, _kubernetes_service()
    for name, value, description in _PRIORITIES:
        manifest = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        yield PRIORITYCLASSES, manifest


def _kubernetes_service() -> JSON:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"clusterIP": "10.0.0.1", "ports": [port]},
    }


def _definition(resource: Resource) -> JSON:
    """The definition of a partner's kind, with no schema to speak of."""
    singular = resource.kind.lower()
    short = {"podgroup": ["pg"], "queue": ["q"]}.get(singular, [])
    names = {"plural": resource.plural, "singular": singular, "kind": resource.kind, "shortNames": short}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def _storage_class() -> JSON:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": annotations},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }

"""What a cluster needs for our APIs besides the controller: the definitions and the webhook configurations."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

from lws.api.disaggregatedset.crd import DISAGGREGATEDSET, ROLESCALER
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.crd import LEADERWORKERSET
from lws.api.leaderworkerset.labels import NAME as NAME_LABEL
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    SERVICES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.errors import AlreadyExistsError
from lws.webhook import handlers
from lws.webhook.registration import TIMEOUT_SECONDS

Reach = Callable[[str], JSON]
"""From a webhook's path to the ``clientConfig`` by which an API server reaches it."""
NAMESPACE: Final = "lws-system"
WEBHOOK_SERVICE: Final = "lws-webhook-service"
MANAGER: Final = "lws-install"


def by_service(path: str) -> JSON:
    """Reach webhooks through our Service."""
    return {"service": {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE, "path": path, "port": 443}}


def by_url(base: str, ca: bytes) -> Reach:
    """Reach webhooks at an address, whose certificate an authority vouches for.

    Args:
        base: such as ``https://127.0.0.1:9443``.
        ca: the authority's certificate, as PEM.
    """
    bundle = base64.b64encode(ca).decode()
    return lambda path: {"url": f"{base.rstrip('/')}{path}", "caBundle": bundle}


async def install(client: ApiClient, reach: Reach = by_service) -> None:
    """Create everything; what is there already is brought up to date by an apply.

    Raises:
        ApiError: the server refuses.
    """
    for resource, manifest in manifests(reach):
        try:
            await client.create(resource, manifest, field_manager=MANAGER)
        except AlreadyExistsError:
            await client.apply(resource, manifest, field_manager=MANAGER)


def manifests(reach: Reach = by_service) -> list[tuple[Resource, JSON]]:
    """The objects, in the order in which they are applied."""
    mutating = [
        _webhook("mleaderworkerset.kb.io", reach(handlers.MUTATE_LEADERWORKERSET), _rule(LEADERWORKERSETS)),
        _webhook("mpod.kb.io", reach(handlers.MUTATE_POD), _pod_rule("CREATE"), pods=True),
    ]
    validating = [
        _webhook("vleaderworkerset.kb.io", reach(handlers.VALIDATE_LEADERWORKERSET), _rule(LEADERWORKERSETS)),
        _webhook("vpod.kb.io", reach(handlers.VALIDATE_POD), _pod_rule("CREATE", "UPDATE"), pods=True),
        _webhook("vdisaggregatedset.kb.io", reach(handlers.VALIDATE_DISAGGREGATEDSET), _rule(DISAGGREGATEDSETS)),
    ]
    return [
        *((CUSTOMRESOURCEDEFINITIONS, each.manifest()) for each in (LEADERWORKERSET, DISAGGREGATEDSET, ROLESCALER)),
        (NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        (SERVICES, _service()),
        (MUTATINGWEBHOOKCONFIGURATIONS, _configuration(MUTATINGWEBHOOKCONFIGURATIONS, "mutating", mutating)),
        (VALIDATINGWEBHOOKCONFIGURATIONS, _configuration(VALIDATINGWEBHOOKCONFIGURATIONS, "validating", validating)),
    ]


def _service() -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE},
        "spec": {"ports": [{"port": 443, "protocol": "TCP", "targetPort": 9443}]},
    }


def _configuration(resource: Resource, kind: str, webhooks: list[JSON]) -> JSON:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": f"lws-{kind}-webhook-configuration"},
        "webhooks": webhooks,
    }


def _webhook(name: str, client_config: JSON, rule: JSON, *, pods: bool = False) -> JSON:
    webhook: JSON = {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": client_config,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "rules": [rule],
    }
    if pods:
        webhook["objectSelector"] = {"matchExpressions": [{"key": NAME_LABEL, "operator": "Exists"}]}
    return webhook


def _rule(resource: Resource) -> JSON:
    return {
        "apiGroups": [resource.group],
        "apiVersions": [resource.version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource.plural],
        "scope": "Namespaced",
    }


def _pod_rule(*operations: str) -> JSON:
    return {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": list(operations),
        "resources": ["pods"],
        "scope": "Namespaced",
    }

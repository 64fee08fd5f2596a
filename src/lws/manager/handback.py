"""Gives a cluster back to the reference operator (operator 5.10).

Its definition gets the conversion section that the reference reads without looking [W-07], our operator ends, and the
conditions that the reference does not know go. They go last, for a running operator would write them again [OD-25].
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import CERT_MANAGER
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, DEPLOYMENTS, LEASES
from lws.client.api import JSON_PATCH, ApiClient
from lws.clock import Clock
from lws.errors import ConfigurationError, NotFoundError
from lws.manager.survey import Survey
from lws.planning.operand import claims

OURS_ALONE: Final = ("Progressing", "Upgradeable", "MonitoringReady")
PATIENCE: Final = 300.0  # seconds until our operator must have ended
LOOK: Final = 1.0
NEXT_STEPS: Final = """\
The cluster is ready for the reference operator:
  1. Remove this operator: its Subscription and ClusterServiceVersion, or config/operator/{{manager,rbac}}.
  2. Install the reference operator in namespace {namespace}. The object stays; fields that it does not know go.
  3. What only this operator made stays, owned by the object: PodDisruptionBudget, NetworkPolicy and alerts of
     {deployment}, ConfigMap lws-operator-last-good, lws-metrics-auth-role.
WARNING: the reference makes the definitions belong to the object. From then on, deleting the object deletes every
LeaderWorkerSet of the cluster and all of their pods.
"""


async def handback(client: ApiClient, seen: Survey, namespace: str, clock: Clock, tell: Callable[[str], None]) -> None:
    """Do it, and tell what is left to do.

    Args:
        client: writes, with the rights of whoever runs this.
        seen: the installation.
        namespace: where the operator runs.
        clock: judges the lease.
        tell: takes lines of text.

    Raises:
        ConfigurationError: the certificates are not cert-manager's, or our operator does not end.
        ApiError: the server refused.
        TransportError: no answer.
    """
    _check(seen)
    where = seen.observation.facts.namespace
    service = {"name": names.WEBHOOK_SERVICE, "namespace": where, "path": "/convert", "port": 443}
    webhook = {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]}
    change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
    await client.patch(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD, change)
    tell(f"definition {names.SETS_CRD} has the conversion section that the reference reads")
    try:
        await client.patch(DEPLOYMENTS, namespace, names.OPERATOR_DEPLOYMENT, {"spec": {"replicas": 0}})
        tell(f"Deployment {namespace}/{names.OPERATOR_DEPLOYMENT} is scaled to 0")
    except NotFoundError:
        tell(f"there is no Deployment {namespace}/{names.OPERATOR_DEPLOYMENT}; end the operator where it runs")
    await _ended(client, namespace, clock)
    await _forget(client)
    tell("the conditions that the reference does not know are removed")
    tell(NEXT_STEPS.format(namespace=namespace, deployment=names.DEPLOYMENT).rstrip())


def _check(seen: Survey) -> None:
    facts = seen.observation.facts
    if not seen.operator["metadata"].get("uid"):
        raise ConfigurationError(f"there is no {names.KIND} {names.SINGLETON}: nothing can be handed back")
    if facts.certificates != CERT_MANAGER or facts.in_use != {CERT_MANAGER}:
        raise ConfigurationError(
            "the reference needs cert-manager's certificates in force: set spec.certificates.mode to CertManager, and"
            " wait until nothing progresses"
        )


async def _ended(client: ApiClient, namespace: str, clock: Clock) -> None:
    """Wait until no operator of ours leads any more, and so none writes."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            lease = await client.get(LEASES, namespace, names.OPERATOR_LEASE)
        except NotFoundError:
            return
        holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
        if not holder.startswith(names.OPERATOR_IDENTITY) or not claims.held(lease, clock.now()):
            return
        if clock.monotonic() >= deadline:
            raise ConfigurationError(f"{holder} still leads; end this operator, and run handback again")
        await asyncio.sleep(LOOK)


async def _forget(client: ApiClient) -> None:
    live: JSON = await client.get(OPERATORS, "", names.SINGLETON)
    conditions = (live.get("status") or {}).get("conditions") or []
    kept = [each for each in conditions if each.get("type") not in OURS_ALONE]
    if kept == conditions:
        return
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/status/conditions", "value": kept},
    ]
    await client.patch(OPERATORS, "", names.SINGLETON, operations, content_type=JSON_PATCH, subresource="status")

"""Takes snapshots: from the caches, and by asking where those do not tell (operator 5.6).

Asked are: which optional APIs there are, the leases by which installations and operators show themselves, objects that
are wanted and bear no label of ours, and the certificates that are served.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography import x509

from lws.api.operand import names
from lws.api.operand.types import ADOPT, CERT_MANAGER, LeaderWorkerSetOperator
from lws.api.operand.workloads import Workload
from lws.apimachinery.manifests import JSON, labels_of, name_of
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import (
    CERTIFICATES,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ISSUERS,
    LEASES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    NETWORKPOLICIES,
    PODDISRUPTIONBUDGETS,
    PROMETHEUSRULES,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICEMONITORS,
    SERVICES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ForbiddenError, NotFoundError
from lws.planning.operand import certificates, claims, sizing, switching
from lws.planning.operand.assets import Asset
from lws.planning.operand.conditions import MONITORING_LABEL
from lws.planning.operand.desired import Desired, desired
from lws.planning.operand.facts import ClusterTls, Facts
from lws.planning.operand.health import image_of
from lws.planning.operand.record import NAME as RECORD
from lws.planning.operand.status import stamp
from lws.planning.operand.world import CertificateEnds, Key, Probe, Workloads, World
from lws.reconcilers.operand.apis import APISERVERS, GROUPS, OPENSHIFT_GROUP, OptionalApis

# What releases apply, this one or another: objects of a kind that this one no longer has are pruned too.
KNOWN: Final = (
    CERTIFICATES,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ISSUERS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NETWORKPOLICIES,
    PODDISRUPTIONBUDGETS,
    PROMETHEUSRULES,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
    SERVICEMONITORS,
    SERVICES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
_LEFTOVERS: Final = {CLUSTERROLES.kind: CLUSTERROLES, CLUSTERROLEBINDINGS.kind: CLUSTERROLEBINDINGS}
CERTIFICATE_SECRETS: Final = (names.SERVING_SECRET, names.METRICS_SECRET, names.AUTHORITY, names.INTERNAL_SECRET)
ENDING: Final = timedelta(days=7)  # before its end a certificate that nobody will renew is replaced
SETS_GROUP: Final = "leaderworkerset.x-k8s.io"
DISAGGREGATED_GROUP: Final = "disaggregatedset.x-k8s.io"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator is told by whoever runs it.

    Attributes:
        namespace: where the operator runs.
        image: of the operand; empty if it was not told.
        version: of the operand's objects that this operator carries.
        platform: ``openshift`` or ``kubernetes``; empty to find out.
    """

    namespace: str
    image: str
    version: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look: the facts, what is wanted given them, and what there is."""

    facts: Facts
    wanted: Desired
    world: World
    record: JSON | None  # the ConfigMap that says what became of rollouts
    standby: str = ""  # who else works on the same object; empty if nobody


class Seen(Protocol):
    """What is known of the cluster without asking for it by name: caches, or lists taken just now."""

    @property
    def workloads(self) -> Sets | None:
        """Users' sets; None while the cluster serves none."""
        ...

    def follow(self, resources: Mapping[Resource, bool], namespace: str, /) -> None:
        """Know these resources: those of the cluster, and in this namespace; optional ones (true) may go again."""
        ...

    def follow_workloads(self, *, served: bool) -> None:
        """Know users' sets while the cluster serves them."""
        ...

    def definitions_named(self) -> Mapping[str, ObjectMeta]:
        """CustomResourceDefinitions, by name."""
        ...

    def labelled(self) -> Iterable[tuple[Resource, JSON]]:
        """Everything that bears our label."""
        ...

    def pods(self) -> tuple[JSON, ...]:
        """Pods of the operand."""
        ...

    def replica_sets(self) -> tuple[JSON, ...]:
        """ReplicaSets of the operand."""
        ...


class Sets(Protocol):
    """Users' sets."""

    @property
    def synced(self) -> bool:
        """Whether all are known."""
        ...

    @property
    def store(self) -> Iterable[Workload]:
        """The sets."""
        ...


class Observer:
    """Looks.

    Args:
        client: asks.
        caches: what is known.
        apis: the optional APIs.
        assets: the objects of this release.
        surroundings: what the operator was told.
        clock: the time of day.
    """

    def __init__(
        self,
        client: ApiClient,
        caches: Seen,
        apis: OptionalApis,
        assets: Sequence[Asset],
        surroundings: Surroundings,
        clock: Clock,
    ) -> None:
        self._client = client
        self._caches = caches
        self._apis = apis
        self._assets = assets
        self._told = surroundings
        self._clock = clock
        self._no_leftovers = False  # whether those of the reference are known to be gone

    async def observe(self, operator: LeaderWorkerSetOperator, probe: Probe | None) -> Observation:
        """Look at everything.

        Raises:
            ApiError: the server refuses to tell.
            TransportError: no answer.
        """
        namespace = operator.spec.operand.namespace or self._told.namespace
        served = await self._apis.served()
        self._follow(namespace, served)
        live = {(resource.kind, name_of(each)): each for resource, each in self._caches.labelled()}
        if (deployment := (DEPLOYMENTS.kind, names.DEPLOYMENT)) not in live:
            found = await self._get(DEPLOYMENTS, namespace, names.DEPLOYMENT)
            live |= {deployment: found} if found is not None else {}
        secrets = await self._secrets(namespace)
        facts = await self._facts(operator, namespace, served, live, secrets)
        wanted = desired(operator.spec, facts, self._assets)
        await self._complete(wanted, live, namespace)
        leases = await self._leases()
        ours = next((each for each in leases if _names(each, self._told.namespace, names.OPERATOR_LEASE)), None)
        now = self._clock.now()
        other, denied = await self._other(operator, live, leases, namespace)
        world = World(
            operator=operator,
            live=live,
            now=now,
            owned_definitions=self._owned_definitions(),
            pods=self._caches.pods(),
            replica_sets=self._caches.replica_sets(),
            leases=tuple(leases),
            probe=probe,
            secrets=secrets,
            ends=_ends(facts, secrets),
            workloads=self._workloads(),
            resources={(each.api_version, each.kind): each for each, _ in self._caches.labelled()},
            other_scale=other,
            other_denied=denied,
            cluster_monitoring=facts.openshift and await self._monitored(namespace),
        )
        record = await self._get(CONFIGMAPS, self._told.namespace, RECORD)
        return Observation(facts, wanted, world, record, claims.rival(leases, ours, self._told.namespace, now))

    def _follow(self, namespace: str, served: frozenset[str]) -> None:
        self._caches.follow(followed(self._assets, served), namespace)
        definition = self._caches.definitions_named().get(names.SETS_CRD)
        self._caches.follow_workloads(served=definition is not None and not definition.deleting)

    async def _facts(
        self,
        operator: LeaderWorkerSetOperator,
        namespace: str,
        served: frozenset[str],
        live: dict[Key, JSON],
        secrets: Mapping[str, JSON],
    ) -> Facts:
        openshift = self._told.platform == "openshift" or (not self._told.platform and OPENSHIFT_GROUP in served)
        recorded = str((operator.raw_status.get("certificates") or {}).get("mode") or "")
        config_map = live.get((CONFIGMAPS.kind, names.CONFIG_MAP))
        if config_map is None and not recorded:
            config_map = await self._get(CONFIGMAPS, namespace, names.CONFIG_MAP)
        cert_manager = {f"{each.kind}.{each.group}" for each in (ISSUERS, CERTIFICATES)} <= served
        end = _end(secrets.get(names.SERVING_SECRET))
        ending = end is None or end - self._clock.now() <= ENDING
        deployment = live.get((DEPLOYMENTS.kind, names.DEPLOYMENT))
        image = self._told.image or image_of(deployment)
        rolling = deployment is not None and image_of(deployment) != image
        sets = self._workloads()
        count = None if sets is None else sets.pods
        size = sizing.decided(operator.spec, deployment, self._caches.pods(), count, rolling=rolling)
        return Facts(
            namespace=namespace,
            operator_namespace=self._told.namespace,
            owner_uid=operator.metadata.uid,
            image=image,
            image_told=bool(self._told.image),
            version=self._told.version,
            openshift=openshift,
            served=served,
            certificates=certificates.decided(operator.spec, recorded, config_map, served=cert_manager, ending=ending),
            in_use=switching.modes_in_use(deployment, self._caches.replica_sets()),
            tier=size[0] if size is not None else None,
            tier_floor=size[1] if size is not None else 0,
            tls=await self._cluster_tls() if OPENSHIFT_GROUP in served else ClusterTls(),
        )

    async def _complete(self, wanted: Desired, live: dict[Key, JSON], namespace: str) -> None:
        """Ask for what is wanted and not in the caches: it may be there without our label."""
        for each in wanted.objects:
            if each.key not in live:
                found = await self._get(each.resource, namespace, each.key[1])
                if found is not None:
                    live[each.key] = found
        if self._no_leftovers:
            return
        left = 0
        for kind, name in names.LEFTOVERS:
            found = await self._get(_LEFTOVERS[kind], "", name)
            if found is not None and claims.owned_by_operator(found):
                live[kind, name] = found
                left += 1
        self._no_leftovers = not left

    async def _get(self, resource: Resource, namespace: str, name: str) -> JSON | None:
        try:
            return await self._client.get(resource, namespace if resource.namespaced else "", name)
        except NotFoundError:
            return None

    async def _leases(self) -> list[JSON]:
        """The leases by which operands and operators show themselves, in every namespace."""
        found: list[JSON] = []
        for name in (names.OPERAND_LEASE, names.OPERATOR_LEASE):
            found += (await self._client.list(LEASES, field_selector=f"metadata.name={name}"))["items"]
        return found

    async def _other(
        self, operator: LeaderWorkerSetOperator, live: Mapping[Key, JSON], leases: list[JSON], namespace: str
    ) -> tuple[JSON | None, str]:
        """The scale of a Deployment elsewhere that is to be adopted, or why it may not be looked at."""
        if operator.spec.take_over != ADOPT:
            return None, ""
        for where, _ in claims.other_installation(live, leases, namespace, self._clock.now()):
            try:
                return await self._client.get(DEPLOYMENTS, where, names.DEPLOYMENT, "scale"), ""
            except NotFoundError:
                return None, ""
            except ForbiddenError as error:
                return None, error.message
        return None, ""

    def _owned_definitions(self) -> tuple[ObjectMeta, ...]:
        """Definitions of sets that a LeaderWorkerSetOperator owns."""
        return tuple(
            meta
            for meta in self._caches.definitions_named().values()
            if meta.name.partition(".")[2] in (SETS_GROUP, DISAGGREGATED_GROUP)
            and any(owner.kind == names.KIND for owner in meta.owner_references or ())
        )

    async def _secrets(self, namespace: str) -> dict[str, JSON]:
        """The Secrets of certificates that there are."""
        found = {name: await self._get(SECRETS, namespace, name) for name in CERTIFICATE_SECRETS}
        return {name: secret for name, secret in found.items() if secret is not None}

    async def _cluster_tls(self) -> ClusterTls:
        """The profile of OpenShift's API server."""
        found = await self._get(APISERVERS, "", "cluster")
        profile = ((found or {}).get("spec") or {}).get("tlsSecurityProfile") or {}
        custom = profile.get("custom") or {}
        return ClusterTls(
            str(profile.get("type") or "Intermediate"),
            str(custom.get("minTLSVersion") or ""),
            tuple(custom.get("ciphers") or ()),
        )

    async def _monitored(self, namespace: str) -> bool:
        found = await self._get(NAMESPACES, "", namespace)
        return labels_of(found or {}).get(MONITORING_LABEL) == "true"

    def _workloads(self) -> Workloads | None:
        informer = self._caches.workloads
        return None if informer is None or not informer.synced else counted([*informer.store])


def followed(assets: Sequence[Asset], served: frozenset[str]) -> dict[Resource, bool]:
    """The resources of which objects of ours are looked for; true for those whose API may go again."""
    known = {*KNOWN, *(each.resource for each in assets)}
    resources = {each: each.group in GROUPS for each in sorted(known, key=str)}
    return {
        resource: optional
        for resource, optional in resources.items()
        if not optional or f"{resource.kind}.{resource.group}" in served
    }


def _ends(facts: Facts, secrets: Mapping[str, JSON]) -> CertificateEnds:
    """When the certificates in force end, as far as that is known."""
    own = facts.certificates != CERT_MANAGER
    webhook = _end(secrets.get(names.INTERNAL_SECRET if own else names.SERVING_SECRET))
    metrics = None if own else _end(secrets.get(names.METRICS_SECRET))
    return CertificateEnds(stamp(webhook) if webhook else "", stamp(metrics) if metrics else "")


def _end(secret: JSON | None) -> datetime | None:
    try:
        pem = base64.b64decode(((secret or {}).get("data") or {}).get("tls.crt") or "")
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None


def counted(sets: Sequence[Workload]) -> Workloads:
    """Sets and groups, counted."""
    return Workloads(
        sets=len(sets),
        sets_available=sum(each.is_true("Available") for each in sets),
        sets_progressing=sum(each.is_true("Progressing") for each in sets),
        sets_blocked=sum(each.is_true("Blocked") for each in sets),
        groups_desired=sum(each.spec.replicas for each in sets),
        groups_ready=sum(each.status.ready_replicas for each in sets),
        groups_updated=sum(each.status.updated_replicas for each in sets),
        pods=sum(each.status.replicas * each.spec.leader_worker_template.size for each in sets),
    )


def _names(lease: JSON, namespace: str, name: str) -> bool:
    meta = lease["metadata"]
    return bool(meta["namespace"] == namespace and meta["name"] == name)

"""The leader StatefulSet: content, and when it is worth applying (spec 5.3, CD-11)."""

from __future__ import annotations

from typing import Final

import orjson
import xxhash

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.types import ROLLING_UPDATE, UNIQUE_PER_REPLICA, LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import STATEFULSETS
from lws.planning.leaderworkerset import templates
from lws.planning.leaderworkerset.metadata import of_leader_object, topology_annotations
from lws.planning.leaderworkerset.rollout import Decision

PARALLEL: Final = "Parallel"


def selector(lws: LeaderWorkerSet) -> dict[str, str]:
    """What the leader StatefulSet selects (spec 1.2)."""
    return {labels.NAME: lws.metadata.name, labels.WORKER_INDEX: labels.LEADER_INDEX}


def manifest(lws: LeaderWorkerSet, section: JSON, key: str, decision: Decision, max_unavailable: int) -> JSON:
    """Exactly the fields that are applied; none more (spec 5.3).

    Args:
        lws: the live object.
        section: normal form of its ``leaderWorkerTemplate``.
        key: the current revision key.
        decision: partition and replicas.
        max_unavailable: how many leaders may be down for the StatefulSet controller.
    """
    meta = lws.metadata
    return {
        "apiVersion": STATEFULSETS.api_version,
        "kind": STATEFULSETS.kind,
        "metadata": of_leader_object(lws, key),
        "spec": {
            "replicas": decision.replicas,
            "serviceName": meta.name,
            "podManagementPolicy": PARALLEL,
            "selector": {"matchLabels": selector(lws)},
            "updateStrategy": {
                "type": lws.spec.rollout_strategy.type or ROLLING_UPDATE,
                "rollingUpdate": {
                    "partition": decision.partition,
                    "maxUnavailable": max_unavailable,
                },
            },
            "template": templates.pod_template(
                templates.leader_template(section), {**selector(lws), labels.REVISION: key}, template_annotations(lws)
            ),
            **templates.storage(section, meta.namespace),
        },
    }


def template_annotations(lws: LeaderWorkerSet) -> dict[str, str]:
    """Annotations of the leader template (spec 1.3)."""
    template = lws.spec.leader_worker_template
    out = {labels.SIZE: str(template.size), **topology_annotations(lws, template.sub_group_policy)}
    if lws.spec.network_config.subdomain_policy == UNIQUE_PER_REPLICA:
        out[labels.SUBDOMAIN_POLICY] = UNIQUE_PER_REPLICA
    return out | scheduling.marks(lws.raw_spec, lws.metadata.name, lws.metadata.uid)


def digest(body: JSON) -> str:
    """Identifies a manifest: equal manifests have equal digests."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


def unchanged(applied: Applied | None, body_digest: str, live: ObjectMeta | None) -> bool:
    """Whether applying again would do nothing, as far as is remembered (CD-11).

    True when the last success sent the same manifest and the live object is as that apply left it. After a start
    nothing is remembered, and the executor looks at the live object itself before it writes.
    """
    if applied is None or live is None or applied.digest != body_digest:
        return False
    return Applied.left(body_digest, live) == applied

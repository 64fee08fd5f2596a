"""What a pod of a LeaderWorkerSet carries, written down from the specification alone (spec 1.2 to 4.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lws.apimachinery.manifests import JSON

L = "leaderworkerset.sigs.k8s.io/"


def sha1(text: str) -> str:
    """Lower-case hex."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Expected:
    """One pod: group and index within it (0 is the leader), in a set that lives in a namespace."""

    lws: JSON
    group: int
    index: int
    key: str  # template revision
    zone: str = ""  # of the leader's node
    topology: Mapping[str, str] = field(default_factory=dict)  # that the server copied from the pod's own node

    @property
    def name(self) -> str:
        """Of the pod."""
        return self.leader if self.index == 0 else f"{self.leader}-{self.index}"

    @property
    def leader(self) -> str:
        """Of the leader pod."""
        return f"{self.lws['metadata']['name']}-{self.group}"

    @property
    def namespace(self) -> str:
        """Of all of it."""
        return str(self.lws["metadata"]["namespace"])

    @property
    def section(self) -> JSON:
        """`spec.leaderWorkerTemplate`."""
        found: JSON = self.lws["spec"]["leaderWorkerTemplate"]
        return found

    @property
    def size(self) -> int:
        """Pods in the group."""
        return int(self.section.get("size", 1))

    @property
    def template(self) -> JSON:
        """The pod's template: leaders without one use that of workers."""
        leader = self.section.get("leaderTemplate") if self.index == 0 else None
        found: JSON = leader or self.section["workerTemplate"]
        return found

    @property
    def unique(self) -> bool:
        """Whether each group has its own subdomain."""
        return bool((self.lws["spec"].get("networkConfig") or {}).get("subdomainPolicy") == "UniquePerReplica")

    @property
    def subdomain(self) -> str:
        """The pod's."""
        return self.leader if self.unique else str(self.lws["metadata"]["name"])

    @property
    def subgroup(self) -> int | None:
        """The subgroup, if the pod is in one (spec 4.2, 4.3)."""
        policy = self.section.get("subGroupPolicy")
        if not policy:
            return None
        size, each = self.size, int(policy["subGroupSize"])
        if self.index == 0:
            return None if policy.get("subGroupPolicyType") == "LeaderExcluded" else 0
        outside = (size - 1) % each == 0 and size % each != 0
        return (self.index - 1) // each if outside else self.index // each

    def labels(self, revision: str) -> dict[str, str]:
        """All labels; ``revision`` is that of the pod's StatefulSet."""
        own = {
            f"{L}name": self.lws["metadata"]["name"],
            f"{L}template-revision-hash": self.key,
            f"{L}worker-index": str(self.index),
            f"{L}group-index": str(self.group),
            f"{L}group-key": sha1(f"{self.namespace}/{self.leader}"),
            "apps.kubernetes.io/pod-index": str(self.group if self.index == 0 else self.index),
            "statefulset.kubernetes.io/pod-name": self.name,
            "controller-revision-hash": revision,
        }
        if self.subgroup is not None:
            own[f"{L}subgroup-index"] = str(self.subgroup)
            own[f"{L}subgroup-key"] = sha1(f"{self.leader}/{self.subgroup}")
        return {**((self.template.get("metadata") or {}).get("labels") or {}), **own, **self.topology}

    def annotations(self) -> dict[str, str]:
        """All annotations."""
        own = {f"{L}size": str(self.size)}
        topology = (self.lws["metadata"].get("annotations") or {}).get(f"{L}exclusive-topology")
        if topology:
            own[f"{L}exclusive-topology"] = topology
        policy = self.section.get("subGroupPolicy")
        if policy:
            own[f"{L}subgroup-size"] = str(policy["subGroupSize"])
            own[f"{L}subgroup-policy-type"] = policy.get("subGroupPolicyType", "LeaderWorker")
        if self.index == 0 and self.unique:
            own[f"{L}subdomainPolicy"] = "UniquePerReplica"
        if self.index:
            own[f"{L}leader-name"] = self.leader
            own[f"{L}leader-address"] = f"{self.leader}.{self.subdomain}.{self.namespace}"
            if self._requests_tpus(self.section.get("leaderTemplate") or self.section["workerTemplate"]):
                own[f"{L}leader-requests-tpus"] = "true"
        return {**((self.template.get("metadata") or {}).get("annotations") or {}), **own}

    def environment(self, container: JSON) -> list[JSON]:
        """The variables of a container, in order."""
        own = [
            {"name": "LWS_LEADER_ADDRESS", "value": f"{self.leader}.{self.subdomain}.{self.namespace}"},
            {"name": "LWS_GROUP_SIZE", "value": str(self.size)},
            {"name": "LWS_WORKER_INDEX", "value": str(self.index)},
        ]
        names = {entry["name"] for entry in own}
        user = [entry for entry in container.get("env") or () if entry["name"] not in names]
        return [*own, *user, *(self._tpu() if self._requests_tpus(self.template) else ())]

    def affinity(self) -> JSON | None:
        """The whole affinity: exclusive terms of leaders (spec 4.4); the examples have none of their own."""
        topology = (self.lws["metadata"].get("annotations") or {}).get(f"{L}exclusive-topology")
        if not topology or self.index:
            return None
        label, value = f"{L}group-key", sha1(f"{self.namespace}/{self.leader}")
        near = [{"key": label, "operator": "In", "values": [value]}]
        far = [{"key": label, "operator": "Exists"}, {"key": label, "operator": "NotIn", "values": [value]}]
        return {
            kind: {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchExpressions": expressions}, "topologyKey": topology}
                ]
            }
            for kind, expressions in (("podAffinity", near), ("podAntiAffinity", far))
        }

    def node_selector(self) -> dict[str, str] | None:
        """The user's, and for workers of an exclusive group the leader's domain."""
        found = dict(self.template["spec"].get("nodeSelector") or {})
        topology = (self.lws["metadata"].get("annotations") or {}).get(f"{L}exclusive-topology")
        if topology and self.index:
            found[topology] = self.zone
        return found or None

    def _tpu(self) -> list[JSON]:
        """Variables of one TPU container a pod, in a set whose leader requests TPUs (spec 4.6)."""
        hosts = [f"{self.leader}{f'-{index}' if index else ''}.{self.subdomain}" for index in range(self.size)]
        return [
            {"name": "TPU_WORKER_HOSTNAMES", "value": ",".join(hosts)},
            {"name": "TPU_WORKER_ID", "value": str(self.index)},
            {"name": "TPU_NAME", "value": self.leader},
            {"name": "TPU_PROCESS_ADDRESSES", "value": ",".join(f"{host}:8476" for host in hosts)},
            {"name": "TPU_PROCESS_PORT", "value": "8476"},
        ]

    @staticmethod
    def _requests_tpus(template: JSON) -> bool:
        return any(
            "google.com/tpu" in ((container.get("resources") or {}).get("limits") or {})
            for container in template["spec"]["containers"]
        )

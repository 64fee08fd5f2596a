"""Resources of custom APIs that the sandbox's own loops know, as a cluster's do through their plugins."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import Resource

LEADERWORKERSETS: Final = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
PODGROUPS: Final = Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup")  # Volcano's
QUEUES: Final = Resource("scheduling.volcano.sh", "v1beta1", "queues", "Queue", namespaced=False)
PRIORITYCLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
WORKLOADS: Final = Resource("scheduling.k8s.io", "v1beta1", "workloads", "Workload")  # of Kubernetes 1.37
WORKLOAD_PODGROUPS: Final = Resource("scheduling.k8s.io", "v1beta1", "podgroups", "PodGroup")

"""The resources that are this API's own, and those of its optional partners."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import Resource

LEADERWORKERSETS: Final = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
PODGROUPS: Final = Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup")  # Volcano's
QUEUES: Final = Resource("scheduling.volcano.sh", "v1beta1", "queues", "Queue", namespaced=False)
WORKLOADS: Final = Resource("scheduling.k8s.io", "v1beta1", "workloads", "Workload")
SCHEDULING_PODGROUPS: Final = Resource("scheduling.k8s.io", "v1beta1", "podgroups", "PodGroup")  # of Kubernetes 1.37

"""The resources that are this API's own, and those of its optional partners."""

from __future__ import annotations

from typing import Final

from lws.api.leaderworkerset.workloadapi import V1BETA1
from lws.apimachinery.resources import Resource

LEADERWORKERSETS: Final = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
PODGROUPS: Final = Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup")  # Volcano's
QUEUES: Final = Resource("scheduling.volcano.sh", "v1beta1", "queues", "Queue", namespaced=False)
WORKLOADS: Final = V1BETA1.workloads
SCHEDULING_PODGROUPS: Final = V1BETA1.groups

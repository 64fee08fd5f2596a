"""PodGroups of ``scheduling.k8s.io``, as kube-scheduler of Kubernetes 1.37 heeds them with gate GenericWorkload.

A pod that names one waits until it is there. Under policy ``gang`` its pods are placed together or not at all, until
as many as ``minCount`` have a node; from then on, and under ``basic``, each is placed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from lws.apimachinery.manifests import JSON
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Raw, Toolbox
from lws_sandbox.controllers.objects import namespace_of
from lws_sandbox.controllers.scheduler.podgroups import Turn
from lws_sandbox.partners import WORKLOAD_PODGROUPS


class SchedulingGroups:
    """The groups, and who belongs to them.

    Args:
        tools: shared by all loops.
        pods: every pod.
    """

    def __init__(self, tools: Toolbox, pods: Raw) -> None:
        self.groups: Raw = tools.watch(WORKLOAD_PODGROUPS)
        self._pods = pods

    def of_pod(self, pod: JSON) -> JSON | None:
        """The PodGroup that a pod names, if it is there."""
        found = self.groups.store.get(namespace_of(pod), name_of_group(pod))
        return found.raw if found is not None else None

    def admitted(self, group: JSON) -> bool:  # noqa: ARG002 -- no queue holds it
        """Whether its pods may be placed."""
        return True

    def started(self, group: JSON) -> list[Turn]:  # noqa: ARG002 -- nobody reads it
        """What is written once as many pods have a node as must have one: nothing."""
        return []

    def least(self, group: JSON) -> int:
        """How many pods must have a node for any to get one; 0 without a gang."""
        gang = ((group.get("spec") or {}).get("schedulingPolicy") or {}).get("gang") or {}
        return int(gang.get("minCount") or 0)

    def members(self, namespace: str, name: str) -> Iterable[RawObject]:
        """Pods that name this PodGroup."""
        return (each for each in self._pods.store.list(namespace) if name_of_group(each.raw) == name)


def name_of_group(pod: JSON) -> str:
    """The PodGroup that a pod names; empty if it names none."""
    return (pod["spec"].get("schedulingGroup") or {}).get("podGroupName") or ""

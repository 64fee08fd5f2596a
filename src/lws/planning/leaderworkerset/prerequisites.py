"""What typed scheduling needs before pods are made: what there is of it, and why it cannot be had (next 7.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lws.api.leaderworkerset.objects import PodGroup, SchedulingPodGroup, Workload
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.leaderworkerset.workloadapi import V1BETA1, WorkloadApi
from lws.apimachinery.actions import Action, EmitEvent
from lws.apimachinery.conditions import Wanted
from lws.apimachinery.objects import ObjectMeta
from lws.planning.leaderworkerset.podgroup import SchedulerProvider

CREATED: Final = "WorkloadSchedulingCreated"
REMEDY: Final = f"see condition {CREATED} of the set, and spec.scheduling"
READY: Final = ("SchedulingPrerequisitesCreated", "scheduling prerequisites created")
API_NOT_AVAILABLE: Final = "APINotAvailable"
UNSUPPORTED: Final = "UnsupportedProviderCapability"
INVALID: Final = "InvalidSchedulingConfiguration"
WORKLOAD_FAILED: Final = "WorkloadCreateFailed"
POD_GROUP_FAILED: Final = "PodGroupCreateFailed"
PARENT_NOT_READY: Final = "ParentWorkloadNotReady"
CLEANUP_BLOCKED: Final = "PodGroupCleanupBlocked"
LONGEST_MESSAGE: Final = 1024  # bytes of a condition's message (ND-17)


@dataclass(frozen=True, slots=True)
class Parent:
    """The Workload that a parent's controller made for a set among others (next 7.8).

    Attributes:
        workload: what was found.
        problem: why nothing was.
    """

    workload: Workload | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Gangs:
    """What there is of the PodGroups of a gang scheduler that has an API of its own.

    Attributes:
        provider: how they are made.
        groups: those with the set's label, by name.
    """

    provider: SchedulerProvider
    groups: Mapping[str, PodGroup] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of typed scheduling.

    Attributes:
        supported: whether it is on, with a provider.
        unavailable: why the API server has no Workloads or PodGroups for us; empty if it has.
        api: the version of ``scheduling.k8s.io``.
        workloads: those with the set's label.
        groups: PodGroups with the set's label, by name.
        in_use: names of PodGroups that pods of the namespace name.
        parent: the Workload of a set that has none of its own; None if it was not looked for.
        gangs: set if the provider is not Kubernetes itself.
    """

    supported: bool = False
    unavailable: str = ""
    api: WorkloadApi = V1BETA1
    workloads: tuple[Workload, ...] = ()
    groups: Mapping[str, SchedulingPodGroup] = field(default_factory=dict)
    in_use: frozenset[str] = frozenset()
    parent: Parent | None = None
    gangs: Gangs | None = None


NOTHING_SEEN: Final = Seen()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why pods of the set cannot be made: reason of the condition and of the event, and its words."""

    reason: str
    message: str

    @property
    def event(self) -> EmitEvent:
        """Tells of it, once for the same words (ND-17)."""
        return EmitEvent("Warning", self.reason, "Reconcile", self.message, once=f"{self.reason}/{self.message}")


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """What is to be done before pods are made.

    Attributes:
        actions: in this order.
        problem: why the rest of the pass is not to be done.
        complete: whether it may be, once the actions have succeeded.
    """

    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    complete: bool = True


class UnpreparedError(Exception):
    """Something is not as wanted, and cannot be changed."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


def condition(problem: Problem | None) -> Wanted:
    """What the set's condition is to say (next 7.5)."""
    if problem is None:
        return Wanted(CREATED, *READY)
    message = problem.message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    return Wanted(CREATED, problem.reason, message, "False")


def controlled(meta: ObjectMeta, lws: LeaderWorkerSet) -> bool:
    """Whether the object's controller is this very set."""
    return meta.controller is not None and meta.controller.uid == lws.metadata.uid

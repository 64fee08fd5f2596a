"""The versions of ``scheduling.k8s.io`` that have Workloads and PodGroups, and how they differ (next 2).

Everything else speaks of them in the form of v1beta1, which Kubernetes 1.37 serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from lws.api.rules import member
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource

GROUP: Final = "scheduling.k8s.io"
_MODES: Final[Mapping[str, JSON]] = MappingProxyType({"Pod": {"single": {}}, "PodGroup": {"all": {}}})


@dataclass(frozen=True, slots=True)
class WorkloadApi:
    """One version of the API.

    Attributes:
        version: as in ``apiVersion``.
        counts_change: whether the count of a gang can change once the object is there.
        optional: members that servers of this version may drop without a word, and that pods carry themselves.
    """

    version: str
    counts_change: bool = True
    optional: frozenset[str] = frozenset()

    @property
    def workloads(self) -> Resource:
        """Workloads of this version."""
        return Resource(GROUP, self.version, "workloads", "Workload")

    @property
    def groups(self) -> Resource:
        """PodGroups of this version."""
        return Resource(GROUP, self.version, "podgroups", "PodGroup")

    def written(self, spec: JSON) -> JSON:
        """The spec of a Workload or PodGroup in the form of this version."""
        return _older(spec) if self.version == V1ALPHA2.version else spec

    def read(self, spec: Any) -> JSON:
        """The spec as the server sent it, in the form of v1beta1."""
        found = spec if isinstance(spec, dict) else {}
        return _newer(found) if self.version == V1ALPHA2.version else found


V1BETA1: Final = WorkloadApi("v1beta1")
V1ALPHA2: Final = WorkloadApi("v1alpha2", counts_change=False, optional=frozenset({"priorityClassName"}))
VERSIONS: Final[Mapping[str, WorkloadApi]] = MappingProxyType({each.version: each for each in (V1BETA1, V1ALPHA2)})


def _older(spec: JSON) -> JSON:
    out = {key: value for key, value in spec.items() if key not in ("workloadRef", "disruptionMode")}
    if "workloadRef" in spec:
        named = spec["workloadRef"]
        reference = {"workloadName": named["workloadName"], "podGroupTemplateName": named["templateName"]}
        out["podGroupTemplateRef"] = {"workload": reference}
    if spec.get("disruptionMode"):
        out["disruptionMode"] = next(
            name for name, mode in _MODES.items() if mode.keys() == spec["disruptionMode"].keys()
        )
    if "podGroupTemplates" in spec:
        out["podGroupTemplates"] = [_older(each) for each in spec["podGroupTemplates"]]
    return out


def _newer(spec: JSON) -> JSON:
    out = {key: value for key, value in spec.items() if key not in ("podGroupTemplateRef", "disruptionMode")}
    named = member(member(spec, "podGroupTemplateRef"), "workload")
    if named:
        out["workloadRef"] = {
            "workloadName": named.get("workloadName"),
            "templateName": named.get("podGroupTemplateName"),
        }
    if spec.get("disruptionMode"):
        out["disruptionMode"] = _MODES.get(spec["disruptionMode"], {})
    if "podGroupTemplates" in spec:
        out["podGroupTemplates"] = [_newer(each) for each in spec["podGroupTemplates"] or ()]
    return out

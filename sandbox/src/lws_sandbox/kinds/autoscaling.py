"""Horizontal pod autoscalers, stored in the form of version 2 and read in that of version 1 as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.base import UNKNOWN, UNSET, Kind, at, cell, shown, shown_age, shown_name
from lws_sandbox.schema.schema import of_builtin
from lws_sandbox.status import Causes

_CPU: Final = "targetCPUUtilizationPercentage"
_CURRENT_CPU: Final = "currentCPUUtilizationPercentage"


def _average(metrics: list[JSON], member: str) -> int | None:
    for metric in metrics:
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            value = (resource.get(member) or {}).get("averageUtilization")
            if value is not None:
                return int(value)
    return None


def _to_first(obj: JSON) -> JSON:
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key not in ("metrics", "behavior")}
    target = _average((obj.get("spec") or {}).get("metrics") or [], "target")
    if target is not None:
        spec[_CPU] = target
    status = obj.get("status") or {}
    shown_status = {key: value for key, value in status.items() if key not in ("conditions", "currentMetrics")}
    shown_status.setdefault("currentReplicas", 0)
    current = _average(status.get("currentMetrics") or [], "current")
    if current is not None:
        shown_status[_CURRENT_CPU] = current
    return {**obj, "apiVersion": "autoscaling/v1", "spec": spec, "status": shown_status}


def _to_second(obj: JSON) -> JSON:
    spec = dict(obj.get("spec") or {})
    target = spec.pop(_CPU, None)
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}]
    status = dict(obj.get("status") or {})
    current = status.pop(_CURRENT_CPU, None)
    if current is not None:
        seen = {"name": "cpu", "current": {"averageUtilization": current}}
        status["currentMetrics"] = [{"type": "Resource", "resource": seen}]
    return {**obj, "apiVersion": "autoscaling/v2", "spec": spec, "status": status}


@dataclass
class AutoscalerKind(Kind):
    """Autoscalers in one of their versions."""

    version: str = "v2"

    def read(self, stored: JSON) -> JSON:
        """In the form of this version."""
        if self.version == "v2":
            return stored
        shaped: JSON = self.schema.canonical(_to_first(stored))
        return shaped

    def write(self, obj: JSON) -> JSON:
        """In the form of version 2."""
        if self.version == "v2":
            return obj
        stored: JSON = of_builtin("autoscaling/v2", "HorizontalPodAutoscaler").canonical(_to_second(obj))
        return stored

    def default(self, obj: JSON) -> None:
        """Defaults; a version 1 object without a target gets the default one."""
        super().default(obj)
        if self.version == "v1" and obj["spec"].get(_CPU) is None:
            obj["spec"][_CPU] = 80

    def prepare_create(self, obj: JSON, context: Any) -> None:
        """A new one has not looked yet."""
        super().prepare_create(obj, context)
        if self.version == "v1":
            obj["status"] = {"currentReplicas": 0, "desiredReplicas": 0}
        else:
            obj["status"] = {"desiredReplicas": 0, "currentMetrics": None}

    def check(self, obj: JSON, causes: Causes) -> None:
        """Bounds fit each other, the target is named."""
        spec = obj.get("spec") or {}
        low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
        if low is not None and low < 1:
            causes.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
        if high < 1:
            causes.invalid("spec.maxReplicas", high, "must be greater than 0")
        if low is not None and high < low:
            causes.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
        for member in ("kind", "name"):
            if not (spec.get("scaleTargetRef") or {}).get(member):
                causes.required(f"spec.scaleTargetRef.{member}")


def _reference(obj: JSON, _now: datetime) -> str:
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(obj: JSON, _now: datetime) -> str:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if _CPU in spec:
        wanted, seen = spec[_CPU], status.get(_CURRENT_CPU)
        return f"cpu: {UNKNOWN if seen is None else f'{seen}%'}/{wanted}%"
    texts = [_metric(metric, status.get("currentMetrics") or []) for metric in spec.get("metrics") or ()]
    return ", ".join(texts) or "<none>"


def _metric(metric: JSON, current: list[JSON]) -> str:
    kind = (metric.get("type") or "").lower()
    source = metric.get(kind) or {}
    name = source.get("name") or at(source, "metric.name") or ""
    target = source.get("target") or {}
    seen = next(
        (
            each[kind].get("current") or {}
            for each in current
            if (each.get(kind) or {}).get("name", name) == name and kind in each
        ),
        {},
    )
    for member, mark in (("averageUtilization", "%"), ("averageValue", ""), ("value", "")):
        if target.get(member) is not None:
            now = seen.get(member)
            return f"{name}: {UNKNOWN if now is None else f'{now}{mark}'}/{target[member]}{mark}"
    return f"{name}: {UNKNOWN}"


_SPEC: Final = "autoscaling.v2.HorizontalPodAutoscalerSpec"
_TABLE: Final = (
    shown_name(),
    shown("Reference", _reference, f"{_SPEC}#scaleTargetRef"),
    shown("Targets", _targets, f"{_SPEC}#metrics"),
    shown("MinPods", lambda obj, _now: str(at(obj, "spec.minReplicas") or UNSET), f"{_SPEC}#minReplicas"),
    shown("MaxPods", cell("spec.maxReplicas", 0), f"{_SPEC}#maxReplicas"),
    shown(
        "Replicas",
        cell("status.currentReplicas", 0),
        "autoscaling.v2.HorizontalPodAutoscalerStatus#currentReplicas",
    ),
    shown_age(),
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("autoscaling", "horizontalpodautoscalers"): (AutoscalerKind, {"table": _TABLE, "generation": False}),
}

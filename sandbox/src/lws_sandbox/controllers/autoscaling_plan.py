"""How many replicas a HorizontalPodAutoscaler asks for, from the values of its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, canonical

TOLERANCE: Final = 0.1
SYNC_PERIOD: Final = 15.0
DOWNSCALE_WINDOW: Final = 300.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A recommendation made at a moment of the loop's clock."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the autoscaler wants, and why it is not more or less.

    Attributes:
        replicas: the wanted scale.
        metric: the metric that asked for most, for the event; empty if none has a value.
        current: the metrics' values as ``status.currentMetrics`` has them.
        limited: reason and message of condition ScalingLimited.
        stabilized: an earlier, higher recommendation still holds.
    """

    replicas: int
    metric: str
    current: tuple[JSON, ...]
    limited: tuple[bool, str, str]
    stabilized: bool
    recommended: int


def decide(spec: JSON, current: int, values: Mapping[str, float], history: Sequence[Sample], now: float) -> Decision:
    """Decide the scale.

    Args:
        spec: of the autoscaler.
        current: replicas of the target now.
        values: of each metric, by its name: percent for a utilisation, else the average per pod.
        history: earlier recommendations.
        now: seconds of the loop's clock.
    """
    proposals: list[tuple[int, str]] = []
    shown: list[JSON] = []
    for metric in spec.get("metrics") or [_default_metric()]:
        name, target = metric_target(metric)
        if name not in values:
            continue
        proposals.append((_proposal(metric, current, values[name], target), _describe(metric, name)))
        shown.append(_current_metric(metric, values[name]))
    wanted, reason = max(proposals, default=(current, ""), key=lambda item: item[0])
    recommended = wanted
    down_window = _window(spec, "scaleDown", DOWNSCALE_WINDOW)
    up_window = _window(spec, "scaleUp", 0.0)
    floor = max([wanted, *(item.replicas for item in history if now - item.at < down_window)])
    ceiling = min([wanted, *(item.replicas for item in history if now - item.at < up_window)])
    stable = min(current, floor) if wanted < current else max(current, ceiling)
    bounded, limited = _bounded(spec, current, stable)
    return Decision(bounded, reason, tuple(shown), limited, stable != wanted, recommended)


def metric_target(metric: JSON) -> tuple[str, float]:
    """The metric's name and the value that it shall have."""
    source = metric[_member(metric)]
    target = source.get("target") or {}
    name = source.get("name") or (source.get("metric") or {}).get("name") or ""
    if target.get("averageUtilization") is not None:
        return name, float(target["averageUtilization"])
    quantity = target.get("averageValue") or target.get("value") or "1"
    return name, Quantity.parse(quantity).milli_value() / 1000


def _member(metric: JSON) -> str:
    type_ = str(metric["type"])
    return type_[0].lower() + type_[1:]


def _default_metric() -> JSON:
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }


def _proposal(metric: JSON, current: int, value: float, target: float) -> int:
    """ceil(current · value / target), and no change within a tenth of the target."""
    ratio = value / target if target else 1.0
    if metric["type"] in ("External", "Object") and (metric[_member(metric)].get("target") or {}).get("averageValue"):
        return math.ceil(value / target)
    if abs(ratio - 1.0) <= TOLERANCE:
        return current
    return math.ceil(round(current * ratio, 9))


def _window(spec: JSON, direction: str, default: float) -> float:
    found = ((spec.get("behavior") or {}).get(direction) or {}).get("stabilizationWindowSeconds")
    return default if found is None else float(found)


def _bounded(spec: JSON, current: int, wanted: int) -> tuple[int, tuple[bool, str, str]]:
    """Within the limits of one step up, and of the autoscaler."""
    minimum = spec.get("minReplicas")
    minimum = 1 if minimum is None else int(minimum)
    maximum = int(spec["maxReplicas"])
    step = max(2 * current, current + 4)
    if wanted > min(maximum, step):
        if maximum <= step:
            words = "the desired replica count is more than the maximum replica count"
            return maximum, (True, "TooManyReplicas", words)
        words = "the desired replica count is increasing faster than the maximum scale rate"
        return step, (True, "ScaleUpLimit", words)
    if wanted < minimum:
        return minimum, (True, "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    return wanted, (False, "DesiredWithinRange", "the desired count is within the acceptable range")


def _describe(metric: JSON, name: str) -> str:
    """The metric as the event names it."""
    if metric["type"] in ("Resource", "ContainerResource"):
        target = metric[_member(metric)].get("target") or {}
        percent = target.get("averageUtilization") is not None
        return f"{name} resource{' utilization (percentage of request)' if percent else ''}"
    return {"Pods": f"pods metric {name}", "External": f"external metric {name}"}.get(metric["type"], f"metric {name}")


def _current_metric(metric: JSON, value: float) -> JSON:
    member = _member(metric)
    source = {key: item for key, item in metric[member].items() if key != "target"}
    target = metric[member].get("target") or {}
    if target.get("averageUtilization") is not None:
        shown: JSON = {"averageUtilization": round(value)}
    elif target.get("averageValue") is not None:
        shown = {"averageValue": canonical(f"{round(value * 1000)}m")}
    else:
        shown = {"value": canonical(f"{round(value * 1000)}m")}
    return {"type": metric["type"], member: {**source, "current": shown}}

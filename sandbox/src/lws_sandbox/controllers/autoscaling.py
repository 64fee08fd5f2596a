"""HorizontalPodAutoscalers, on metrics that are set by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.errors import ApiError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.autoscaling_plan import DOWNSCALE_WINDOW, SYNC_PERIOD, Decision, Sample, decide
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, RequeueAfter, Toolbox, Verdict, key_of
from lws_sandbox.controllers.discovery import by_kind, discover, group_of
from lws_sandbox.controllers.objects import format_time, meta, set_condition

AUTOSCALERS: Final = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
COMPONENT: Final = "horizontal-pod-autoscaler"


@dataclass(slots=True)
class Metrics:
    """The values of metrics, for one autoscaler or for all: utilisation in percent, else the average per pod."""

    values: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def set(self, metric: str, value: float, *, namespace: str = "", name: str = "") -> None:
        """Set a metric, for one autoscaler (namespace and name) or for every one that asks for it."""
        self.values[namespace, name, metric] = value

    def clear(self) -> None:
        """Let no metric have a value."""
        self.values.clear()

    def of(self, namespace: str, name: str) -> dict[str, float]:
        """What one autoscaler sees."""
        general = {metric: value for (where, who, metric), value in self.values.items() if not where and not who}
        own = {
            metric: value for (where, who, metric), value in self.values.items() if (where, who) == (namespace, name)
        }
        return {**general, **own}


class AutoscalerLoop(KeyedLoop[Key]):
    """Scales what autoscalers point at, through the scale subresource."""

    def __init__(self, tools: Toolbox, metrics: Metrics) -> None:
        self._autoscalers: Raw = tools.watch(AUTOSCALERS)
        super().__init__(
            tools, "horizontal-pod-autoscaler-controller", self.sync, workers=2, caches=(self._autoscalers,)
        )
        self._client = tools.client()
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._metrics = metrics
        self._history: dict[Key, list[Sample]] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._autoscalers.on_change(self._on_change)

    def _on_change(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is None:
            if old is not None:
                self._history.pop(key_of(old), None)
        elif old is None or old.metadata.generation != new.metadata.generation or old.raw["spec"] != new.raw["spec"]:
            self.queue.add(key_of(new), initial)

    async def sync(self, key: Key) -> Verdict:
        """Look at one autoscaler; again after every sync period."""
        found = self._autoscalers.store.get(*key)
        if found is None:
            return Done()
        autoscaler = found.raw
        try:
            scale, path = await self._scale(autoscaler, key[0])
        except ApiError as error:
            await self._write_status(autoscaler, _unable(str(error)), None)
            return RequeueAfter(SYNC_PERIOD)
        current = int((scale.get("spec") or {}).get("replicas") or 0)
        observed = int((scale.get("status") or {}).get("replicas") or 0)
        decision = self._decide(key, autoscaler, current)
        wanted = decision.replicas if current and decision.metric else current
        if wanted != current:
            changed = {**scale, "spec": {**(scale.get("spec") or {}), "replicas": wanted}}
            await self._client.update(path, changed, subresource="scale")
            self._note(autoscaler, current, wanted, decision)
        await self._write_status(autoscaler, _conditions(current, wanted, decision), (observed, wanted, decision))
        return RequeueAfter(SYNC_PERIOD)

    def _decide(self, key: Key, autoscaler: JSON, current: int) -> Decision:
        now = asyncio.get_running_loop().time()
        history = [item for item in self._history.get(key, []) if now - item.at < DOWNSCALE_WINDOW]
        decision = decide(autoscaler["spec"], current, self._metrics.of(*key), history, now)
        if decision.metric:
            history.append(Sample(now, decision.recommended))
        self._history[key] = history
        return decision

    async def _scale(self, autoscaler: JSON, namespace: str) -> tuple[JSON, Resource]:
        target = autoscaler["spec"]["scaleTargetRef"]
        kind = (group_of(target.get("apiVersion") or ""), target["kind"])
        if kind not in self._kinds:
            self._kinds = by_kind(await discover(self._client))
        resource = self._kinds.get(kind)
        if resource is None:
            words = f'no matches for kind "{target["kind"]}" in group "{kind[0]}"'
            raise NotFoundError(404, "NotFound", words)
        return await self._client.get(resource, namespace, target["name"], subresource="scale"), resource

    def _note(self, autoscaler: JSON, before: int, after: int, decision: Decision) -> None:
        direction = "above" if after > before else "below"
        reason = f"{decision.metric} {direction} target" if after > before else "All metrics below target"
        words = f"New size: {after}; reason: {reason}"
        self._recorder.record(autoscaler, COMPONENT, "Normal", "SuccessfulRescale", words)

    async def _write_status(
        self, autoscaler: JSON, conditions: list[JSON], sizes: tuple[int, int, Decision] | None
    ) -> None:
        now = self._clock.now()
        live = autoscaler.get("status") or {}
        status = {**live, "observedGeneration": meta(autoscaler).get("generation", 0)}
        kept = live.get("conditions") or []
        for entry in conditions:
            kept = set_condition(kept, entry, now)
        status["conditions"] = kept
        if sizes is not None:
            observed, wanted, decision = sizes
            if wanted != observed and wanted != live.get("desiredReplicas"):
                status["lastScaleTime"] = format_time(now)
            status |= {"currentReplicas": observed, "desiredReplicas": wanted, "currentMetrics": list(decision.current)}
        if status == live:
            return
        try:
            await self._client.update(AUTOSCALERS, {**autoscaler, "status": status}, subresource="status")
        except NotFoundError:
            return


def _unable(error: str) -> list[JSON]:
    words = f"the HPA controller was unable to get the target's current scale: {error}"
    return [{"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": words}]


def _conditions(current: int, wanted: int, decision: Decision) -> list[JSON]:
    """AbleToScale, ScalingActive, ScalingLimited, in the words of the real controller."""
    if wanted != current:
        able = ("SucceededRescale", f"the HPA controller was able to update the target scale to {wanted}")
    elif decision.stabilized:
        able = (
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent",
        )
    else:
        able = ("ReadyForNewScale", "recommended size matches current size")
    result = [{"type": "AbleToScale", "status": "True", "reason": able[0], "message": able[1]}]
    if not current:
        off = "scaling is disabled since the replica count of the target is zero"
        result.append({"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": off})
        return result
    if not decision.metric:
        words = "the HPA was unable to compute the replica count: no metrics have a value"
        result.append(
            {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": words}
        )
        return result
    words = f"the HPA was able to successfully calculate a replica count from {decision.metric}"
    result.append({"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": words})
    limited, reason, message = decision.limited
    status = "True" if limited else "False"
    result.append({"type": "ScalingLimited", "status": status, "reason": reason, "message": message})
    return result

"""What the operator exports of its installation (operator 5.12)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.reconcilers.operand.observe import Observation
from lws.telemetry.metrics import MetricsRegistry, Samples

_REFERENCE_LABELS: Final = (
    *("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"),
)


class OperandMetrics:
    """Hears how passes went; what is exported is that of the last one."""

    def __init__(self, metrics: MetricsRegistry, build: tuple[str, str, str]) -> None:
        """``build`` is version, commit and build date."""
        self._status: JSON = {}
        self._managed = 0
        self._seconds = 0.0
        self._standby = False
        self._errors = metrics.counter("lws_operator_sync_errors", "Passes that failed, by step.", ("step",))
        self._healed = metrics.counter(
            "lws_operator_drift_healed", "Objects put right although nothing new was asked for.", ("resource",)
        )
        self._rollouts = metrics.counter("lws_operator_rollouts", "Rollouts that ended, by result.", ("result",))
        _build_information(metrics, build)
        metrics.sampled_gauge(
            "lws_operator_condition",
            "1 for the status that a condition has.",
            ("type", "status"),
            self._conditions,
        )
        metrics.sampled_gauge(
            "lws_operator_sync_seconds", "How long the last pass took.", (), lambda: [((), self._seconds)]
        )
        metrics.sampled_gauge(
            "lws_operator_managed_objects", "Objects of the installation.", (), lambda: [((), float(self._managed))]
        )
        metrics.sampled_gauge(
            "lws_operator_rollout_phase",
            "1 for what a rollout is doing; Idle if there is none.",
            ("phase",),
            self._phase,
        )
        metrics.sampled_gauge(
            "lws_operator_standby",
            "1 while another operator works on the same object.",
            (),
            lambda: [((), float(self._standby))],
        )
        metrics.sampled_gauge(
            "lws_operator_webhook_probe_success", "Whether the operand's webhook answered.", (), self._reachable
        )
        metrics.sampled_gauge(
            "lws_operator_certificate_expiry_timestamp_seconds",
            "When a certificate of the operand ends.",
            ("certificate",),
            self._ends,
        )

    def failed(self, step: str) -> None:
        """A pass failed."""
        self._errors.labels(step).inc()

    def healed(self, resources: Iterable[str]) -> None:
        """Objects were put right."""
        for each in resources:
            self._healed.labels(each).inc()

    def rolled(self, result: str) -> None:
        """A rollout ended."""
        self._rollouts.labels(result).inc()

    def passed(self, observation: Observation, status: JSON, seconds: float) -> None:
        """A pass ended."""
        self._status, self._seconds = status, seconds
        self._managed = sum(each.key in observation.world.live for each in observation.wanted.objects)

    def standby(self, other: str) -> None:
        """Somebody else works on the same object, or nobody does."""
        self._standby = bool(other)

    def _conditions(self) -> Samples:
        return [((str(each["type"]), str(each["status"])), 1.0) for each in self._status.get("conditions") or ()]

    def _phase(self) -> Samples:
        found = [each for each in self._status.get("conditions") or () if each["type"] == "Progressing"]
        return [((str(each["reason"]) if each["status"] == "True" else "Idle",), 1.0) for each in found]

    def _reachable(self) -> Samples:
        webhook = (self._status.get("operand") or {}).get("webhook")
        return [((), float(webhook["reachable"]))] if webhook else []

    def _ends(self) -> Samples:
        certificates = self._status.get("certificates") or {}
        for member, name in (("webhookNotAfter", "webhook"), ("metricsNotAfter", "metrics")):
            if member in certificates:
                yield (name,), datetime.fromisoformat(certificates[member]).timestamp()


def _build_information(metrics: MetricsRegistry, build: tuple[str, str, str]) -> None:
    """Under our name, and under the reference's with its labels; those that say nothing of us are empty."""
    version, commit, built = build
    ours = metrics.gauge("lws_operator_build_info", "1, labelled by the build.", ("version", "commit", "built"))
    ours.labels(version, commit, built).set(1)
    major, minor, *_ = (*version.removeprefix("v").split("."), "", "")
    known = {"major": major, "minor": minor, "gitVersion": version, "gitCommit": commit, "buildDate": built}
    reference = metrics.gauge("openshift_lws_operator_build_info", "As the reference operator's.", _REFERENCE_LABELS)
    reference.labels(*(known.get(label, "") for label in _REFERENCE_LABELS)).set(1)

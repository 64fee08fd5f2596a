"""What the operator exports of its installation (operator 5.12)."""

from __future__ import annotations

from datetime import datetime

from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import JSON
from lws.reconcilers.operand.observe import Observation
from lws.telemetry.metrics import MetricsRegistry, Samples


class OperandMetrics:
    """Hears how passes went; what is exported is that of the last one."""

    def __init__(self, metrics: MetricsRegistry) -> None:
        self._status: JSON = {}
        self._managed = 0
        self._seconds = 0.0
        self._standby = False
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

    def seen(self, operator: LeaderWorkerSetOperator) -> None:
        """Nothing is exported of the object itself."""

    def passed(self, observation: Observation, status: JSON, seconds: float) -> None:
        """A pass ended."""
        self._status, self._seconds = status, seconds
        self._managed = sum(each.key in observation.world.live for each in observation.wanted.objects)

    def standby(self, other: str) -> None:
        """Somebody else works on the same object, or nobody does."""
        self._standby = bool(other)

    def _conditions(self) -> Samples:
        return [((str(each["type"]), str(each["status"])), 1.0) for each in self._status.get("conditions") or ()]

    def _reachable(self) -> Samples:
        webhook = (self._status.get("operand") or {}).get("webhook")
        return [((), float(webhook["reachable"]))] if webhook else []

    def _ends(self) -> Samples:
        certificates = self._status.get("certificates") or {}
        for member, name in (("webhookNotAfter", "webhook"), ("metricsNotAfter", "metrics")):
            if member in certificates:
                yield (name,), datetime.fromisoformat(certificates[member]).timestamp()

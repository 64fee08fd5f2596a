"""Every metric of one controller process (operations 4): the framework's, and the process's own.

What is counted of LeaderWorkerSets registers itself: `lws.reconcilers.leaderworkerset.metrics`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from lws.telemetry.controllers import ControllerMetrics
from lws.telemetry.metrics import MetricsRegistry
from lws.telemetry.serving import CertificateMetrics, ClientMetrics, LeaderMetrics, WebhookMetrics


class Metrics(MetricsRegistry):
    """Every metric of one process, and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.controllers = ControllerMetrics(self)
        self.client = ClientMetrics(self)
        self.webhook = WebhookMetrics(self)
        self.leader = LeaderMetrics(self)
        self.certificates = CertificateMetrics(self)
        self.certificate_expiry = self.gauge(
            "lws_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time.", ("certificate",)
        )
        self.loop_lag = self.histogram("lws_event_loop_lag_seconds", "How late the event loop ran a timer.")
        self.events_dropped = self.counter("lws_events_dropped", "Kubernetes events given up, by cause.", ("cause",))

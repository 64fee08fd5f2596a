"""Every metric of one controller process (operations 4): the framework's, and the process's own.

What is counted of LeaderWorkerSets registers itself: `lws.reconcilers.leaderworkerset.metrics`.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from lws.manager.version import build_information
from lws.telemetry.controllers import ControllerMetrics
from lws.telemetry.metrics import MetricsRegistry
from lws.telemetry.serving import CertificateMetrics, ClientMetrics, LeaderMetrics, WebhookMetrics

PREFIX: Final = "lws"  # of every metric that is ours alone
LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics(MetricsRegistry):
    """Every metric of one process, and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.controllers = ControllerMetrics(self, PREFIX)
        self.client = ClientMetrics(self)
        self.webhook = WebhookMetrics(self, PREFIX)
        self.leader = LeaderMetrics(self, PREFIX)
        self.certificates = CertificateMetrics(self)
        self.certificate_expiry = self.gauge(
            "lws_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time.", ("certificate",)
        )
        self.certificate_lifetime = self.gauge(
            "lws_certificate_lifetime_seconds", "For how long a certificate is valid in all.", ("certificate",)
        )
        self.loop_lag = self.histogram(
            "lws_event_loop_lag_seconds", "How late the event loop ran a timer.", buckets=LAG_BUCKETS
        )
        self.events_dropped = self.counter("lws_events_dropped", "Kubernetes events given up, by cause.", ("cause",))
        version, commit, built = build_information()
        self.gauge("lws_build_info", "1, labelled by the build.", ("version", "commit", "built")).labels(
            version, commit, built
        ).set(1)

"""What clients, leader election, webhooks and certificates count, under the names that the Go libraries give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.telemetry.metrics import SPAN_BUCKETS, MetricsRegistry

MOST_RULES: Final = 50
REQUEST_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


class ClientMetrics:
    """Requests to the API server."""

    def __init__(self, metrics: MetricsRegistry) -> None:
        self.requests = metrics.counter(
            "rest_client_requests",
            "Requests to the API server by status code, method and host.",
            ("code", "method", "host"),
        )
        self.request_seconds = metrics.histogram(
            "rest_client_request_duration_seconds", "How long requests took.", ("verb", "host"), REQUEST_BUCKETS
        )

    def observe_request(self, method: str, code: str, host: str, seconds: float) -> None:
        """Count a request that ended; ``code`` is the HTTP status, or ``<error>`` when there was no answer."""
        self.requests.labels(code, method, host).inc()
        self.request_seconds.labels(method, host).observe(seconds)


class LeaderMetrics:
    """Leader election.

    Args:
        metrics: where to register them.
        prefix: begins the names of those that the Go libraries do not have.
    """

    def __init__(self, metrics: MetricsRegistry, prefix: str) -> None:
        self.leader = metrics.gauge("leader_election_master_status", "1 while this process leads, else 0.", ("name",))
        self.slow_path = metrics.counter(
            "leader_election_slowpath", "Renewals that had to read the lease first.", ("name",)
        )
        self.acquired = metrics.gauge(
            f"{prefix}_leader_acquired_timestamp_seconds", "When this process began to lead, in Unix time.", ("name",)
        )
        self.vacancy = metrics.gauge(
            f"{prefix}_leader_vacancy_seconds",
            "How long after the last sign of an earlier leader this process began to lead; 0 if there was none.",
            ("name",),
        )


class CertificateMetrics:
    """Certificate files as they are read."""

    def __init__(self, metrics: MetricsRegistry) -> None:
        self.reads = metrics.counter("certwatcher_read_certificate", "Certificate files read.")
        self.read_errors = metrics.counter(
            "certwatcher_read_certificate_errors", "Certificate files that could not be read."
        )


class WebhookMetrics:
    """Hears of admission reviews, as `lws.webhook.server.Observer` and `lws.webhook.handlers.Observer` describe it.

    Args:
        metrics: where to register them.
        prefix: begins the names of those that the Go libraries do not have.
    """

    def __init__(self, metrics: MetricsRegistry, prefix: str) -> None:
        self._requests = metrics.counter(
            "controller_runtime_webhook_requests",
            "Admission requests by path and HTTP status code.",
            ("webhook", "code"),
        )
        self._seconds = metrics.histogram(
            "controller_runtime_webhook_latency_seconds", "How long admission took.", ("webhook",), SPAN_BUCKETS
        )
        self._in_flight = metrics.gauge(
            "controller_runtime_webhook_requests_in_flight", "Admission requests being served.", ("webhook",)
        )

        self._panics = metrics.counter(
            "controller_runtime_webhook_panics", "Admission requests that failed in a way nobody foresaw."
        )
        self._denials = metrics.counter(
            f"{prefix}_admission_denials", "Objects refused, by the field that broke a rule.", ("webhook", "rule")
        )
        self._rules: set[str] = set()

    def expect(self, webhooks: Iterable[str]) -> None:
        """Begin the counters of these paths at zero, so that the first failure is an increase."""
        for webhook in webhooks:
            self._in_flight.labels(webhook)
            for code in ("200", "500"):
                self._requests.labels(webhook, code)

    def denied(self, webhook: str, rule: str) -> None:
        """An object was refused; rules beyond the first `MOST_RULES` are counted as one."""
        if len(self._rules) < MOST_RULES:
            self._rules.add(rule)
        self._denials.labels(webhook, rule if rule in self._rules else "other").inc()

    def panicked(self, webhook: str) -> None:  # noqa: ARG002 -- controller-runtime's counter has no labels
        """A handler failed in a way nobody foresaw."""
        self._panics.inc()

    def started(self, webhook: str) -> None:
        """A review began."""
        self._in_flight.labels(webhook).inc()

    def finished(self, webhook: str, code: int, seconds: float) -> None:
        """It was answered."""
        self._in_flight.labels(webhook).dec()
        self._requests.labels(webhook, str(code)).inc()
        self._seconds.labels(webhook).observe(seconds)

"""Logs and metrics; every floor but `api`, `planning` and `workqueue` may use them."""

from __future__ import annotations

from lws.telemetry.metrics import Metrics, QueueMetrics

__all__ = ["Metrics", "QueueMetrics"]

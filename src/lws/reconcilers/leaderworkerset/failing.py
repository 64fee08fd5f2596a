"""Sets that the controllers keep failing at, by name: a rate of errors over all sets cannot show one."""

from __future__ import annotations

from collections.abc import Iterator

from lws.api.leaderworkerset import labels
from lws.apimachinery.objects import Key
from lws.reconcilers.leaderworkerset.build import Controllers
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.runtime.failing import Failing
from lws.telemetry.metrics import MetricsRegistry


def export_failing(metrics: MetricsRegistry, caches: Caches, controllers: Controllers) -> None:
    """Export each set whose own reconcile, or that of one of its pods, fails; at most one series for a set."""

    def samples() -> Iterator[tuple[tuple[str, ...], float]]:
        for key, failing in _by_set(caches, controllers).items():
            yield (*key, failing.reason), failing.since

    metrics.sampled_gauge(
        "lws_set_failing_since_timestamp_seconds",
        "Since when reconciles of a set or its pods have failed, in Unix time, and why the one did that began first.",
        ("namespace", "name", "reason"),
        samples,
    )


def _by_set(caches: Caches, controllers: Controllers) -> dict[Key, Failing]:
    found: dict[Key, Failing] = {}
    for controller in controllers:
        for key, failing in controller.failing.items():
            of_set = key if controller is controllers.sets else _set_of(caches, key)
            if of_set is not None and (of_set not in found or failing.since < found[of_set].since):
                found[of_set] = failing
    return found


def _set_of(caches: Caches, pod_key: Key) -> Key | None:
    pod = caches.pods.store.get(*pod_key)
    return None if pod is None else (pod_key[0], pod.metadata.label(labels.NAME))

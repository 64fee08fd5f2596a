"""What users of LeaderWorkerSets want to see on a dashboard (operations 4), registered in one place.

`gauges` reads the caches when scraped, `incidents` and `durations` listen to them, and `failing` asks the controllers.
"""

from __future__ import annotations

from collections.abc import Callable

from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset.culprit import Cause
from lws.reconcilers.leaderworkerset.build import Controllers
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.reconcilers.leaderworkerset.durations import Durations
from lws.reconcilers.leaderworkerset.failing import export_failing
from lws.reconcilers.leaderworkerset.gauges import SetGauges
from lws.reconcilers.leaderworkerset.incidents import Incidents
from lws.reconcilers.leaderworkerset.suspects import SuspectBook
from lws.telemetry.metrics import MetricsRegistry


class DomainMetrics:
    """Exports what concerns LeaderWorkerSets; a `lws.reconcilers.leaderworkerset.group.GroupListener`.

    Args:
        metrics: where to export.
        caches: what is read and listened to.
        clock: the time of day, and spans.
        counting: whether this process is the one that counts events, for it leads. Gauges are every replica's.
        suspects: keeps which nodes are suspect.
    """

    def __init__(
        self,
        metrics: MetricsRegistry,
        caches: Caches,
        clock: Clock,
        counting: Callable[[], bool],
        suspects: SuspectBook | None = None,
    ) -> None:
        SetGauges(metrics, caches, clock)
        metrics.sampled_gauge(
            "lws_suspect_node",
            "1 for each node that groups which were recreated had better avoid, by reason.",
            ("node", "reason"),
            lambda: [] if suspects is None else suspects.samples(),
        )
        self._incidents = Incidents(metrics, caches, clock, counting)
        Durations(metrics, caches, clock, counting, self._incidents.became_ready)
        self._metrics = metrics
        self._counting = counting
        self._caches = caches

    def watch(self, controllers: Controllers) -> None:
        """Export what these controllers, which were made after it, fail at."""
        export_failing(self._metrics, self._caches, controllers)
        self._metrics.sampled_counter(
            "lws_evacuations",
            "Moves of groups off nodes that are to be emptied, by how they ended.",
            ("result",),
            lambda: controllers.places.results() if self._counting() else [],
        )

    def released(self) -> None:
        """A pod was let go from a lost node."""
        self._incidents.released()

    def recreated(self, set_key: Key, leader: str, cause: Cause) -> None:
        """A group was deleted to be made anew."""
        self._incidents.recreated(set_key, leader, cause)

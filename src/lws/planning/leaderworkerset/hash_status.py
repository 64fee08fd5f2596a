"""What the status of a set says whose groups are known by a key: its Deployment counts them (next 3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from lws.api.leaderworkerset.objects import Deployment, DeploymentStatus, Pod
from lws.planning.leaderworkerset.conditions import AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import lives, pod_ready, revision_key
from lws.planning.leaderworkerset.rollout import Budget


@dataclass(frozen=True, slots=True)
class HashCounts:
    """What `lws.planning.leaderworkerset.counts.Counts` is for groups that have an index.

    Attributes:
        replicas: groups that exist, by the Deployment.
        ready: ready ones.
        updated: groups of its template.
        serving: ready groups that count for Available.
        moved: wanted groups of its template, ready or not.
        exhausted: groups whose automatic recovery has stopped (next 5.4).
        updating: whether an update is in progress.
        available: whether all wanted groups are ready and nothing else is there.
        progressing: whether something is still to move.
    """

    replicas: int = 0
    ready: int = 0
    updated: int = 0
    serving: int = 0
    moved: int = 0
    exhausted: int = 0
    updating: bool = False
    available: bool = False
    progressing: bool = True

    def wanted_conditions(self, replicas: int) -> tuple[str, ...]:  # noqa: ARG002
        """Condition types to be True."""
        if self.updating:
            return (UPDATE_IN_PROGRESS, PROGRESSING) if self.progressing else (UPDATE_IN_PROGRESS,)
        if self.available:
            return (AVAILABLE,)
        return (PROGRESSING,) if self.progressing or not self.exhausted else ()

    def halted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be False for a reason of their own: automatic recovery has stopped."""
        if not self.exhausted:
            return ()
        wanted = self.wanted_conditions(replicas)
        return tuple(kind for kind in (AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS) if kind not in wanted)

    def update_done(self, budget: Budget) -> bool:  # noqa: ARG002
        """Whether earlier revisions are of no more use."""
        return self.available


def count(
    deployment: Deployment | None,
    key: str,
    leaders: Sequence[Pod],
    replicas: int,
    *,
    changing: bool,
    outdated: bool,
    exhausted: Sequence[Pod] = (),
    extra: bool = False,
) -> HashCounts:
    """Count by the Deployment, and look at the leaders for what it does not tell.

    Args:
        deployment: as it was seen; None if there is none yet.
        key: the revision key that it has, or gets in this pass.
        leaders: every leader pod of the set, terminating ones included.
        replicas: wanted groups.
        changing: whether this pass applies a change of it.
        outdated: whether a revision of another key exists: without one nothing is updated, however far the Deployment
            is behind (ND-19).
        exhausted: leaders whose automatic recovery has stopped.
        extra: whether a group beyond those that are wanted only stands in for one that is moved (resilience 6.3).
    """
    status = DeploymentStatus() if deployment is None else deployment.status
    seen = deployment is not None and not changing and status.observed_generation >= deployment.metadata.generation
    if extra:
        seen, status = deployment is not None, _capped(status, replicas)
    current = sum(revision_key(pod) == key for pod in leaders)
    old = any(revision_key(pod) != key and lives(pod) for pod in leaders)
    is_current = seen and not old and (not leaders or current >= replicas)
    ready_exhausted = sum(lives(pod) and pod_ready(pod) for pod in exhausted)
    serving = max(0, status.ready_replicas - ready_exhausted)
    updating = outdated and (not is_current or status.updated_replicas < status.replicas)
    counted = (status.replicas, serving, status.updated_replicas)
    behind = serving + len(exhausted) < max(replicas, status.replicas)
    return HashCounts(
        replicas=status.replicas,
        ready=status.ready_replicas,
        updated=status.updated_replicas,
        serving=serving,
        moved=min(replicas, status.updated_replicas),
        exhausted=len(exhausted),
        updating=updating,
        available=is_current and not exhausted and counted == (replicas,) * 3,
        progressing=(updating and not exhausted) or behind,
    )


def _capped(status: DeploymentStatus, replicas: int) -> DeploymentStatus:
    return structs.replace(
        status,
        replicas=min(status.replicas, replicas),
        ready_replicas=min(status.ready_replicas, replicas),
        updated_replicas=min(status.updated_replicas, replicas),
    )

"""Steers a rollout by what the API has today: the user's partition and the stored revisions.

Pausing raises ``rollingUpdateConfiguration.partition`` to the lowest index that is replaced already and remembers the
earlier value in an annotation; resuming puts it back. Undoing writes an earlier revision's template into the spec: an
edit like any other. Each is one guarded write: if somebody else edits the set meanwhile, nothing is written.
"""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.revisions import SECTIONS, section
from lws.errors import ConfigurationError
from lws.planning.leaderworkerset.diagnosis.diagnose import PAUSED
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts, SetFacts


def pause(observation: Observation) -> JSON:
    """The merge patch that stops the update where it stands.

    Raises:
        ConfigurationError: it is paused already, or its groups have no index.
    """
    lws = observation.facts.lws
    if lws.hashed:
        raise ConfigurationError(f"the groups of {lws.name} are known by a key: there is no partition to pause it by")
    if lws.metadata.annotation(PAUSED) is not None:
        raise ConfigurationError(f"{lws.name} is paused already; `kubectl lws rollout resume {lws.name}` it first")
    partition = max(_lowest_replaced(observation.facts), lws.partition)
    return _partition_patch(lws, partition, str(lws.partition))


def _lowest_replaced(facts: Facts) -> int:
    """The lowest index that is of the new revision or already going; the number of replicas if none is, or all are.

    The StatefulSet's own partition says less: with maxUnavailable above 1 or with surge it lies below groups that still
    run the old revision (controller.md K8). At rest a pause holds every group from the next update.
    """
    replicas = facts.lws.replicas
    wanted = [group for group in facts.groups if group.index < replicas]
    if all(group.revision == facts.key for group in wanted):
        return replicas
    return min((group.index for group in wanted if _replaced(facts, group)), default=replicas)


def _replaced(facts: Facts, group: GroupFacts) -> bool:
    released = group.index >= facts.partition
    if group.leader is None or group.leader.metadata.deleting:
        return released
    return group.revision == facts.key


def resume(observation: Observation) -> JSON:
    """The merge patch that lets the update go on, with the partition that was there before the pause.

    Raises:
        ConfigurationError: it is not paused; a partition of the user's own stays as it is.
    """
    lws = observation.facts.lws
    earlier = lws.metadata.annotation(PAUSED)
    if earlier is None:
        held = f"; its own partition {lws.partition} holds groups back: lower that to update them"
        raise ConfigurationError(f"{lws.name} is not paused{held if lws.partition else ''}")
    return _partition_patch(lws, natural(earlier) or 0, None)


def _partition_patch(lws: SetFacts, partition: int, remembered: str | None) -> JSON:
    return {
        "metadata": {
            "resourceVersion": lws.metadata.resource_version,
            "annotations": {PAUSED: remembered},
        },
        "spec": {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": partition}}},
    }


def undo(observation: Observation, number: int = 0) -> list[JSON]:
    """The JSON patch that puts an earlier revision's template and network section back.

    Args:
        observation: the set.
        number: which revision; 0 is the newest that is not current.

    Raises:
        ConfigurationError: there is none. Revisions are kept until an update is complete, not longer.
    """
    revision = _earlier(observation, number)
    sections: JSON = (revision.data or {}).get("spec") or {}
    version = observation.facts.lws.metadata.resource_version
    patch: list[JSON] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
    kept = [name for name in SECTIONS if name in sections]
    return patch + [{"op": "add", "path": f"/spec/{name}", "value": section(revision, name)} for name in kept]


def _earlier(observation: Observation, number: int) -> ControllerRevision:
    key = observation.facts.key
    if number:
        found = [one for one in observation.revisions if one.revision == number]
    else:
        found = [one for one in observation.revisions if one.metadata.label(labels.REVISION) != key]
    if not found:
        wanted = f"revision {number}" if number else "an earlier revision"
        raise ConfigurationError(
            f"{observation.facts.lws.name} does not have {wanted}: revisions are kept only until an update is "
            "complete; apply the earlier manifest instead"
        )
    return max(found, key=lambda one: one.revision)

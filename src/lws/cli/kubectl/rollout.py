"""Steers a rollout by what the API has: an annotation and the stored revisions (resilience 5).

Pausing and resuming write the annotation that the controller heeds; resuming also undoes a pause of earlier releases of
this plugin, which raised the user's partition and remembered the value that it had. Undoing writes an earlier
revision's template into the spec: an edit like any other. Each is one guarded write: if somebody else edits the set
meanwhile, nothing is written.
"""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.api.leaderworkerset.policykeys import PAUSED as PAUSED_VALUE
from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.revisions import SECTIONS, section
from lws.errors import ConfigurationError
from lws.planning.leaderworkerset.diagnosis.diagnose import PAUSED
from lws.planning.leaderworkerset.diagnosis.facts import SetFacts


def pause(observation: Observation) -> JSON:
    """The merge patch that asks for the update to stand still.

    Raises:
        ConfigurationError: it is paused already.
    """
    lws = observation.facts.lws
    if lws.metadata.annotation(PAUSED) is not None or paused(lws):
        raise ConfigurationError(f"{lws.name} is paused already; `kubectl lws rollout resume {lws.name}` it first")
    return _annotated(lws, PAUSED_VALUE)


def paused(lws: SetFacts) -> bool:
    """Whether the set asks for its rollout to stand still."""
    return lws.metadata.annotation(ROLLOUT) == PAUSED_VALUE


def resume(observation: Observation) -> JSON:
    """The merge patch that lets the update go on; after an earlier plugin's pause, with the partition before it.

    Raises:
        ConfigurationError: it is not paused; a partition of the user's own stays as it is.
    """
    lws = observation.facts.lws
    earlier = lws.metadata.annotation(PAUSED)
    if earlier is None and not paused(lws):
        held = f"; its own partition {lws.partition} holds groups back: lower that to update them"
        raise ConfigurationError(f"{lws.name} is not paused{held if lws.partition else ''}")
    if earlier is None:
        return _annotated(lws, None)
    patch = _partition_patch(lws, natural(earlier) or 0, None)
    patch["metadata"]["annotations"] |= {ROLLOUT: None} if paused(lws) else {}
    return patch


def unpause() -> JSON:
    """The merge patch that takes a pause back that no controller heeds."""
    return {"metadata": {"annotations": {ROLLOUT: None}}}


def _annotated(lws: SetFacts, value: str | None) -> JSON:
    return {"metadata": {"resourceVersion": lws.metadata.resource_version, "annotations": {ROLLOUT: value}}}


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

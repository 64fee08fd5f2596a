"""Steers a rollout by what the API has today: the user's partition and the stored revisions.

Pausing raises ``rollingUpdateConfiguration.partition`` to where the update stands and remembers the earlier value in an
annotation; resuming puts it back. Undoing writes an earlier revision's template into the spec: an edit like any other.
Each is one guarded write: if somebody else edits the set meanwhile, nothing is written.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.cli.kubectl.picture import Picture
from lws.errors import ConfigurationError

JSON: TypeAlias = dict[str, Any]
PAUSED: Final = "kubectl-lws/partition-before-pause"


def pause(picture: Picture) -> JSON:
    """The merge patch that stops the update where it stands.

    Raises:
        ConfigurationError: it is paused already.
    """
    if picture.lws.metadata.annotation(PAUSED) is not None:
        raise ConfigurationError(
            f"{picture.lws.metadata.name} is paused already; `kubectl lws rollout resume` it first"
        )
    earlier = picture.lws.spec.rollout_strategy.rolling_update_configuration.partition
    at_rest = all(group.state.updated for group in picture.groups())
    partition = picture.lws.spec.replicas if at_rest else max(picture.partition, earlier)
    return _partition_patch(picture, partition, str(earlier))


def resume(picture: Picture) -> JSON:
    """The merge patch that lets the update go on, with the partition that was there before the pause."""
    earlier = picture.lws.metadata.annotation(PAUSED)
    partition = int(earlier) if earlier is not None and earlier.isdigit() else 0
    return _partition_patch(picture, partition, None)


def _partition_patch(picture: Picture, partition: int, remembered: str | None) -> JSON:
    return {
        "metadata": {
            "resourceVersion": picture.lws.metadata.resource_version,
            "annotations": {PAUSED: remembered},
        },
        "spec": {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": partition}}},
    }


def undo(picture: Picture, number: int | None = None) -> list[JSON]:
    """The JSON patch that puts an earlier revision's template and network section back.

    Args:
        picture: the set.
        number: which revision; the newest that is not current, if not given.

    Raises:
        ConfigurationError: there is none. Revisions are kept until an update is complete, not longer.
    """
    revision = _earlier(picture, number)
    sections: JSON = (revision.data or {}).get("spec") or {}
    patch: list[JSON] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": picture.lws.metadata.resource_version}
    ]
    for name in ("leaderWorkerTemplate", "networkConfig"):
        if name in sections:
            value = {key: item for key, item in sections[name].items() if key != "$patch"}
            patch.append({"op": "add", "path": f"/spec/{name}", "value": value})
    return patch


def _earlier(picture: Picture, number: int | None) -> ControllerRevision:
    others = [item for item in picture.revisions if item.metadata.label(labels.REVISION) != picture.key]
    if number is not None:
        others = [item for item in picture.revisions if item.revision == number]
    if not others:
        wanted = "an earlier revision" if number is None else f"revision {number}"
        raise ConfigurationError(
            f"{picture.lws.metadata.name} does not have {wanted}: revisions are kept only until an update is complete; "
            "apply the earlier manifest instead"
        )
    return max(others, key=lambda item: item.revision)

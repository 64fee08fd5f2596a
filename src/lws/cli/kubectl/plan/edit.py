"""The set as an edit would leave it. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.errors import ConfigurationError

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SHORT: Final = {
    "size": "leaderWorkerTemplate.size",
    "restartPolicy": "leaderWorkerTemplate.restartPolicy",
    "maxSurge": "rolloutStrategy.rollingUpdateConfiguration.maxSurge",
    "maxUnavailable": "rolloutStrategy.rollingUpdateConfiguration.maxUnavailable",
    "partition": "rolloutStrategy.rollingUpdateConfiguration.partition",
}


def assigned(live: JSON, assignments: Sequence[str]) -> JSON:
    """The set with ``KEY=VALUE`` set: ``image``, a short name such as ``replicas``, or a dotted path below ``spec``.

    ``image`` is that of every container whose image has the same repository, else of the first container of leader and
    workers. Values are JSON where they read as such, else text.

    Raises:
        ConfigurationError: an assignment has no such form, or leads through something that is no object.
    """
    changed = copy.deepcopy(live)
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigurationError("--set wants KEY=VALUE, such as image=app:2 or replicas=4")
        if key == "image":
            _set_image(changed["spec"], value)
        else:
            _set_path(changed["spec"], _SHORT.get(key, key.removeprefix("spec.")).split("."), _value(value))
    return changed


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _set_path(spec: JSON, path: Sequence[str], value: Any) -> None:
    place: Any = spec
    for name in path[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or not all(path):
        raise ConfigurationError(f"--set cannot write spec.{'.'.join(path)}: it leads through no object")
    place[path[-1]] = value


def _set_image(spec: JSON, image: str) -> None:
    template = spec.get("leaderWorkerTemplate") or {}
    pods = [(template.get(part) or {}).get("spec") or {} for part in ("leaderTemplate", "workerTemplate")]
    containers = [one for pod in pods for one in pod.get("containers") or ()]
    same = [one for one in containers if _repository(str(one.get("image", ""))) == _repository(image)]
    first = [pod["containers"][0] for pod in pods if pod.get("containers")]
    for container in same or first:
        container["image"] = image


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def applied(live: JSON | None, manifest: JSON) -> JSON:
    """The set as ``kubectl apply`` would leave it: what the last apply had and this one has not is taken away."""
    if live is None:
        return copy.deepcopy(manifest)
    stored = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    last = json.loads(stored) if stored else {}
    members = ("spec", "metadata")
    changed = copy.deepcopy(live)
    for member in members:
        wanted = manifest.get(member) or {}
        if member == "metadata":
            wanted = {name: wanted[name] for name in ("labels", "annotations") if name in wanted}
        before = last.get(member) or {}
        changed[member] = _merged(changed.get(member) or {}, wanted, before)
    return changed


def _merged(live: JSON, wanted: JSON, before: JSON) -> JSON:
    """A three-way merge of objects; lists are replaced as a whole, as in custom resources."""
    result = {
        name: value
        for name, value in live.items()
        if name in wanted or name not in before or name in ("name", "namespace")
    }
    for name, value in wanted.items():
        known, earlier = result.get(name), before.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            result[name] = _merged(known, value, earlier if isinstance(earlier, dict) else {})
        else:
            result[name] = copy.deepcopy(value)
    return result

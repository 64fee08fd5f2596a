"""The set as an edit would leave it. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.errors import ConfigurationError

Edit = tuple[Resource, JSON]
"""What an object is, and how it would be written."""
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
    workers. Values are JSON where they read as such, else text. Of a DisaggregatedSet ``ROLE.KEY`` sets that of one
    role, and ``image`` alone that of every role that runs such an image.

    Raises:
        ConfigurationError: an assignment has no such form, or leads through something that is no object.
    """
    changed = copy.deepcopy(live)
    roles = {str(one.get("name")): one for one in changed["spec"].get("roles") or ()}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigurationError("--set wants KEY=VALUE, such as image=app:2 or replicas=4")
        role, dot, member = key.partition(".")
        if dot and role in roles:
            _assign(roles[role].setdefault("spec", {}), member, value)
        elif not roles:
            _assign(changed["spec"], key, value)
        elif key == "image":
            _set_images(roles, value)
        else:
            _assign_shared(changed["spec"], roles, key, value)
    return changed


def scaled(live: JSON, scalers: Sequence[JSON], counts: Sequence[str]) -> tuple[Edit, ...]:
    """What a scaling writes: the LeaderWorkerSet, of ``N``; the DisaggregatedSet and scalers of roles, of ``ROLE=N``.

    Raises:
        ConfigurationError: the words do not fit the set, or a role's scaler does not exist yet.
    """
    roles = {str(one.get("name")): one for one in live["spec"].get("roles") or ()}
    name = live["metadata"]["name"]
    given = [text.partition("=")[::2] for text in counts]
    if not roles:
        if len(given) != 1 or given[0][1]:
            raise ConfigurationError(f"{name} is a LeaderWorkerSet and has no roles: plan scale {name} N")
        return ((LEADERWORKERSETS, assigned(live, [f"replicas={given[0][0]}"])),)
    unknown = [role for role, count in given if role not in roles or not count]
    if unknown:
        some = next(iter(roles))
        raise ConfigurationError(f"{name} has the roles {', '.join(roles)}: plan scale {name} {some}=N")
    external = {role for role, _ in given if (roles[role].get("scaling") or {}).get("mode") == "External"}
    own = [f"{role}.replicas={count}" for role, count in given if role not in external]
    edited = [(DISAGGREGATEDSETS, assigned(live, own))] if own else []
    told = [(ROLESCALERS, _scaler(live, scalers, role, count)) for role, count in given if role in external]
    return (*edited, *told)


def _scaler(live: JSON, scalers: Sequence[JSON], role: str, count: str) -> JSON:
    """The scaler of an External role, with so many replicas."""
    wanted = role_labels.scaler(str(live["metadata"]["name"]), role)
    for one in scalers:
        own = one["metadata"].get("labels") or {}
        if all(own.get(key) == value for key, value in wanted.items()):
            return {**one, "spec": {**(one.get("spec") or {}), "replicas": int(count)}}
    raise ConfigurationError(f"role {role} is scaled by its DisaggregatedSetRoleScaler, which does not exist yet")


def _assign(spec: JSON, key: str, value: str) -> None:
    """Set a member of a LeaderWorkerSet's spec."""
    if key == "image":
        _set_image(spec, value)
    else:
        _set_path(spec, _SHORT.get(key, key.removeprefix("spec.")).split("."), _value(value))


def _assign_shared(spec: JSON, roles: Iterable[str], key: str, value: str) -> None:
    """Set a member of a DisaggregatedSet that is no role's."""
    path = key.removeprefix("spec.").split(".")
    if path[0] not in ("slices", "placementPolicy"):
        some = next(iter(roles))
        raise ConfigurationError(
            f"--set cannot write {key} of a DisaggregatedSet: write slices=N, or ROLE.KEY=VALUE as {some}.replicas=4"
        )
    _set_path(spec, path, _value(value))


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
    first = [pod["containers"][0] for pod in _pods(spec) if pod.get("containers")]
    for container in _running(spec, image) or first:
        container["image"] = image


def _set_images(roles: Mapping[str, JSON], image: str) -> None:
    found = [container for role in roles.values() for container in _running(role.get("spec") or {}, image)]
    if not found:
        some = next(iter(roles))
        raise ConfigurationError(
            f"no role runs an image of {_repository(image)}: write ROLE.image=IMAGE, such as {some}.image={image}"
        )
    for container in found:
        container["image"] = image


def _pods(spec: JSON) -> list[JSON]:
    """The specs of leader and worker pods."""
    template = spec.get("leaderWorkerTemplate") or {}
    return [(template.get(part) or {}).get("spec") or {} for part in ("leaderTemplate", "workerTemplate")]


def _running(spec: JSON, image: str) -> list[JSON]:
    """Containers whose image has the same repository."""
    containers = [one for pod in _pods(spec) for one in pod.get("containers") or ()]
    return [one for one in containers if _repository(str(one.get("image", ""))) == _repository(image)]


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

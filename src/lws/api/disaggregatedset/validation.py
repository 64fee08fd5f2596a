"""Validation of DisaggregatedSets at admission: rules, order, paths and words of disaggregatedset 3.2.

Creation and update run the same rules; nothing is immutable. The functions are total: values of a type that the schema
refuses are passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lws.api.disaggregatedset import names, revision, types
from lws.api.leaderworkerset import groupidentity
from lws.api.leaderworkerset import labels as lws_labels
from lws.api.leaderworkerset.types import HASH, ROLLING_UPDATE
from lws.api.leaderworkerset.validation import restart_rule
from lws.api.rules import int_or_percent, int_or_string, integer, member, text
from lws.apimachinery.gotext import encoded, quoted
from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON
from lws.apimachinery.nameformats import dns_1035_label

_PACE: Final = "spec.rolloutStrategy.rollingUpdateConfiguration"
_EXCLUSIVE: Final = (lws_labels.EXCLUSIVE_TOPOLOGY, lws_labels.SUBGROUP_EXCLUSIVE_TOPOLOGY)
_PARTITION: Final = (
    "partition is not supported by DisaggregatedSet; rolling updates are managed across roles by the "
    "DisaggregatedSet controller"
)
_UNROLLED: Final = ("networkConfig", "startupPolicy")  # members of a role's spec outside the revision


def validate(obj: JSON) -> list[str]:
    """What is wrong with a new or changed object; empty when it is admitted."""
    return list(_errors(obj))


def warnings(obj: JSON, old: JSON | None) -> list[str]:
    """What is admitted but will not do what its author may expect (DD-29, DD-30)."""
    return [*_ignored_replicas(obj), *_unusable_names(obj), *(() if old is None else _postponed(obj, old))]


def _errors(obj: JSON) -> Iterator[str]:
    name, roles, slices = _name(obj), _roles(obj), _slices(obj)
    for index, role in enumerate(roles):
        yield from _strategy(index, role)
        yield from restart_rule(member(role, "spec"), f"{_at(index)}.spec")
        yield from groupidentity.rules(member(role, "spec"), f"{_at(index)}.spec")
        scaler = names.scaler(name, text(role.get("name")))
        if _external(role) and len(scaler) > names.LONGEST_SCALER:
            why = f"would produce scaler name {quoted(scaler)} exceeding {names.LONGEST_SCALER} characters"
            yield f"{_at(index)}.name: Invalid value: {quoted(text(role.get('name')))}: {why}"
    if slices > 1 and any(_external(role) for role in roles):
        yield (
            "spec.slices: Forbidden: spec.slices > 1 is not supported while any role has scaling.mode: External "
            "(alpha restriction)"
        )
    for index, role in enumerate(roles):
        yield from _service_name(name, index, text(role.get("name")), slices)
        yield from _hash_name(name, index, role, slices)
    yield from _placement(obj)


def _strategy(index: int, role: JSON) -> Iterator[str]:
    strategy = member(member(role, "spec"), "rolloutStrategy")
    kind = strategy.get("type") or ""
    if kind not in ("", ROLLING_UPDATE):
        supported = f'supported values: "{ROLLING_UPDATE}", ""'
        yield f"{_at(index)}.spec.rolloutStrategy.type: Unsupported value: {encoded(kind)}: {supported}"
    pace = strategy.get("rollingUpdateConfiguration")
    if not isinstance(pace, dict):
        return
    path = f"{_at(index)}.{_PACE}"
    if pace.get("partition"):
        yield f"{path}.partition: Forbidden: {_PARTITION}"
    replicas = integer(member(role, "spec").get("replicas"), 1)
    if replicas:
        yield from _budget(path, pace, replicas)


def _budget(path: str, pace: JSON, replicas: int) -> Iterator[str]:
    unavailable, surge = int_or_string(pace.get("maxUnavailable"), 1), int_or_string(pace.get("maxSurge"), 0)
    wrong = [*int_or_percent(f"{path}.maxUnavailable", unavailable), *int_or_percent(f"{path}.maxSurge", surge)]
    yield from wrong
    if not wrong and not scaled(unavailable, replicas, round_up=False) and not scaled(surge, replicas, round_up=True):
        yield f"{path}.maxUnavailable: Invalid value: {encoded(unavailable)}: must not be 0 when `maxSurge` is 0"


def _service_name(name: str, index: int, role: str, slices: int) -> Iterator[str]:
    length = names.service_length(name, role, slices)
    if length > names.LONGEST_SERVICE:
        why = (
            f"the generated service name ({length} chars) would exceed the DNS-1035 limit of {names.LONGEST_SERVICE} "
            "characters; reduce the DisaggregatedSet name and/or role name (combined limit: "
            f"{names.combined_limit(slices)} characters)"
        )
        yield f"{_at(index)}.name: Invalid value: {quoted(role)}: {why}"


def _hash_name(name: str, index: int, role: JSON, slices: int) -> Iterator[str]:
    """What bears the name of a group that is known by a key must have room for it (next 8.3)."""
    if not _hashed(role):
        return
    longest = groupidentity.longest_name(_size(role))
    own = text(role.get("name"))
    length = len(names.child(name, slices - 1, "0" * revision.DIGITS, own))
    if length > longest:
        suffix = groupidentity.LONGEST_LABEL - longest
        why = (
            f"the generated names ({length + suffix} chars) would exceed the DNS-1035 limit of "
            f"{groupidentity.LONGEST_LABEL} characters (accounting for StatefulSet revision hash labels); reduce the "
            f"DisaggregatedSet name and/or role name (combined limit: {longest - (length - len(name) - len(own))} "
            "characters)"
        )
        yield f"{_at(index)}.name: Invalid value: {quoted(own)}: {why}"


def _hashed(role: JSON) -> bool:
    return member(role, "spec").get("groupIdentity") == HASH


def _size(role: JSON) -> int:
    return integer(member(member(role, "spec"), "leaderWorkerTemplate").get("size"), 1)


def _placement(obj: JSON) -> Iterator[str]:
    policy = member(member(obj, "spec"), "placementPolicy")
    kind = text(policy.get("type"))
    if kind in ("", types.NO_PLACEMENT):
        return
    if not policy.get("topology"):
        yield "spec.placementPolicy.topology: Required value: topology is required when type is not None"
    for index, role in enumerate(_roles(obj)):
        key = _exclusive_key(role)
        if key:
            why = f"annotation must not be combined with a non-None spec.placementPolicy.type ({kind})"
            yield f"{_at(index)}: Forbidden: the {quoted(key)} {why}"


def _exclusive_key(role: JSON) -> str:
    """The first annotation of the role that places groups by itself; empty when there is none."""
    template = member(member(role, "spec"), "leaderWorkerTemplate")
    places = (role, member(template, "leaderTemplate"), member(template, "workerTemplate"))
    annotations = [member(member(place, "metadata"), "annotations") for place in places]
    return next((key for key in _EXCLUSIVE if any(key in found for found in annotations)), "")


def _ignored_replicas(obj: JSON) -> Iterator[str]:
    for role in _roles(obj):
        replicas = integer(member(role, "spec").get("replicas"), 1)
        if _external(role) and replicas > 1:
            name = text(role.get("name"))
            scaler = names.scaler(_name(obj), name)
            yield (
                f"role {quoted(name)} sets scaling.mode: External and spec.replicas: {replicas} — spec.replicas is "
                f"ignored; drive replicas via DisaggregatedSetRoleScaler {quoted(scaler)} instead"
            )


def _unusable_names(obj: JSON) -> Iterator[str]:
    """Names under which no LeaderWorkerSet can be made, or none of whose groups gets its pods (DD-29)."""
    name = _name(obj)
    for why in dns_1035_label(name) if name else ():
        yield f"metadata.name: no LeaderWorkerSet can be created for this name: {why}"
    for index, role in enumerate(_roles(obj)):
        child = names.child(name, _slices(obj) - 1, "0" * revision.DIGITS, text(role.get("name")))
        spec = member(role, "spec")
        if _hashed(role):
            continue  # its names are refused where they are too long
        grouped = _size(role) > 1
        highest = len(str(max(integer(spec.get("replicas"), 1) - 1, 0)))
        limit = names.LONGEST_CHILD - 1 - highest if grouped else names.LONGEST_CHILD
        if len(child) > limit:
            longest = limit - (len(child) - len(name))
            yield (
                f"{_at(index)}.name: the pods of LeaderWorkerSet {child} cannot be created, its name is longer than "
                f"{limit} characters; with this role metadata.name must not exceed {max(longest, 0)} characters"
            )


def _postponed(obj: JSON, old: JSON) -> Iterator[str]:
    """Edits that reach no running child before the next revision (DD-30)."""
    if _revision(obj) != _revision(old):
        return
    before = {text(role.get("name")): role for role in _roles(old)}
    for index, role in enumerate(_roles(obj)):
        earlier = before.get(text(role.get("name")), {})
        if member(role, "metadata") != member(earlier, "metadata"):
            yield f"{_at(index)}.metadata: takes effect with the next revision"
        for field in _UNROLLED:
            if member(role, "spec").get(field) != member(earlier, "spec").get(field):
                yield f"{_at(index)}.spec.{field}: takes effect with the next revision"
    if member(member(obj, "spec"), "placementPolicy") != member(member(old, "spec"), "placementPolicy"):
        yield "spec.placementPolicy: takes effect with the next revision"


def _revision(obj: JSON) -> str:
    try:
        return revision.revision_of(_roles(obj))
    except revision.UnreadableTemplateError:
        return ""


def _at(index: int) -> str:
    return f"spec.roles[{index}]"


def _name(obj: JSON) -> str:
    return text(member(obj, "metadata").get("name"))


def _roles(obj: JSON) -> list[JSON]:
    found = member(obj, "spec").get("roles")
    return [role for role in found if isinstance(role, dict)] if isinstance(found, list) else []


def _slices(obj: JSON) -> int:
    return integer(member(obj, "spec").get("slices"), 1)


def _external(role: JSON) -> bool:
    return member(role, "scaling").get("mode") == types.EXTERNAL

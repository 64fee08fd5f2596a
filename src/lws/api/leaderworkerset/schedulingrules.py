"""Admission of ``spec.scheduling``: the rows of next 7.3 in their order, words byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.scheduling import LEADER, LWS, REPLICA, ROLE, WORKER
from lws.api.leaderworkerset.types import LEADER_READY
from lws.api.leaderworkerset.workloadapi import GROUP, V1BETA1, WorkloadApi
from lws.api.rules import integer, member
from lws.apimachinery.gotext import encoded, quoted
from lws.apimachinery.manifests import JSON

KUBERNETES: Final = "kubernetes"
VOLCANO: Final = "volcano"
GATE: Final = "WorkloadAwareScheduling"
_PATH: Final = "spec.scheduling"
_TEMPLATE: Final = "spec.leaderWorkerTemplate"
_CLAIMS: Final = ("resourceClaimName", "resourceClaimTemplateName")


@dataclass(frozen=True, slots=True)
class Support:
    """What there is for typed scheduling.

    Attributes:
        enabled: the feature gate.
        provider: the configured scheduler provider; empty without one.
        unavailable: why the API server serves a kind no longer, or not yet, by kind.
        api: the version of ``scheduling.k8s.io``.
    """

    enabled: bool = False
    provider: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    api: WorkloadApi = V1BETA1


NOTHING: Final = Support()


def rules(obj: JSON, old: JSON | None, support: Support) -> Iterator[str]:
    """What is wrong with the field of this object."""
    asked, before = _asked(obj), None if old is None else _asked(old)
    if asked is None:
        if before is not None:
            yield _forbidden("cannot remove scheduling after creation")
        return
    if not support.enabled and before is None:
        yield _forbidden(f"requires the {GATE} feature gate")
    yield from _provider(support, asked, new=before is None)
    if support.provider == KUBERNETES:
        yield from _delegation(obj, asked)
    if old is not None and before is None:
        yield _forbidden("cannot add scheduling after creation")
    yield from _at_level(obj, asked, old, before)


def _provider(support: Support, asked: JSON, *, new: bool) -> Iterator[str]:
    if not support.provider:
        yield f"{_PATH}: Required value: requires a configured scheduler provider"
    elif support.provider == VOLCANO:
        yield from _volcano(asked)
    elif support.provider != KUBERNETES:
        supported = f"supported values: {quoted(KUBERNETES)}, {quoted(VOLCANO)}"
        yield f"{_PATH}: Unsupported value: {quoted(support.provider)}: {supported}"
    elif new:
        for kind, error in support.unavailable.items():
            yield _forbidden(f"{GROUP}/{support.api.version} {kind} API is not available: {error}")
        if not support.api.counts_change and scheduling.is_gang_of_all(
            {"scheduling": asked}, scheduling.levels(asked)[0]
        ):
            yield _forbidden(scheduling.gang_of_all_unsupported(support.api.version))


def _volcano(asked: JSON) -> Iterator[str]:
    """What Volcano has no word for."""
    if scheduling.levels(asked) != [REPLICA]:
        yield _forbidden(scheduling.ONLY_GROUPS)
        return
    replica = member(asked, "replica")
    refused = {
        "schedulingPolicy": (" Basic policy", member(replica, "schedulingPolicy").get("basic") is not None),
        "schedulingConstraints": (" typed scheduling constraints", bool(replica.get("schedulingConstraints"))),
        "disruptionMode": (" typed disruption mode", bool(replica.get("disruptionMode"))),
    }
    for name, (what, given) in refused.items():
        if given:
            yield f"{_PATH}.replica.{name}: Forbidden: the Volcano provider does not support{what}"


def _delegation(obj: JSON, asked: JSON) -> Iterator[str]:
    """The annotations by which a parent's controller has its own Workload used (next 7.8)."""
    meta = member(obj, "metadata")
    notes = member(meta, "annotations")
    template, parent = (f"metadata.annotations[{key}]" for key in (labels.GROUP_TEMPLATE_NAME, labels.PARENT_POD_GROUP))
    if labels.GROUP_TEMPLATE_NAME in notes:
        if not notes[labels.GROUP_TEMPLATE_NAME]:
            yield f"{template}: Required value: must name a parent Workload template"
        owners = meta.get("ownerReferences") or ()
        if not any(isinstance(each, dict) and each.get("controller") is True for each in owners):
            yield f"{template}: Forbidden: delegated scheduling requires a controller owner"
        if ROLE in scheduling.levels(asked):
            yield f"{template}: Forbidden: delegated scheduling supports only whole-LWS or replica mode"
    elif labels.PARENT_POD_GROUP in notes:
        yield f"{parent}: Forbidden: requires the group-template-name delegation annotation"
    if labels.PARENT_POD_GROUP in notes and not notes[labels.PARENT_POD_GROUP]:
        yield f"{parent}: Required value: must name a parent CompositePodGroup"


def _at_level(obj: JSON, asked: JSON, old: JSON | None, before: JSON | None) -> Iterator[str]:
    found = scheduling.levels(asked)
    if len(found) != 1:
        why = f"exactly one active scheduling level is required, got [{' '.join(found)}]"
        yield f"{_PATH}: Invalid value: {encoded(asked)}: {why}"
        return
    level, section = found[0], member(member(obj, "spec"), "leaderWorkerTemplate")
    if old is not None and before is not None:
        if scheduling.levels(before) != found:
            yield _forbidden("cannot switch the active scheduling level after creation")
        earlier = member(member(old, "spec"), "leaderWorkerTemplate")
        if scheduling.priority_class(earlier) != scheduling.priority_class(section):
            why = "cannot change priorityClassName while workload-aware scheduling is configured"
            yield f"{_TEMPLATE}: Forbidden: {why}"
    asked_sections = scheduling.sections(asked, level)
    for name, each in asked_sections.items():
        yield from _built(_path(level, name), each)
    yield from _counts(level, asked_sections, integer(section.get("size"), 1))
    yield from _company(obj, level, asked_sections)
    yield from _templates(level, asked_sections, section)


def _built(path: str, section: JSON) -> Iterator[str]:
    """What the builder of Kubernetes asks of each field."""
    policy = section.get("schedulingPolicy")
    if isinstance(policy, dict):
        yield from _union(f"{path}.schedulingPolicy", policy, ("basic", "gang"))
        gang = member(policy, "gang")
        for name in ("minGroupCount", "minCount"):
            if name in gang and integer(gang[name], 1) < 1:
                shown = encoded(gang[name])
                yield (
                    f"{path}.schedulingPolicy.gang.{name}: Invalid value: {shown}: must be greater than or equal to 1"
                )
    topologies = member(section, "schedulingConstraints").get("topology")
    if isinstance(topologies, list) and len(topologies) > 1:
        yield f"{path}.schedulingConstraints.topology: Too many: {len(topologies)}: must have at most 1 item"
    if isinstance(section.get("disruptionMode"), dict):
        yield from _union(f"{path}.disruptionMode", section["disruptionMode"], ("single", "all"))
    for at, claim in enumerate(_claims(section)):
        yield from _union(f"{path}.resourceClaims[{at}]", claim, _CLAIMS)


def _union(path: str, value: JSON, members: tuple[str, str]) -> Iterator[str]:
    given = [each for each in members if value.get(each) not in (None, "")]
    listed = ", ".join(f"`{each}`" for each in members)
    if not given:
        yield f'{path}: Invalid value: "": must specify one of: {listed}'
    elif len(given) > 1:
        yield f'{path}: Invalid value: "{{{", ".join(given)}}}": must specify exactly one of: {listed}'


def _counts(level: str, asked: Mapping[str, JSON], size: int) -> Iterator[str]:
    for name, section in asked.items():
        gang = member(member(section, "schedulingPolicy"), "gang")
        path = f"{_path(level, name)}.schedulingPolicy.gang"
        if level != ROLE and gang.get("minGroupCount") is not None:
            yield f"{path}.minGroupCount: Forbidden: minGroupCount is not supported"
        whole = scheduling.members(name, 1, size)
        if level == ROLE and gang.get("minCount") is not None and gang["minCount"] != whole:
            shown = encoded(gang["minCount"])
            yield f"{path}.minCount: Invalid value: {shown}: must equal complete leaf membership {whole}"
    if level == ROLE and size < 2:
        yield f"{_TEMPLATE}.size: Invalid value: {size}: leader/worker scheduling requires size >= 2"


def _company(obj: JSON, level: str, asked: Mapping[str, JSON]) -> Iterator[str]:
    """Other features of the set that do not go with a gang, or with topologies."""
    gang = any(scheduling.is_gang(section, level) for section in asked.values())
    if gang and level in (LWS, REPLICA) and member(obj, "spec").get("startupPolicy") == LEADER_READY:
        yield _forbidden("a gang containing the leader and workers is incompatible with startupPolicy LeaderReady")
    topology = any(member(section, "schedulingConstraints").get("topology") for section in asked.values())
    exclusive = member(member(obj, "metadata"), "annotations").get(labels.EXCLUSIVE_TOPOLOGY)
    if exclusive and (gang or topology):
        yield _forbidden(
            "gang scheduling or workload topology constraints cannot be combined with exclusive topology in alpha"
        )


def _templates(level: str, asked: Mapping[str, JSON], section: JSON) -> Iterator[str]:
    pods = scheduling.pod_templates(section)
    specs = [member(each, "spec") for each in pods]
    if len({each.get("priorityClassName") or "" for each in specs}) > 1:
        yield f"{_PATH}: Invalid value: null: all managed pod templates must use the same priorityClassName"
    if any(each.get("schedulingGroup") is not None for each in specs):
        yield _forbidden("managed pod templates must not set spec.schedulingGroup")
    for name, one in asked.items():
        own = {LEADER: specs[:1], WORKER: specs[-1:]}.get(name, specs)
        for at, claim in enumerate(_claims(one)):
            if not all(claim in (each.get("resourceClaims") or []) for each in own):
                why = "must have a matching reference in every member pod template"
                shown = quoted(str(claim.get("name", "")))
                yield f"{_path(level, name)}.resourceClaims[{at}]: Invalid value: {shown}: {why}"


def _claims(section: JSON) -> list[JSON]:
    found = section.get("resourceClaims")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _path(level: str, name: str) -> str:
    return {LWS: _PATH, REPLICA: f"{_PATH}.replica"}.get(level, f"{_PATH}.replica.{name}")


def _asked(obj: JSON) -> JSON | None:
    found = member(obj, "spec").get("scheduling")
    return found if isinstance(found, dict) else None


def _forbidden(why: str) -> str:
    return f"{_PATH}: Forbidden: {why}"

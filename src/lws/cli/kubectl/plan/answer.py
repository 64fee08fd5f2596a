"""Makes the answer of a plan out of how the rehearsal went. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError
from lws.apimachinery.resources import DEPLOYMENTS, PODS, STATEFULSETS
from lws.cli.kubectl.plan import documents as made
from lws.cli.kubectl.plan.rehearsal import START_UP, Outcome, Request, Roles, Write
from lws.cli.kubectl.plan.world import RESOURCEQUOTAS, World
from lws.planning.leaderworkerset.course import Place, SetCourse, group_name

Change = Literal["edit", "scale", "drain", "upgrade"]


@dataclass(frozen=True, slots=True)
class StartUp:
    """How long a pod takes to be ready: measured from live pods, or assumed."""

    seconds: float = START_UP
    measured: bool = False


def start_up(world: World, place: Place | None = None) -> StartUp:
    """The median over the ready pods of a set, or of all, whose containers were never restarted."""
    taken = [
        seconds
        for pod in world.of(PODS)
        if place in (None, _set_of(pod), _roles_of(pod)) and (seconds := _taken(pod)) is not None
    ]
    return StartUp(float(median(taken)), measured=True) if taken else StartUp()


def _taken(pod: JSON) -> float | None:
    status = pod.get("status") or {}
    ready = [
        one for one in status.get("conditions") or () if one.get("type") == "Ready" and one.get("status") == "True"
    ]
    restarted = any(one.get("restartCount") for one in status.get("containerStatuses") or ())
    begun = status.get("startTime") or pod["metadata"].get("creationTimestamp")
    if not ready or restarted or not begun:
        return None
    try:
        ended = datetime.fromisoformat(str(ready[0].get("lastTransitionTime")))
        return max(0.0, (ended - datetime.fromisoformat(str(begun))).total_seconds())
    except (ValueError, TypeError):
        return None


def answer(change: Change, request: Request, outcome: Outcome, took: StartUp, diff: str = "") -> made.Plan:
    """The document of ``plan``: the sets to which something happens, and the one that is edited."""
    edited = {(resource, _place(one)) for resource, one in request.edited}
    return made.Plan(
        change=change,
        refused=outcome.refused,
        diff=diff,
        sets=tuple(
            planned_set(request, outcome, place)
            for place in sorted(outcome.courses)
            if (LEADERWORKERSETS, place) in edited or _touched(change, request, outcome, place)
        ),
        disaggregated_sets=tuple(
            planned_roles(change, place, roles)
            for place, roles in sorted(outcome.roles.items())
            if (DISAGGREGATEDSETS, place) in edited or roles.whole.happenings or (change == "upgrade" and roles.writes)
        ),
        stuck=tuple(made.StuckNode(node=node, reason=reason) for node, reason in sorted(outcome.stuck.items())),
        warnings=tuple(dict.fromkeys(_warnings(request, outcome))),
        estimated_seconds=round(outcome.seconds, 1),
        start_up_seconds=round(took.seconds, 1),
        start_up_measured=took.measured,
    )


def _touched(change: Change, request: Request, outcome: Outcome, place: Place) -> bool:
    if change == "upgrade":
        return bool(outcome.writes.get(place) or outcome.courses[place].happenings)
    return bool(outcome.courses[place].happenings or _affected(request, place))


def planned_set(request: Request, outcome: Outcome, place: Place) -> made.PlannedSet:
    """One set of the answer."""
    course, (owner, role) = outcome.courses[place], outcome.owners.get(place, ("", ""))
    return made.PlannedSet(
        namespace=place[0],
        name=place[1],
        disaggregated_set=owner,
        role=role,
        new_revision=place in outcome.keys and outcome.keys[place] != _key(request.world, place),
        affected=tuple(_affected(request, place)),
        restarted=course.groups("restart"),
        created=course.groups("create"),
        removed=course.groups("remove"),
        ready_before=course.ready_before,
        fewest_ready=course.fewest_ready,
        ready_after=course.ready_after,
        **_peak(course),
        unplaced=course.unplaced,
        waits=outcome.waits.get(place, ()),
        writes=_writes(outcome.writes.get(place, ()) if request.kind == "upgrade" else ()),
        course=tuple(
            made.Moment(seconds=round(one.seconds, 1), step=one.step, group=one.group) for one in course.happenings
        ),
    )


def planned_roles(change: Change, place: Place, roles: Roles) -> made.PlannedRoles:
    """One DisaggregatedSet of the answer."""
    return made.PlannedRoles(
        namespace=place[0],
        name=place[1],
        new_revision=roles.before != roles.after and change != "upgrade",
        revision=roles.after,
        roles=tuple(
            made.PlannedRole(
                name=name, ready_before=one.ready_before, fewest_ready=one.fewest_ready, ready_after=one.ready_after
            )
            for name, one in roles.roles.items()
        ),
        **_peak(roles.whole),
        waits=roles.waits,
        writes=_writes(roles.writes if change == "upgrade" else ()),
        course=tuple(
            made.RoleMoment(seconds=round(one.seconds, 1), step=one.step, set=where, group=group)
            for one in roles.whole.happenings
            for where, _, group in (one.group.partition("/"),)
        ),
    )


def _peak(course: SetCourse) -> dict[str, Any]:
    return {
        "pods_before": course.pods_before,
        "most_pods": course.most_pods,
        "pods_after": course.pods_after,
        "requests_before": dict(course.requests_before),
        "most_requests": dict(course.most_requests),
        "requests_after": dict(course.requests_after),
    }


def _writes(writes: Iterable[Write]) -> tuple[made.PlannedWrite, ...]:
    return tuple(
        made.PlannedWrite(verb=one.verb, object_kind=one.kind, object_name=one.name, changes=one.changes)
        for one in writes
    )


def _affected(request: Request, place: Place) -> list[str]:
    """Groups of a set with a pod on a node that is drained, those with an index in its order."""
    if request.kind != "drain":
        return []
    on = [
        pod for pod in request.world.of(PODS) if _set_of(pod) == place and pod["spec"].get("nodeName") in request.nodes
    ]
    groups = {group_name(pod["metadata"].get("labels") or {}) for pod in on} - {""}
    return sorted(groups, key=lambda group: (len(group), group))


def _warnings(request: Request, outcome: Outcome) -> Iterator[str]:
    yield from outcome.warnings
    yield from request.world.missing
    for place in outcome.restless:
        yield f"{'/'.join(place)} is not at rest: what happens by itself was not told apart from the change."
    for place, course in sorted(outcome.courses.items()):
        if course.unplaced:
            some = ", ".join(course.unplaced[:3]) + (" and more" if len(course.unplaced) > 3 else "")
            many = counted(len(course.unplaced), "pod")
            yield f"{'/'.join(place)}: the nodes as they are have no room for {many} ({some})."
    own = (course for place, course in sorted(outcome.courses.items()) if place not in outcome.owners)
    for course in (*own, *(roles.whole for _, roles in sorted(outcome.roles.items()))):
        yield from _quotas(request.world, course)


def _quotas(world: World, course: SetCourse) -> Iterator[str]:
    """Quotas that the worst moment would exceed."""
    more = {"pods": Quantity(max(0, course.most_pods - course.pods_before))}
    for name, text in course.most_requests.items():
        amount = Quantity.parse(text) - Quantity.parse(course.requests_before.get(name, "0"))
        more |= {name: amount, f"requests.{name}": amount}
    for quota in world.of(RESOURCEQUOTAS):
        if quota["metadata"].get("namespace") != course.namespace:
            continue
        status = quota.get("status") or {}
        used = status.get("used") or {}
        for name, hard in (status.get("hard") or {}).items():
            if more.get(name, Quantity(0)) > Quantity(0) and _exceeds(used.get(name, "0"), more[name], hard):
                text = f"{used.get(name, '0')} used, {more[name].canonical()} more, {hard} allowed"
                yield f"Quota {quota['metadata']['name']} would be exceeded: {name} ({text})."


def _exceeds(used: str, more: Quantity, hard: str) -> bool:
    try:
        return Quantity.parse(hard) < Quantity.parse(used) + more
    except QuantityError:
        return False


def difference(live: JSON | None, edited: JSON) -> str:
    """What the edit changes of the spec, as a unified diff of YAML."""
    import yaml

    before, after = (
        [] if one is None else yaml.safe_dump(one.get("spec") or {}).splitlines() for one in (live, edited)
    )
    return "\n".join(difflib.unified_diff(before, after, "live", "planned", lineterm="", n=2))


def _key(world: World, place: Place) -> str:
    found = (one for one in (*world.of(STATEFULSETS), *world.of(DEPLOYMENTS)) if _place(one) == place)
    return str((next(found, {}).get("metadata") or {}).get("labels", {}).get(labels.REVISION, ""))


def _roles_of(pod: JSON) -> Place:
    meta = pod["metadata"]
    return str(meta.get("namespace") or ""), str((meta.get("labels") or {}).get(role_labels.NAME, ""))


def _set_of(pod: JSON) -> Place:
    meta = pod["metadata"]
    return str(meta.get("namespace") or ""), str((meta.get("labels") or {}).get(labels.NAME, ""))


def _place(raw: Mapping[str, JSON]) -> Place:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])


def counted(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def total(sets: Iterable[made.PlannedSet]) -> tuple[int, int]:
    """Restarts in all sets, and the sets that have any."""
    found = [len(one.restarted) for one in sets]
    return sum(found), sum(1 for one in found if one)

"""``kubectl lws list``: every set with its numbers, and why it is not Available."""

from __future__ import annotations

from datetime import UTC, datetime

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import STATEFULSETS, Resource
from lws.cli.kubectl.documents import ListedSet, SetKind, SetList
from lws.cli.kubectl.plain import age, table
from lws.cli.kubectl.session import Session, full_name
from lws.errors import ForbiddenError, NotFoundError

# The first that says something: conditions of a set, and the status in which each is bad news.
_BAD = (("Blocked", "True"), ("Degraded", "True"), ("Stalled", "True"), ("GroupsHealthy", "False"))


async def run(session: Session) -> int:
    """List the sets of a namespace, or of all."""
    namespace = "" if session.arguments.all_namespaces else session.namespace
    selector = session.arguments.selector
    sets = (await session.client.list(LEADERWORKERSETS, namespace, label_selector=selector))["items"]
    roles = await _optional(session, DISAGGREGATEDSETS, namespace, selector)
    leaders = await _optional(session, STATEFULSETS, namespace, labels.NAME)
    keys = {_place(one): _label(one, labels.REVISION) for one in leaders}
    items = [_leaderworkerset(one, keys.get(_place(one), "")) for one in sets]
    items += [_disaggregatedset(one) for one in roles]
    items.sort(key=lambda one: (one.namespace, one.name, one.set_kind))
    names = [full_name(one.set_kind, one.name) for one in items]
    session.show(lambda: SetList(items=tuple(items)), lambda: _text(session, items), names)
    return 0


async def _optional(session: Session, resource: Resource, namespace: str, selector: str) -> list[JSON]:
    """What an API lists that may not be served, or not be read."""
    try:
        listed = await session.client.list(resource, namespace, label_selector=selector)
    except (NotFoundError, ForbiddenError):
        return []
    found: list[JSON] = listed["items"]
    return found


def _place(raw: JSON) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])


def _label(raw: JSON, name: str) -> str:
    return str((raw["metadata"].get("labels") or {}).get(name, ""))


def _leaderworkerset(raw: JSON, revision: str) -> ListedSet:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    return ListedSet(
        set_kind="LeaderWorkerSet",
        **_common(raw),
        replicas=_number(spec.get("replicas"), 1),
        ready=_number(status.get("readyReplicas"), 0),
        updated=_number(status.get("updatedReplicas"), 0),
        size=_number((spec.get("leaderWorkerTemplate") or {}).get("size"), 1),
        revision=revision,
    )


def _disaggregatedset(raw: JSON) -> ListedSet:
    """Groups of all its roles together; the wanted number is unknown where an autoscaler scales a role."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    told, roles = status.get("roleStatuses") or (), spec.get("roles") or ()
    external = any((role.get("scaling") or {}).get("mode") == "External" for role in roles)
    wanted = sum(_number((role.get("spec") or {}).get("replicas"), 1) for role in roles)
    return ListedSet(
        set_kind="DisaggregatedSet",
        **_common(raw),
        replicas=None if external else wanted * _number(spec.get("slices"), 1),
        ready=sum(_number(each.get("readyReplicas"), 0) for each in told),
        updated=sum(_number(each.get("updatedReplicas"), 0) for each in told),
        size=None,
        revision="",
    )


def _common(raw: JSON) -> JSON:
    namespace, name = _place(raw)
    owners = raw["metadata"].get("ownerReferences") or ()
    owner = next((f"{one['kind']}/{one['name']}" for one in owners if one.get("controller")), "")
    created = str(raw["metadata"].get("creationTimestamp") or "")
    return {"namespace": namespace, "name": name, "created": created, "owner": owner, "reason": _reason(raw)}


def _reason(raw: JSON) -> str:
    """Why the set is not as wanted; empty where it is, or nothing tells."""
    if raw["metadata"].get("deletionTimestamp"):
        return "Deleting"
    found = {one.get("type"): one for one in (raw.get("status") or {}).get("conditions") or ()}
    bad = next((found[kind] for kind, state in _BAD if found.get(kind, {}).get("status") == state), None)
    available = found.get("Available", {})
    if bad is None and available.get("status") == "False":
        bad = available
    return str(bad.get("reason") or bad.get("type")) if bad is not None else ""


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _text(session: Session, items: list[ListedSet]) -> list[str]:
    every, wide, now = session.arguments.all_namespaces, session.wide, datetime.now(UTC)
    if not items:
        where = "" if every else f" in namespace {session.namespace}"
        session.tell(f"no LeaderWorkerSets or DisaggregatedSets found{where}")
        return []
    header = ["NAME", "READY", "UP-TO-DATE", "AGE"]
    header = [*(["NAMESPACE"] if every else []), *header, *(["SIZE", "REVISION", "OWNER"] if wide else []), "REASON"]
    rows = []
    for one in items:
        wanted = "?" if one.replicas is None else one.replicas
        row = [_shown(one.set_kind, one.name), f"{one.ready}/{wanted}", str(one.updated), age(one.created, now)]
        more = ["-" if one.size is None else str(one.size), one.revision or "-", one.owner or "-"] if wide else []
        rows.append([*([one.namespace] if every else []), *row, *more, one.reason or "-"])
    return table(header, rows, session.terminal.width)


def _shown(kind: SetKind, name: str) -> str:
    """A name that every other command takes."""
    return name if kind == "LeaderWorkerSet" else f"disaggregatedset/{name}"

"""``kubectl lws hand-back``: removes what the reference controller would leave behind, and says what it will do."""

from __future__ import annotations

from collections.abc import Sequence

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODDISRUPTIONBUDGETS, PODS
from lws.cli.kubectl.arguments import LEADERWORKERSET, set_name
from lws.cli.kubectl.documents import HandBack as Document
from lws.cli.kubectl.documents import HandedBack
from lws.cli.kubectl.plain import ranges, wrapped
from lws.cli.kubectl.session import Session, full_name
from lws.client.api import JSON_PATCH
from lws.errors import ConfigurationError, ConflictError, ForbiddenError, InvalidError, NotFoundError
from lws.planning.leaderworkerset.handback import HandBack, hand_back

_KEY = 8  # characters that are shown of a group's key
_ATTEMPTS = 5  # of a write whose set changes under it


async def run(session: Session) -> int:
    """Hand back the sets named, else those of the namespace or of all."""
    items, dry = [], session.arguments.dry_run
    for raw in await _sets(session):
        found = await _one(session, raw)
        if not found.nothing:
            meta = raw["metadata"]
            items.append(
                HandedBack(
                    namespace=meta["namespace"],
                    name=meta["name"],
                    conditions=found.conditions,
                    budget=found.budget,
                    recreated=found.recreated,
                )
            )
    document = Document(dry_run=dry, items=tuple(items))
    names = [full_name("LeaderWorkerSet", one.name) for one in items]
    session.show(lambda: document, lambda: _text(session, document), names)
    return 0


async def _sets(session: Session) -> list[JSON]:
    asked = session.arguments
    if asked.words and asked.all_namespaces:
        raise ConfigurationError("hand-back takes names or -A, not both")
    if not asked.words:
        listed = await session.client.list(LEADERWORKERSETS, "" if asked.all_namespaces else session.namespace)
        return sorted(listed["items"], key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))
    named = [set_name(word) for word in asked.words]
    if any(kind not in ("", LEADERWORKERSET) for kind, _ in named):
        raise ConfigurationError("hand-back takes LeaderWorkerSets only")
    return [await session.client.get(LEADERWORKERSETS, session.namespace, name) for _, name in named]


async def _one(session: Session, raw: JSON) -> HandBack:
    """Remove what is to be removed of one set; a set that is gone meanwhile has nothing."""
    client, namespace, name = session.client, raw["metadata"]["namespace"], raw["metadata"]["name"]
    pods = (await client.list(PODS, namespace, label_selector=f"{labels.NAME}={name}"))["items"]
    try:
        budgets = [await client.get(PODDISRUPTIONBUDGETS, namespace, name)]
    except (NotFoundError, ForbiddenError):
        budgets = []
    found = hand_back(raw, pods, budgets)
    if session.arguments.dry_run:
        return found
    if found.conditions:
        await _without_conditions(session, raw)
    if found.budget:
        try:
            await client.delete(PODDISRUPTIONBUDGETS, namespace, found.budget, uid=found.budget_uid)
        except (NotFoundError, ConflictError):
            session.tell(f"the budget {found.budget} is gone already, or is another one now")
    return found


async def _without_conditions(session: Session, raw: JSON) -> None:
    """Write the status without our conditions, if nobody writes it meanwhile; else look again."""
    client, namespace, name = session.client, raw["metadata"]["namespace"], raw["metadata"]["name"]
    for last in (False,) * (_ATTEMPTS - 1) + (True,):
        found = hand_back(raw)
        if not found.conditions:
            return
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": raw["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/status/conditions", "value": list(found.kept)},
        ]
        try:
            await client.patch(
                LEADERWORKERSETS,
                namespace,
                name,
                patch,
                content_type=JSON_PATCH,
                subresource="status",
                field_manager="kubectl-lws",
            )
            return
        except NotFoundError:
            return
        except (ConflictError, InvalidError):
            if last:
                raise
            raw = await client.get(LEADERWORKERSETS, namespace, name)


def _named(groups: Sequence[str]) -> str:
    """Groups as ``0-3,7``, or by the beginnings of their keys."""
    if all(each.isdecimal() and len(each) < _KEY for each in groups):
        return ranges([int(each) for each in groups])
    return ", ".join(groups)


def _text(session: Session, document: Document) -> list[str]:
    lines: list[str] = []
    would = "would be removed" if document.dry_run else "removed"
    for one in document.items:
        parts = []
        if one.conditions:
            parts.append(f"conditions {', '.join(one.conditions)} {would}")
        if one.budget:
            parts.append(f"PodDisruptionBudget {one.budget} {would}")
        if one.recreated:
            groups = "group" if len(one.recreated) == 1 else "groups"
            parts.append(f"the reference will recreate {groups} {_named(one.recreated)} (a container was restarted)")
        lines += wrapped(f"{one.namespace}/{one.name}: {'; '.join(parts)}", session.terminal.width, "  ")
    lines = lines or ["nothing to hand back: the reference can take every set as it is"]
    if any(one.conditions or one.budget for one in document.items) and not document.dry_run:
        told = "Stop this controller first if it still runs: it writes what was removed again."
        lines += wrapped(told, session.terminal.width)
    return lines

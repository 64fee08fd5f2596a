"""What a release would change, as people read it before it happens (operator 5.7).

The status, the event and ``lws-operator diff`` show the same entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON, namespace_of
from lws.apimachinery.resources import Resource

MOST_PATHS: Final = 20  # of one entry
MOST_SETS: Final = 20
# The server's own, which every write changes.
_SERVERS: Final = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
_NAMES: Final = ("name", "type", "mountPath", "port", "containerPort", "topologyKey", "ip", "key")


@dataclass(frozen=True, slots=True)
class Restart:
    """Groups of one LeaderWorkerSet that a new controller would restart."""

    namespace: str
    name: str
    groups: int
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change.

    Attributes:
        entries: objects, each with its verb and the paths that change.
        restarts: sets whose groups would restart; None if that is not known.
    """

    entries: tuple[JSON, ...] = ()
    restarts: tuple[Restart, ...] | None = None

    @property
    def groups(self) -> int:
        """How many groups would restart, as far as that is known."""
        return sum(each.groups for each in self.restarts or ())

    def restarts_told(self) -> str:
        """The sets that restart, in a few words; empty if none does."""
        told = [f"{each.namespace}/{each.name} ({each.groups}: {each.reason})" for each in self.restarts or ()]
        if not told:
            return ""
        more = f" and {len(told) - 5} more sets" if len(told) > 5 else ""
        return f"PlanRestartsGroups: {self.groups} groups restart: {', '.join(told[:5])}{more}"

    def status(self) -> JSON:
        """The members of ``status.plan`` that tell of restarts; empty if that is not known."""
        if self.restarts is None:
            return {}
        sets = [
            {"namespace": each.namespace, "name": each.name, "groups": each.groups, "reason": each.reason}
            for each in self.restarts
        ]
        members: JSON = {"groupsRestarted": self.groups}
        members |= {"sets": sets[:MOST_SETS]} if sets else {}
        return members | ({"setsTruncated": len(sets) - MOST_SETS} if len(sets) > MOST_SETS else {})


def entry(verb: str, resource: Resource, manifest: JSON, paths: Sequence[str] = ()) -> JSON:
    """One object that changes."""
    found: JSON = {"verb": verb, "resource": str(resource), "name": manifest["metadata"]["name"]}
    where = namespace_of(manifest)
    found |= {"namespace": where} if where else {}
    return found | ({"paths": [*paths][:MOST_PATHS]} if paths else {})


def lines(preview: Preview) -> Iterator[str]:
    """The preview as text: an object, below it what changes of it, and at last what restarts."""
    for each in preview.entries:
        where = f"{each['namespace']}/" if "namespace" in each else ""
        yield f"{each['verb']} {each['resource']} {where}{each['name']}"
        yield from (f"    {path}" for path in each.get("paths") or ())
    for restart in preview.restarts or ():
        yield f"restart {restart.groups} groups of {restart.namespace}/{restart.name}: {restart.reason}"


def changed(before: JSON, after: JSON) -> list[str]:
    """Paths at which two forms of an object differ; what the server alone writes does not count."""
    return sorted(dict.fromkeys(_changed(_declared(before), _declared(after), "")))


def unheld(wanted: JSON, live: JSON) -> list[str]:
    """Paths of what is wanted and the live object does not have; for where the server cannot be asked."""
    return sorted(dict.fromkeys(_unheld(_declared(wanted), _declared(live), "")))


def _declared(manifest: JSON) -> JSON:
    kept = {key: value for key, value in manifest.items() if key not in ("status", "apiVersion", "kind")}
    meta = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _SERVERS}
    return {**kept, "metadata": meta}


def _changed(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _changed(before.get(key), after.get(key), _member(path, key))
    elif _named(before) and _named(after):
        one, other = _by_name(before), _by_name(after)
        for key in sorted({*one, *other}):
            yield from _changed(one.get(key), other.get(key), f"{path}[{key}]")
    elif before != after:
        yield path


def _unheld(wanted: Any, live: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key in sorted(wanted):
            yield from _unheld(wanted[key], live.get(key), _member(path, key))
    elif _named(wanted) and _named(live):
        have = _by_name(live)
        for key, value in sorted(_by_name(wanted).items()):
            yield from _unheld(value, have.get(key), f"{path}[{key}]")
    elif wanted != live:
        yield path


def _member(path: str, key: str) -> str:
    step = f"[{key}]" if "." in key or "/" in key else key
    return f"{path}.{step}" if path and step == key else f"{path}{step}"


def _named(node: Any) -> bool:
    """Whether a list's entries have names, so that they can be told apart wherever they stand."""
    if not isinstance(node, list) or not node:
        return False
    return all(isinstance(each, dict) and _name(each) for each in node) and len(_by_name(node)) == len(node)


def _by_name(node: list[JSON]) -> dict[str, JSON]:
    return {_name(each): each for each in node}


def _name(node: JSON) -> str:
    return next((str(node[key]) for key in _NAMES if node.get(key) is not None), "")

"""Which revision belongs to the leader StatefulSet, and what becomes of the others (spec 6, CD-12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import orjson

from lws.api.leaderworkerset import labels, revisions
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, Pod, StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Create, Delete, EmitEvent, Reference, Update
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.metadata import owned_by_set

T = TypeVar("T")
_Identity: TypeAlias = tuple[str, int]  # UID and generation of a set


class Contents:
    """Remembers what was computed from revision contents; it never changes a result, only its cost.

    Memory is bounded by the sets that there are: what belonged to another UID or generation of a set goes when the
    present one is asked for, and everything of a set goes with `forget`.
    """

    def __init__(self) -> None:
        self._memo: dict[tuple[str, str], tuple[_Identity, dict[tuple[str, ...], object]]] = {}

    def data(self, lws: LeaderWorkerSet) -> bytes:
        """The live object's revision content (spec 6.2)."""
        return self._once(lws, ("data",), lambda: revisions.revision_data(lws))

    def same(self, lws: LeaderWorkerSet, revision: ControllerRevision) -> bool:
        """Whether the live object is no update against the revision (spec 6.3)."""
        return self._once(lws, ("same", *_version(revision)), lambda: revisions.same_content(lws, revision.data))

    def restored(self, lws: LeaderWorkerSet, revision: ControllerRevision) -> LeaderWorkerSet:
        """The revision spec (spec 6.4). Only its spec is of use: metadata and status may be older than the set's."""
        return self._once(lws, ("restored", *_version(revision)), lambda: revisions.restore(lws, revision.data))

    def sections(self, lws: LeaderWorkerSet) -> JSON:
        """The normal form of ``leaderWorkerTemplate``, from which pod templates are taken. Not to be changed."""
        return self._once(lws, ("sections",), lambda: revisions.sections(lws.raw_spec)[0])

    def sections_of(self, lws: LeaderWorkerSet, revision: ControllerRevision) -> JSON:
        """The normal form of the revision's ``leaderWorkerTemplate``. Not to be changed."""
        key = ("sections", *_version(revision))
        return self._once(lws, key, lambda: revisions.sections(self.restored(lws, revision).raw_spec)[0])

    def forget(self, namespace: str, name: str) -> None:
        """The set is gone."""
        self._memo.pop((namespace, name), None)

    def __len__(self) -> int:
        """How many results are remembered."""
        return sum(len(results) for _, results in self._memo.values())

    def _once(self, lws: LeaderWorkerSet, key: tuple[str, ...], compute: Callable[[], T]) -> T:
        identity = (lws.metadata.uid, lws.metadata.generation)
        known, results = self._memo.get(lws.metadata.key, (None, {}))
        if known != identity:
            results = {}
            self._memo[lws.metadata.key] = (identity, results)
        if key not in results:
            results[key] = compute()
        return results[key]  # type: ignore[return-value]  # the key names the type


def _version(revision: ControllerRevision) -> tuple[str, ...]:
    return revision.metadata.name, revision.metadata.uid, revision.metadata.resource_version


@dataclass(frozen=True, slots=True)
class Choice:
    """The revision of the leader StatefulSet in this pass.

    Attributes:
        key: the current key.
        armed: the live spec is an update, so a rollout is to be armed.
        actions: what makes the revision exist, with the highest number.
        reference: the revision, for events.
        surging: a revision with another key exists (CD-14).
    """

    key: str
    armed: bool
    actions: tuple[Action, ...]
    reference: Reference
    surging: bool


def own_revisions(lws: LeaderWorkerSet, listed: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """The set's revisions, by name: with its label, and a controller that is absent or this set (spec 6.1)."""
    return sorted(
        (
            revision
            for revision in listed
            if revision.metadata.label(labels.NAME) == lws.metadata.name
            and (revision.metadata.controller is None or revision.metadata.controller.uid == lws.metadata.uid)
        ),
        key=lambda revision: revision.metadata.name,
    )


def find_by_key(lws: LeaderWorkerSet, listed: Iterable[ControllerRevision], key: str) -> ControllerRevision | None:
    """The set's revision with this key, the highest number of several (spec 6.6); an empty key finds none."""
    found = [r for r in own_revisions(lws, listed) if key and r.metadata.label(labels.REVISION) == key]
    return max(reversed(found), key=lambda revision: revision.revision, default=None)


def revision_spec(
    lws: LeaderWorkerSet, revision: ControllerRevision, contents: Contents | None = None
) -> LeaderWorkerSet:
    """The live object with the revision's sections put back (spec 6.4)."""
    return (contents or Contents()).restored(lws, revision)


def choose(
    lws: LeaderWorkerSet,
    leaders: StatefulSet | Deployment | None,
    listed: Iterable[ControllerRevision],
    contents: Contents,
) -> Choice:
    """Find, adopt, reuse or make the revision of what makes the leaders (spec 6.5)."""
    own = own_revisions(lws, listed)
    key = leaders.metadata.label(labels.REVISION) if leaders is not None else ""
    current = find_by_key(lws, own, key)
    if current is not None and contents.same(lws, current):
        return _found(lws, current, key, own)
    wanted = revisions.revision_key(contents.data(lws))
    if current is not None:
        return _make(lws, own, contents, wanted, events.revision_updated, armed=True)
    if key:
        return _make(lws, own, contents, key, events.revision_adopted, armed=False)
    return _make(lws, own, contents, wanted, events.revision_created, armed=False)


def truncate(
    lws: LeaderWorkerSet, listed: Iterable[ControllerRevision], key: str, pods: Sequence[Pod], kept: int = 0
) -> list[Delete]:
    """Delete revisions of another key (spec 6.6), all but the ``kept`` latest; to be called when the update is done.

    A key that some leader pod still carries is kept for the moment; that pod's end brings the next pass.
    """
    carried = {pod.metadata.label(labels.REVISION) for pod in pods} | {key}
    earlier = [each for each in own_revisions(lws, listed) if each.metadata.label(labels.REVISION) not in carried]
    history = sorted(earlier, key=lambda each: -each.revision)[:kept]
    return [
        Delete(CONTROLLERREVISIONS, lws.metadata.namespace, revision.metadata.name, revision.metadata.uid)
        for revision in earlier
        if revision not in history and not revision.metadata.deleting
    ]


def manifest(lws: LeaderWorkerSet, key: str, data: bytes, number: int) -> JSON:
    """A ControllerRevision as it is created (spec 6.1)."""
    return {
        "apiVersion": CONTROLLERREVISIONS.api_version,
        "kind": CONTROLLERREVISIONS.kind,
        "metadata": {
            "name": revisions.revision_name(lws.metadata.name, data, number),
            "namespace": lws.metadata.namespace,
            "labels": {labels.NAME: lws.metadata.name, labels.REVISION: key},
            "ownerReferences": owned_by_set(lws),
        },
        "data": orjson.loads(data),
        "revision": number,
    }


def _found(lws: LeaderWorkerSet, revision: ControllerRevision, key: str, own: Sequence[ControllerRevision]) -> Choice:
    reference = Reference.to(CONTROLLERREVISIONS, revision.metadata)
    return Choice(key, False, tuple(_adopted(lws, own)), reference, _others(own, key))


def _adopted(lws: LeaderWorkerSet, own: Iterable[ControllerRevision]) -> Iterator[Update]:
    """Revisions that nobody controls, as a restored backup has them, get their set as owner and go with it (CD-47)."""
    for revision in own:
        meta = revision.metadata
        if meta.controller is None and not meta.deleting:
            owners = [*(owner.as_json() for owner in meta.owner_references or ()), *owned_by_set(lws)]
            change = {"metadata": {"ownerReferences": owners}}
            yield Update(CONTROLLERREVISIONS, meta.namespace, meta.name, meta.resource_version, change)


def _make(
    lws: LeaderWorkerSet,
    own: Sequence[ControllerRevision],
    contents: Contents,
    key: str,
    event: Callable[[str, Reference], EmitEvent],
    *,
    armed: bool,
) -> Choice:
    """Reuse the revision of equal content and this key, raised to the highest number (CD-12), or create one.

    A server compares data byte for byte, and may refuse to raise a revision that was not written as we or the
    reference write it. Then one is created after all; from then on it is the one of that content that gets reused.
    """
    highest = max((revision.revision for revision in own), default=0)
    equal = [r for r in own if r.metadata.label(labels.REVISION) == key and contents.same(lws, r)]
    reused = max(reversed(equal), key=lambda revision: revision.revision, default=None)
    if reused is not None and reused.revision == highest:
        return Choice(key, armed, (), Reference.to(CONTROLLERREVISIONS, reused.metadata), _others(own, key))
    body = manifest(lws, key, contents.data(lws), highest + 1)
    owner = Reference.to(LEADERWORKERSETS, lws.metadata)
    reference = Reference(CONTROLLERREVISIONS, lws.metadata.namespace, body["metadata"]["name"])
    created = Create(CONTROLLERREVISIONS, body, on_success=(event(key, reference),), required=True, owner=owner)
    if reused is None:
        return Choice(key, armed, (created,), reference, _others(own, key))
    raised = _raise(reused, highest + 1, created)
    return Choice(key, armed, (raised,), Reference.to(CONTROLLERREVISIONS, reused.metadata), _others(own, key))


def _raise(revision: ControllerRevision, number: int, otherwise: Create) -> Update:
    meta = revision.metadata
    change = {"revision": number}
    return Update(CONTROLLERREVISIONS, meta.namespace, meta.name, meta.resource_version, change, otherwise)


def _others(own: Sequence[ControllerRevision], key: str) -> bool:
    return any(revision.metadata.label(labels.REVISION) != key for revision in own)

"""ControllerRevisions of a StatefulSet: content, names, equality, order, and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.hashing import content_hash, go_json
from lws_sandbox.controllers.objects import annotations_of, controller_reference, labels_of, meta, name_of
from lws_sandbox.controllers.objects import namespace_of as _namespace_of

HASH_LABEL: Final = "controller.kubernetes.io/hash"
MAX_NAME_PREFIX: Final = 223


@dataclass(frozen=True, slots=True)
class RevisionPlan:
    """Which revision the set shall be at, and which one it comes from.

    Attributes:
        current: the revision that pods below the partition keep; the update revision when the set knows none.
        update: the revision of the set's template as it is now.
        create: ``update`` does not exist yet.
        raise_to: the number that an older, equal revision gets because it is wanted again.
        collisions: names that were taken by other content so far.
    """

    current: JSON
    update: JSON
    create: bool
    raise_to: int | None
    collisions: int


def revision_data(statefulset: JSON) -> JSON:
    """What a revision stores: a strategic merge patch that puts the pod template back."""
    return {"spec": {"template": {**statefulset["spec"]["template"], "$patch": "replace"}}}


def new_revision(statefulset: JSON, number: int, collisions: int) -> JSON:
    """The revision of the set's template under its content's name."""
    data = revision_data(statefulset)
    digest = content_hash(go_json(data), collisions)
    template_labels = (statefulset["spec"]["template"].get("metadata") or {}).get("labels") or {}
    metadata: JSON = {
        "name": f"{name_of(statefulset)[:MAX_NAME_PREFIX]}-{digest}",
        "namespace": _namespace_of(statefulset),
        "labels": {**template_labels, HASH_LABEL: digest},
        "ownerReferences": [controller_reference(statefulset, "apps/v1", "StatefulSet")],
    }
    if annotations_of(statefulset):
        metadata["annotations"] = dict(annotations_of(statefulset))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data,
        "revision": number,
    }


def sort_revisions(revisions: Iterable[JSON]) -> list[JSON]:
    """Oldest first: by number, then by age, then by name."""
    return sorted(
        revisions, key=lambda item: (item["revision"], meta(item).get("creationTimestamp") or "", name_of(item))
    )


def equal_revisions(left: JSON, right: JSON) -> bool:
    """Whether two revisions store the same content; different hashes say no at once."""
    hashes = labels_of(left).get(HASH_LABEL), labels_of(right).get(HASH_LABEL)
    if all(hashes) and hashes[0] != hashes[1]:
        return False
    return go_json(left.get("data")) == go_json(right.get("data"))


def plan_revisions(statefulset: JSON, revisions: Sequence[JSON]) -> RevisionPlan:
    """Find the set's current and update revision among those that exist.

    Args:
        statefulset: the live set.
        revisions: the set's own revisions, oldest first.
    """
    status = statefulset.get("status") or {}
    collisions = int(status.get("collisionCount") or 0)
    following = revisions[-1]["revision"] + 1 if revisions else 1
    wanted = new_revision(statefulset, following, collisions)
    same = [item for item in revisions if equal_revisions(item, wanted)]
    update, create, raise_to = wanted, True, None
    if same:
        create = False
        newest = equal_revisions(revisions[-1], same[-1])
        update = revisions[-1] if newest else {**same[-1], "revision": following}
        raise_to = None if newest else following
    current = next((item for item in revisions if name_of(item) == status.get("currentRevision")), update)
    return RevisionPlan(current, update, create, raise_to, collisions)


def surplus_revisions(statefulset: JSON, revisions: Sequence[JSON], live_names: Iterable[str]) -> list[JSON]:
    """The revisions to delete: unused ones beyond `revisionHistoryLimit`, the oldest first."""
    live = set(live_names)
    unused = [item for item in revisions if name_of(item) not in live]
    limit = statefulset["spec"].get("revisionHistoryLimit")
    limit = 10 if limit is None else int(limit)
    return unused[: max(0, len(unused) - limit)] if limit >= 0 else []


def restore(statefulset: JSON, revision: JSON) -> JSON:
    """The set with the revision's template put back."""
    template = {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    return {**statefulset, "spec": {**statefulset["spec"], "template": template}}

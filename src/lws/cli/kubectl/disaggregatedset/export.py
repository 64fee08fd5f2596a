"""Makes documents of what was seen of a DisaggregatedSet. Pure."""

from __future__ import annotations

from lws.cli.kubectl import documents as made
from lws.cli.kubectl.disaggregatedset.explain import explain
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.cli.kubectl.export import conditions, findings
from lws.planning.disaggregatedset import pace
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose


def _set(picture: SetPicture) -> dict[str, str]:
    meta = picture.ds.metadata
    return {"set_kind": "DisaggregatedSet", "namespace": meta.namespace, "name": meta.name}


def status(picture: SetPicture) -> made.SetStatus:
    """The document of ``status``."""
    ds = picture.ds
    told = {each.name: each for each in ds.status.role_statuses}
    roles = []
    for role in ds.spec.roles:
        count, seen = pace.wanted(role, picture.scales), told.get(role.name)
        roles.append(
            made.Role(
                name=role.name,
                replicas=None if count is None else count * ds.spec.slices,
                ready=seen.ready_replicas if seen else 0,
                updated=seen.updated_replicas if seen else 0,
            )
        )
    return made.SetStatus(
        **_set(picture),  # type: ignore[arg-type]
        revision=picture.snapshot.target,
        roles=tuple(roles),
        conditions=conditions(ds.status.conditions),
        sentences=explain(picture),
    )


def explanation(picture: SetPicture) -> made.Explanation:
    """The document of ``explain-stuck``; the findings are those of its LeaderWorkerSets."""
    said = explain(picture)
    return made.Explanation(
        **_set(picture),  # type: ignore[arg-type]
        waiting=bool(said),
        findings=tuple(one for name, facts in picture.unready.items() for one in findings(name, diagnose(facts))),
        sentences=said,
    )


def tree(picture: SetPicture) -> made.SetTree:
    """The document of ``tree``; the groups are in the trees of its LeaderWorkerSets."""
    target = picture.snapshot.target
    return made.SetTree(
        **_set(picture),  # type: ignore[arg-type]
        revision=target,
        children=tuple(
            made.Child(
                name=child.name,
                slice=child.slice or 0,
                role=child.role,
                revision=child.revision,
                updated=child.revision == target,
                replicas=child.replicas,
                ready=child.lws.status.ready_replicas,
            )
            for child in picture.snapshot.children
        ),
    )


def history(picture: SetPicture) -> made.History:
    """The document of ``rollout history``: the revisions that have LeaderWorkerSets, the target last."""
    target = picture.snapshot.target
    found: dict[str, list[str]] = {}
    for child in picture.snapshot.children:
        found.setdefault(child.revision, []).append(child.name)
    order = sorted(found, key=lambda key: (key == target, key))
    revisions = tuple(
        made.Revision(number=None, key=key, current=key == target, children=tuple(sorted(found[key]))) for key in order
    )
    return made.History(**_set(picture), revisions=revisions)  # type: ignore[arg-type]


def child_names(picture: SetPicture) -> list[str]:
    """What ``tree -o name`` prints."""
    return [f"leaderworkerset.leaderworkerset.x-k8s.io/{child.name}" for child in picture.snapshot.children]

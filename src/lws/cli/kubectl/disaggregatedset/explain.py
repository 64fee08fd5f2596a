"""Says in words what a DisaggregatedSet waits for. Pure: a picture in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator

from lws.api.disaggregatedset import names
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.planning.disaggregatedset import pace
from lws.planning.disaggregatedset.snapshots import Child, SliceView
from lws.planning.disaggregatedset.step import RoleState
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences


def explain(picture: SetPicture) -> tuple[str, ...]:
    """What the set waits for, most important first; empty when every role has its groups, of the current revision."""
    found = [*_set_findings(picture)]
    if not picture.snapshot.fault:
        for view in picture.snapshot.slices:
            found += _slice_findings(picture, view)
    return tuple(found)


def summary(picture: SetPicture) -> tuple[str, ...]:
    """The numbers of every role, in a line each."""
    ds = picture.ds
    told = {each.name: each for each in ds.status.role_statuses}
    lines = []
    for role in ds.spec.roles:
        count = pace.wanted(role, picture.scales)
        wanted = "an unknown number of" if count is None else str(count * ds.spec.slices)
        status = told.get(role.name)
        ready, updated = (status.ready_replicas, status.updated_replicas) if status is not None else (0, 0)
        lines.append(f"{role.name}: {ready} of {wanted} groups ready, {updated} updated")
    return tuple(lines)


def states(picture: SetPicture, view: SliceView) -> dict[str, RoleState]:
    """The numbers of a slice's rollout, by role."""
    return pace.states(picture.ds.spec.roles, view, picture.scales)


def rolling(view: SliceView) -> bool:
    """Whether anything old runs in the slice."""
    return any(child.replicas for child in view.old)


def _set_findings(picture: SetPicture) -> Iterator[str]:
    ds, meta = picture.ds, picture.ds.metadata
    for condition in ds.status.conditions:
        if condition.type == "Blocked" and condition.status == "True":
            yield f"It is blocked ({condition.reason}): {condition.message}."
    if picture.snapshot.fault:
        yield f"Its templates cannot be read: {picture.snapshot.fault}."
    if meta.deleting:
        yield "It is being deleted; its LeaderWorkerSets go with it."
    elif ds.status.observed_generation < meta.generation:
        yield (
            f"The controller has not acted on the last edit yet (generation {meta.generation}, seen "
            f"{ds.status.observed_generation}): is the controller running, and does it serve DisaggregatedSets?"
        )
    for role in ds.spec.roles:
        if role.external and role.name not in picture.scales:
            scaler = names.scaler(meta.name, role.name)
            yield f"Role {role.name} is External and has no scaler {scaler} of its own; nothing rolls until it has."


def _slice_findings(picture: SetPicture, view: SliceView) -> Iterator[str]:
    where = f"Slice {view.index}: "
    for role in picture.ds.spec.roles:
        if role.name not in view.target:
            name = names.child(picture.ds.metadata.name, view.index, picture.snapshot.target, role.name)
            going = any(child.name == name for child in view.going)
            yield f"{where}LeaderWorkerSet {name} {'is being deleted' if going else 'does not exist'}."
    if rolling(view):
        yield where + _rollout(picture, view)
    for role in picture.ds.spec.roles:
        child = view.target.get(role.name)
        if child is None:
            continue
        wanted = pace.wanted(role, picture.scales)
        if not rolling(view) and wanted is not None and child.replicas != wanted:
            yield f"{where}{child.name} is to be scaled from {child.replicas} to {wanted} groups."
        yield from (f"{where}{child.name}: {sentence}" for sentence in _why(picture, child))


def _rollout(picture: SetPicture, view: SliceView) -> str:
    waits = [child.name for child in view.target.values() if not child.settled]
    moves = [
        f"{role} {state.old} old and {state.new} of {state.target} new (at most {state.surge} more, "
        f"{state.unavailable} fewer)"
        for role, state in states(picture, view).items()
    ]
    tail = f"; it waits for {' and '.join(waits)} to be ready." if waits else "; its next step is due."
    return f"rolls to revision {picture.snapshot.target}: {', '.join(moves)}{tail}"


def _why(picture: SetPicture, child: Child) -> tuple[str, ...]:
    found = picture.unready.get(child.name)
    return sentences(diagnose(found)) if found is not None else ()

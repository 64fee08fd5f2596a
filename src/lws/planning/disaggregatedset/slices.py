"""One slice of a DisaggregatedSet: its children, its rollout, its Services (disaggregatedset 5.3, 5.4, 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lws.api.disaggregatedset import names
from lws.apimachinery.actions import Action
from lws.planning.disaggregatedset import children, events, pace, problems, services
from lws.planning.disaggregatedset.distribution import distribute, retire_newest
from lws.planning.disaggregatedset.guard import fill, floor, guarded_step
from lws.planning.disaggregatedset.problems import Problem
from lws.planning.disaggregatedset.snapshots import Child, SliceView, Snapshot
from lws.planning.disaggregatedset.step import RoleState


@dataclass(slots=True)
class SlicePlan:
    """What a slice needs now, in order, and what keeps it from more."""

    actions: list[Action] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def plan(snapshot: Snapshot, view: SliceView, scales: Mapping[str, int]) -> SlicePlan:
    """Plan one pass over one slice.

    Args:
        snapshot: the set.
        view: the slice.
        scales: wanted replicas of External roles; one that is not there has no scaler.
    """
    out = SlicePlan()
    rest, drained = _drained(view)
    inherited = _inherited(rest, drained)
    out.actions += [*inherited, *_delete_drained(snapshot, rest, drained)]
    if inherited:
        pass  # the next step counts with what was written just now
    elif any(child.replicas for child in rest.old):
        _roll(snapshot, rest, scales, out)
    else:
        _settle(snapshot, view, scales, out)
    out.actions += services.plan(snapshot, view, _counts(snapshot, view, scales))
    return out


def _drained(view: SliceView) -> tuple[SliceView, list[Child]]:
    """The slice without the old revisions none of whose roles has replicas, and their children."""
    ended = [child for group in view.generations if not any(each.replicas for each in group) for child in group]
    kept = tuple(child for child in view.old if child not in ended)
    return SliceView(view.index, view.target, kept, (*view.going, *ended)), ended


def _inherited(rest: SliceView, drained: Sequence[Child]) -> list[Action]:
    """A revision that goes before the rollout is over leaves what it began with to the next one (DD-37).

    Otherwise what the roles had at the beginning, and with it what they must keep, would shrink with every revision.
    """
    began: dict[str, int] = {}
    for child in drained:
        began[child.role] = began.get(child.role, 0) + child.initial
    heirs = {child.role: child for group in reversed(rest.generations) for child in group}
    return [
        children.note_initial(heirs[role], heirs[role].initial + count)
        for role, count in began.items()
        if count and role in heirs
    ]


def _delete_drained(snapshot: Snapshot, rest: SliceView, drained: Sequence[Child]) -> Iterator[Action]:
    """The rollout is over with the last old child, if there was one (DD-10)."""
    for child in drained:
        over = child is drained[-1] and not rest.old and rest.target
        told = (events.completed(snapshot.target),) if over else ()
        yield children.delete(child, events.drained(child.name), *told)


def _settle(snapshot: Snapshot, view: SliceView, scales: Mapping[str, int], out: SlicePlan) -> None:
    """Nothing old is running: every role gets its replicas at once (disaggregatedset 5.4)."""
    for index, role in enumerate(snapshot.ds.spec.roles):
        wanted = pace.wanted(role, scales)
        child = view.target.get(role.name)
        if child is None:
            _create(snapshot, view, index, wanted or 0, out, first=False)
        elif wanted is not None and child.replicas != wanted:
            out.actions.append(children.scale(child, wanted))


def _roll(snapshot: Snapshot, view: SliceView, scales: Mapping[str, int], out: SlicePlan) -> None:
    """Begin the rollout, or complete its beginning, or take its next step (disaggregatedset 7)."""
    roles = snapshot.ds.spec.roles
    if any(role.external and role.name not in scales for role in roles):
        return
    begun = bool(view.target)
    out.actions += [children.note_initial(child, child.replicas) for child in view.old if _to_note(child, begun)]
    missing = [index for index, role in enumerate(roles) if role.name not in view.target]
    for index in missing:
        begun = _create(snapshot, view, index, 0, out, first=not begun) or begun
    if not missing and all(child.settled for child in view.target.values()):
        out.actions += _step(snapshot, view, scales)


def _to_note(child: Child, begun: bool) -> bool:
    """A beginning overwrites what an earlier rollout wrote; later only what is missing or too low is mended (DD-07)."""
    if not begun:
        return child.recorded != child.replicas
    return child.replicas > (child.recorded if child.recorded is not None else 0)


def _step(snapshot: Snapshot, view: SliceView, scales: Mapping[str, int]) -> list[Action]:
    states = pace.states(snapshot.ds.spec.roles, view, scales)
    step = guarded_step(list(states.values()))
    if step is None:
        return []
    new = dict(zip(states, step.new, strict=True))
    raised = _raise(view, new)
    budget = {role: state.old - old for (role, state), old in zip(states.items(), step.old, strict=True)}
    drains = _drain(view, budget, states)
    if raised or drains:
        return [*raised, *drains]
    # Old roles must not be orphaned, and so nothing could be taken: room is made elsewhere, or a revision goes whole.
    filled = dict(zip(states, fill(list(states.values())), strict=True))
    return _raise(view, filled) or _keep(view, retire_newest([_replicas(group) for group in view.generations]))


def _raise(view: SliceView, new: Mapping[str, int]) -> list[Action]:
    return [children.step(child, new[role]) for role, child in view.target.items() if new.get(role, 0) > child.replicas]


def _drain(view: SliceView, budget: Mapping[str, int], states: Mapping[str, RoleState]) -> list[Action]:
    if not any(count > 0 for count in budget.values()):
        return []
    new = {role: state.new for role, state in states.items()}
    floors = {role: floor(state) for role, state in states.items()}
    return _keep(view, distribute(budget, [_replicas(group) for group in view.generations], new, floors))


def _keep(view: SliceView, kept: Sequence[Mapping[str, int]]) -> list[Action]:
    return [
        children.step(child, counts[child.role])
        for group, counts in zip(view.generations, kept, strict=True)
        for child in group
        if counts[child.role] < child.replicas
    ]


def _replicas(group: Sequence[Child]) -> dict[str, int]:
    return {child.role: child.replicas for child in group}


def _create(snapshot: Snapshot, view: SliceView, index: int, replicas: int, out: SlicePlan, *, first: bool) -> bool:
    """Create the child of a role unless its name is taken; whether it is to be created. The first one is an event."""
    ds, role = snapshot.ds, snapshot.ds.spec.roles[index]
    name = names.child(ds.metadata.name, view.index, snapshot.target, role.name)
    if name in view.names:
        return False  # its predecessor is going, and its end will wake the set
    foreign = snapshot.foreign_sets.get(name)
    if foreign is None:
        told = (events.started(snapshot.target),) if first else ()
        out.actions.append(children.create(ds, index, view.index, snapshot.target, replicas, *told))
    elif not snapshot.inherited(foreign):
        out.problems.append(problems.name_taken(name, foreign.uid, ds.metadata.name))
    return foreign is None


def _counts(snapshot: Snapshot, view: SliceView, scales: Mapping[str, int]) -> dict[str, int]:
    """Replicas that each role is to have; of an External role without a scaler those that it has."""
    out = {}
    for role in snapshot.ds.spec.roles:
        count = pace.wanted(role, scales)
        present = view.target[role.name].replicas if role.name in view.target else 0
        out[role.name] = present if count is None else count
    return out

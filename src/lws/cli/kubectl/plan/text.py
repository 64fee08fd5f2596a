"""Says a plan in lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lws.apimachinery.durations import format_duration
from lws.cli.kubectl.plain import ranges, wrapped
from lws.cli.kubectl.plan import documents as made
from lws.cli.kubectl.plan.answer import counted, total
from lws.planning.leaderworkerset.course import KEY_DIGITS


def lines(plan: made.Plan, width: int | None, *, wide: bool = False) -> list[str]:
    """The plan, in lines of at most ``width`` columns; the diff is left as it is. Wide, with every moment."""
    found = plan.diff.splitlines()
    found += [""] if found else []
    for text in _sentences(plan, wide=wide):
        indent = "  " if text.startswith("  ") else ""
        found += wrapped(text, width, indent + "  ") if text else [""]
    return found


def _sentences(plan: made.Plan, *, wide: bool) -> Iterator[str]:
    if plan.refused:
        yield f"The change would be refused: {plan.refused}"
        yield from _warned(plan)
        return
    if plan.change == "upgrade":
        yield from _upgrade(plan)
    elif not plan.sets and not plan.disaggregated_sets:
        yield "No group of any set is affected."
    for roles in plan.disaggregated_sets:
        yield from _roles(plan, roles, wide=wide)
    for one in plan.sets:
        yield from _set(plan, one, wide=wide)
    for stuck in plan.stuck:
        yield f"The drain of {stuck.node} would not end: {stuck.reason}"
    if plan.change != "upgrade" and any(one.course for one in plan.sets):
        how = "measured from the live pods" if plan.start_up_measured else "assumed, for no live pod tells"
        start = format_duration(round(plan.start_up_seconds))
        yield f"Estimated time: {format_duration(round(plan.estimated_seconds))} with a start-up of {start}, {how}."
    yield from _warned(plan)


def _warned(plan: made.Plan) -> Iterator[str]:
    yield from (f"Warning: {text}" for text in plan.warnings)


def _upgrade(plan: made.Plan) -> Iterator[str]:
    restarts, sets = total(plan.sets)
    touched = len(plan.sets) + len(plan.disaggregated_sets)
    if not touched:
        yield "This version would write nothing: every set is as it wants it."
    elif restarts:
        some = f"{counted(restarts, 'group')} of {counted(sets, 'set')}"
        yield f"This version would restart {some} at its first pass."
    else:
        yield f"This version would restart no group; it would write to {counted(touched, 'set')} at its first pass."


def _roles(plan: made.Plan, one: made.PlannedRoles, *, wide: bool) -> Iterator[str]:
    yield f"disaggregatedset {one.namespace}/{one.name}:"
    if plan.change in ("edit", "scale"):
        yield f"  {'makes revision ' + one.revision if one.new_revision else 'makes no new revision'}"
    if one.course:
        for role in one.roles:
            fewest = f"{role.fewest_ready} at the worst moment"
            yield f"  role {role.name}: ready groups {role.ready_before} now, {fewest}, {role.ready_after} at the end"
        yield from _peak(one)
    else:
        yield "  no group restarts, is created or is removed"
    yield from _writes(one.writes)
    if wide:
        for moment in one.course:
            yield f"  {format_duration(moment.seconds)}: {moment.step} {_one(moment.group)} of {moment.set}"
    yield from _waits(one.waits)


def _set(plan: made.Plan, one: made.PlannedSet, *, wide: bool) -> Iterator[str]:
    of = f" (role {one.role} of {one.disaggregated_set})" if one.role else ""
    yield f"leaderworkerset {one.namespace}/{one.name}{of}:"
    if plan.change in ("edit", "scale") and not one.role:
        yield f"  {'makes a new revision' if one.new_revision else 'makes no new revision'}"
    if one.affected:
        yield f"  pods of {_groups(one.affected)} are on these nodes"
    yield from _happenings(one)
    if one.course:
        fewest = f"{one.fewest_ready} at the worst moment"
        yield f"  ready groups: {one.ready_before} now, {fewest}, {one.ready_after} at the end"
        yield from _peak(one)
    yield from _writes(one.writes)
    if wide:
        for moment in one.course:
            yield f"  {format_duration(moment.seconds)}: {moment.step} {_one(moment.group)}"
    yield from _waits(one.waits)


def _peak(one: made.Peak) -> Iterator[str]:
    yield f"  pods: {one.pods_before} now, at most {one.most_pods}, {one.pods_after} at the end"
    for name, most in one.most_requests.items():
        now, end = one.requests_before.get(name, "0"), one.requests_after.get(name, "0")
        yield f"  {name}: {now} now, at most {most}, {end} at the end"


def _writes(writes: Sequence[made.PlannedWrite]) -> Iterator[str]:
    for write in writes:
        changed = f": {', '.join(write.changes)}" if write.changes else ""
        yield f"  would {write.verb} {write.object_kind} {write.object_name}{changed}"


def _waits(waits: Sequence[str]) -> Iterator[str]:
    if waits:
        yield "  it would not come to rest as wanted:"
        yield from (f"    {text}" for text in waits)


def _happenings(one: made.PlannedSet) -> Iterator[str]:
    if one.restarted:
        yield f"  restarts {_groups(one.restarted)}{_order(one.restarted)}"
    if one.created:
        yield f"  creates {_groups(one.created)}"
    if one.removed:
        yield f"  removes {_groups(one.removed)}{_order(one.removed)}"
    if not one.course:
        yield "  no group restarts, is created or is removed"


def _order(groups: Sequence[str]) -> str:
    order = ", ".join(group or "a new one" for group in groups)
    return f", in this order: {order}" if len(groups) > 1 else ""


def _one(group: str) -> str:
    return f"group {group}" if group else "a new group"


def _groups(groups: Sequence[str]) -> str:
    """Indices as ranges, keys by name, and the number of those that have no key yet."""
    indices = [int(group) for group in groups if group.isdigit() and len(group) < KEY_DIGITS]
    named = dict.fromkeys(group for group in groups if group and not (group.isdigit() and len(group) < KEY_DIGITS))
    known = [*([ranges(indices)] if indices else []), *named]
    texts = [f"group{'s' if len({*indices, *named}) > 1 else ''} {', '.join(known)}"] if known else []
    if new := sum(1 for group in groups if not group):
        texts.append(counted(new, "new group"))
    return " and ".join(texts)

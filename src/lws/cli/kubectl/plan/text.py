"""Says a plan in lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lws.apimachinery.durations import format_duration
from lws.cli.kubectl.plain import ranges, wrapped
from lws.cli.kubectl.plan import documents as made
from lws.cli.kubectl.plan.answer import total


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
    elif not plan.sets:
        yield "No group of any set is affected."
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
    if not plan.sets:
        yield "This version would write nothing: every set is as it wants it."
    elif restarts:
        yield f"This version would restart {restarts} groups of {sets} sets at its first pass."
    else:
        yield f"This version would restart no group; it would write to {len(plan.sets)} sets at its first pass."


def _set(plan: made.Plan, one: made.PlannedSet, *, wide: bool) -> Iterator[str]:
    yield f"leaderworkerset {one.namespace}/{one.name}:"
    if plan.change in ("edit", "scale"):
        yield f"  {'makes a new revision' if one.new_revision else 'makes no new revision'}"
    if one.affected:
        yield f"  pods of {_groups(one.affected)} are on these nodes"
    yield from _happenings(one)
    if one.course:
        fewest = f"{one.fewest_ready} at the worst moment"
        yield f"  ready groups: {one.ready_before} now, {fewest}, {one.ready_after} at the end"
        yield f"  pods: {one.pods_before} now, at most {one.most_pods}, {one.pods_after} at the end"
    for name, most in one.most_requests.items():
        if one.course:
            now, end = one.requests_before.get(name, "0"), one.requests_after.get(name, "0")
            yield f"  {name}: {now} now, at most {most}, {end} at the end"
    for write in one.writes:
        changed = f": {', '.join(write.changes)}" if write.changes else ""
        yield f"  would {write.verb} {write.object_kind} {write.object_name}{changed}"
    if wide:
        yield from (f"  {format_duration(moment.seconds)}: {moment.step} group {moment.group}" for moment in one.course)
    if one.waits:
        yield "  it would not come to rest as wanted:"
        yield from (f"    {text}" for text in one.waits)


def _happenings(one: made.PlannedSet) -> Iterator[str]:
    if one.restarted:
        order = ", ".join(str(group) for group in one.restarted)
        yield f"  restarts {_groups(one.restarted)}, in this order: {order}"
    if one.created:
        yield f"  creates {_groups(one.created)}"
    if one.removed:
        yield f"  removes {_groups(one.removed)}"
    if not one.course:
        yield "  no group restarts, is created or is removed"


def _groups(groups: tuple[int, ...]) -> str:
    return f"group {groups[0]}" if len(set(groups)) == 1 else f"groups {ranges(groups)}"

"""Draws a DisaggregatedSet for people."""

from __future__ import annotations

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from lws.cli.kubectl import render as groups
from lws.cli.kubectl.disaggregatedset.explain import explain, rolling, states
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.planning.disaggregatedset import pace
from lws.planning.disaggregatedset.guard import floor
from lws.planning.disaggregatedset.snapshots import Child, SliceView

_SHOWN = 8  # sentences


def tree(picture: SetPicture) -> Tree:
    """Slices, the LeaderWorkerSet of each role and revision, and the groups of those that are not ready."""
    meta, target = picture.ds.metadata, picture.snapshot.target or "none"
    name = (f"{meta.namespace}/{meta.name}", "bold")
    root = Tree(Text.assemble(("DisaggregatedSet ", "dim"), name, "  revision ", (target, "cyan")))
    for view in picture.snapshot.slices:
        branch = root.add(f"slice {view.index}")
        for child in (*view.target.values(), *view.old, *view.going):
            mark = "going" if child.going else "" if child in view.target.values() else "old"
            leaf = branch.add(_child_line(child, mark))
            found = picture.unready.get(child.name)
            if found is not None:
                leaf.children.extend(groups.tree(found).children)
    return root


def _child_line(child: Child, mark: str) -> Text:
    ready, wanted = child.lws.status.ready_replicas, child.replicas
    style = "green" if child.settled else "yellow"
    return Text.assemble(
        (child.role, style), f"  {child.name}  {ready}/{wanted} groups ready, revision ", (child.revision, "cyan"),
        (f"  {mark}" if mark else "", "magenta"),
    )  # fmt: skip


def status(picture: SetPicture) -> RenderableType:
    """Every role's numbers as bars, conditions, rollouts by slice, and what the set waits for."""
    ds = picture.ds
    table = Table.grid(padding=(0, 2))
    told = {each.name: each for each in ds.status.role_statuses}
    for role in ds.spec.roles:
        count = pace.wanted(role, picture.scales)
        desired = (count or 0) * ds.spec.slices
        ready, updated = (
            (told[role.name].ready_replicas, told[role.name].updated_replicas) if role.name in told else (0, 0)
        )
        bar = ProgressBar(max(desired, 1), min(ready, max(desired, 1)), width=40)
        shown = "unknown" if count is None else str(desired)
        table.add_row(role.name, bar, f"{ready}/{shown} ready, {updated} updated")
    conditions = [
        Text(
            groups.condition_line(condition.type, condition.status, condition.message),
            style="green" if condition.status == "True" else "dim",
        )
        for condition in ds.status.conditions
    ]
    findings = explain(picture)
    lines = [Text(f"  {sentence}", style="yellow") for sentence in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        lines.append(Text(f"  and {len(findings) - _SHOWN} more", style="dim"))
    title = Text(f"{ds.metadata.namespace}/{ds.metadata.name}", style="bold")
    rollouts = [rollout(picture, view) for view in picture.snapshot.slices if rolling(view)]
    return Lines(title, table, *conditions, *rollouts, *lines)


def rollout(picture: SetPicture, view: SliceView) -> Table:
    """The rollout of one slice: every role's old and new groups, its budget, and what it keeps in any case."""
    table = groups.plain_table(f"slice {view.index}", "old", "new", "wanted", "surge", "unavailable", "keeps")
    for role, state in states(picture, view).items():
        numbers = (state.old, state.new, state.target, state.surge, state.unavailable, floor(state))
        table.add_row(role, *(str(number) for number in numbers))
    return table


def history(picture: SetPicture) -> Table:
    """The revisions that have children, the target last, and the groups of every role."""
    table = groups.plain_table("revision", "slice", "role", "groups")
    target = picture.snapshot.target
    order = lambda child: (child.revision == target, child.revision, child.slice or 0, child.role)  # noqa: E731
    for child in sorted(picture.snapshot.children, key=order):
        current = " (current)" if child.revision == target else ""
        table.add_row(child.revision + current, str(child.slice), child.role, f"{child.replicas}")
    return table

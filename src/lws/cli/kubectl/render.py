"""Draws a LeaderWorkerSet for people, as wide as their terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.cli.kubectl.members import missing
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.revisions import as_yaml, change, images, section
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.pods import diagnose_pod
from lws.planning.leaderworkerset.diagnosis.quoting import quoted
from lws.planning.leaderworkerset.diagnosis.words import sentences

TRUE_WORDS: Final = {
    "Available": "All replicas are ready",
    "Progressing": "Replicas are progressing",
    "UpdateInProgress": "Rolling Upgrade is in progress",
}
_MISSING_LISTED: Final = 8  # missing pods of a group that get a line each


def tree(facts: Facts, *, wide: bool = False) -> Tree:
    """Groups, pods, nodes, revisions, and why what is not ready is not; wide, every missing pod has its line."""
    lws = facts.lws
    root = Tree(
        Text.assemble(
            ("LeaderWorkerSet ", "dim"),
            (f"{lws.metadata.namespace}/{lws.name}", "bold"),
            f"  {_ready(facts)} groups ready, revision ",
            (facts.key or "none", "cyan"),
        )
    )
    if notice := owner_notice(facts):
        root.add(Text(notice, style="yellow"))
    for group in facts.groups:
        branch = root.add(_group_line(facts, group))
        for pod in group.pods:
            branch.add(_pod_line(facts, pod))
        for line in _missing(facts, group, 10_000 if wide else _MISSING_LISTED):
            branch.add(Text(line, style="red"))
    for pod in facts.strays:
        root.add(Text.assemble(_pod_line(facts, pod), ("  of no group", "dim")))
    return root


def _ready(facts: Facts) -> str:
    """Ready groups of the wanted ones, as seen now; surge is counted apart."""
    ready = [group for group in facts.groups if group.state.ready]
    extra = (
        max(0, len(ready) - facts.lws.replicas)
        if facts.lws.hashed
        else sum(1 for group in ready if group.index >= facts.lws.replicas)
    )
    return f"{len(ready) - extra}/{facts.lws.replicas}" + (f" (+{extra} surge)" if extra else "")


def _missing(facts: Facts, group: GroupFacts, listed: int) -> Iterator[str]:
    absent = missing(facts.lws, group)
    yield from (f"{name}  missing" for name in absent[:listed])
    if len(absent) > listed:
        yield f"and {len(absent) - listed} more missing"


def _group_line(facts: Facts, group: GroupFacts) -> Text:
    mark, style = ("●", "green") if group.state.ready else ("○", "yellow")
    surge = "  (surge)" if group.index >= facts.lws.replicas else ""
    if facts.lws.hashed:  # any group may be the one too many, so each tells its name
        surge = f"  {group.base}" if group.base else ""
    age = "" if group.state.updated else "  old" if group.state.present else ""
    return Text.assemble(
        (f"{mark} group {group.index}", style), f"{surge}  ", (group.revision or "no leader", "cyan"), (age, "magenta")
    )


def _pod_line(facts: Facts, pod: PodReport) -> Text:
    found = diagnose_pod(facts, pod)
    line = Text.assemble(
        f"{pod.metadata.name}  ", (pod.spec.node_name or "no node", "dim"), f"  {pod.status.phase or 'Unknown'}"
    )
    return line if found is None else Text.assemble(line, ("  " + found.text, "yellow"))


def status(facts: Facts, most: int = 8) -> RenderableType:
    """The set's numbers as bars, its conditions, and in at most ``most`` sentences what it waits for."""
    lws, wanted = facts.lws, max(facts.lws.replicas, 1)
    table = Table.grid(padding=(0, 2))
    for name, value in (("ready", lws.ready), ("updated", lws.updated)):
        shown, extra = min(value, lws.replicas), max(0, value - lws.replicas)
        tail = f"{shown}/{lws.replicas}" + (f" (+{extra} surge)" if extra else "")
        table.add_row(name, ProgressBar(wanted, min(value, wanted), width=24), tail)
    tail = "known by a key" if lws.hashed else f"partition {facts.partition}"
    table.add_row("replicas", Text(f"{lws.present} groups exist, {tail}"), "")
    lines: list[RenderableType] = [Text(f"{lws.metadata.namespace}/{lws.name}", style="bold"), table]
    if notice := owner_notice(facts):
        lines.append(Text(notice, style="yellow"))
    for condition in lws.conditions:
        style = "green" if condition.status == "True" else "dim"
        lines.append(Text(condition_line(condition.type, condition.status, condition.message), style=style))
    lines += [Text(f"  {sentence}", style="yellow") for sentence in sentences(diagnose(facts), most)]
    return Lines(*lines)


def condition_line(kind: str, state: str, message: str) -> str:
    """A condition on one line; without its message where it is False and still has the words of True."""
    stale = state == "False" and message == TRUE_WORDS.get(kind)
    return f"{kind} {state}" if stale or not message else f"{kind} {state}: {quoted(message)}"


def history(observation: Observation) -> RenderableType:
    """The stored revisions, newest last, which groups are of each, and what each changed."""
    table = plain_table("revision", "key", "size", "images", "groups")
    stored = sorted(observation.revisions, key=lambda one: one.revision)
    for revision in stored:
        key = revision.metadata.label(labels.REVISION)
        template = section(revision, "leaderWorkerTemplate")
        members = [str(group.index) for group in observation.facts.groups if group.revision == key]
        current = " (current)" if key == observation.facts.key else ""
        named = ", ".join(images(revision))
        table.add_row(str(revision.revision), key + current, str(template.get("size", 1)), named, ", ".join(members))
    changes = [change(older, newer) for older, newer in pairwise(stored)]
    return Lines(table, *(Text("\n" + text) for text in changes))


def plain_table(*header: str) -> Table:
    """A table without lines, which folds what is too wide and cuts nothing off."""
    return Table(*(Column(name, overflow="fold") for name in header), box=None, pad_edge=False)


def revision(one: ControllerRevision) -> list[str]:
    """What one revision holds, as YAML."""
    return [f"# revision {one.revision}, key {one.metadata.label(labels.REVISION)}", *as_yaml(one)]

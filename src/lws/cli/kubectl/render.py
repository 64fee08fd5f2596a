"""Draws a LeaderWorkerSet for people."""

from __future__ import annotations

from typing import Any, TypeAlias

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from lws.cli.kubectl.explain import explain, why_pod
from lws.cli.kubectl.picture import Group, Picture

JSON: TypeAlias = dict[str, Any]


def tree(picture: Picture) -> Tree:
    """Groups, pods, nodes, revisions, and why what is not ready is not."""
    meta, status = picture.lws.metadata, picture.lws.status
    root = Tree(
        Text.assemble(
            ("LeaderWorkerSet ", "dim"),
            (f"{meta.namespace}/{meta.name}", "bold"),
            f"  {status.ready_replicas}/{picture.lws.spec.replicas} groups ready, revision ",
            (picture.key or "none", "cyan"),
        )
    )
    for group in picture.groups():
        branch = root.add(_group_line(picture, group))
        for pod in (group.leader, *group.workers):
            if pod is not None:
                branch.add(_pod_line(pod))
        for missing in range(len(group.workers) + 1, group.size):
            branch.add(Text(f"{picture.lws.metadata.name}-{group.index}-{missing}  missing", style="red"))
    return root


def _group_line(picture: Picture, group: Group) -> Text:
    mark, style = ("●", "green") if group.state.ready else ("○", "yellow")
    surge = "  (surge)" if group.index >= picture.lws.spec.replicas else ""
    age = "" if group.state.updated else "  old" if group.state.present else ""
    return Text.assemble(
        (f"{mark} group {group.index}", style), f"{surge}  ", (group.revision or "no leader", "cyan"), (age, "magenta")
    )


def _pod_line(pod: JSON) -> Text:
    reason = why_pod(pod)
    node = pod.get("spec", {}).get("nodeName") or "no node"
    phase = (pod.get("status") or {}).get("phase", "Unknown")
    line = Text.assemble(f"{pod['metadata']['name']}  ", (node, "dim"), f"  {phase}")
    return line if reason is None else Text.assemble(line, ("  " + reason, "yellow"))


def progress(picture: Picture) -> RenderableType:
    """The set's numbers as bars, its conditions, and what it waits for."""
    status, wanted = picture.lws.status, picture.lws.spec.replicas
    table = Table.grid(padding=(0, 2))
    for name, value in (("ready", status.ready_replicas), ("updated", status.updated_replicas)):
        table.add_row(name, ProgressBar(max(wanted, 1), min(value, max(wanted, 1)), width=40), f"{value}/{wanted}")
    table.add_row("replicas", Text(f"{status.replicas} groups exist, partition {picture.partition}"), "")
    for condition in status.conditions:
        style = "green" if condition.status == "True" else "dim"
        table.add_row(Text(condition.type, style=style), Text(f"{condition.status}  {condition.message}", style=style))
    findings = explain(picture)
    lines = [Text(f"  {sentence}", style="yellow") for sentence in findings[:8]]
    if len(findings) > 8:
        lines.append(Text(f"  and {len(findings) - 8} more", style="dim"))
    return Lines(Text(f"{picture.lws.metadata.namespace}/{picture.lws.metadata.name}", style="bold"), table, *lines)


def done(picture: Picture) -> bool:
    """Whether the controller has seen the last edit and every group is ready and of the current revision."""
    return not explain(picture)


def history(picture: Picture) -> Table:
    """The stored revisions, newest last, and which groups are of each."""
    table = Table("revision", "key", "size", "images", "groups", box=None, pad_edge=False)
    groups = picture.groups()
    for revision in sorted(picture.revisions, key=lambda item: item.revision):
        key = revision.metadata.label("leaderworkerset.sigs.k8s.io/template-revision-hash")
        template = ((revision.data or {}).get("spec") or {}).get("leaderWorkerTemplate") or {}
        members = [str(group.index) for group in groups if group.revision == key]
        current = " (current)" if key == picture.key else ""
        images = ", ".join(dict.fromkeys(_images(template)))
        table.add_row(str(revision.revision), key + current, str(template.get("size", 1)), images, ", ".join(members))
    return table


def _images(template: JSON) -> list[str]:
    found = []
    for part in ("leaderTemplate", "workerTemplate"):
        spec = (template.get(part) or {}).get("spec") or {}
        found += [container.get("image", "") for container in spec.get("containers") or ()]
    return found

"""Groups and pods of LeaderWorkerSets as people want to see them: a table that lives, or plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lws.api.leaderworkerset import labels

JSON = dict[str, Any]
_STYLES: Final = {"Ready": "green", "Running": "yellow", "Pending": "dim", "Terminating": "magenta"}


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod: what it is called, where it is, and how far it has come."""

    name: str
    group: str
    index: str
    node: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class SetRow:
    """One LeaderWorkerSet, and its pods by group."""

    namespace: str
    name: str
    ready: int
    desired: int
    condition: str
    pods: tuple[PodRow, ...]

    @property
    def done(self) -> bool:
        """Whether every group is ready and the set says so."""
        return self.condition == "Available" and self.ready == self.desired


def read_set(leaderworkerset: JSON, pods: Iterable[JSON]) -> SetRow:
    """What is to be shown of a set and the pods of its namespace."""
    name = leaderworkerset["metadata"]["name"]
    own = [pod for pod in pods if _label(pod, labels.NAME) == name]
    rows = sorted((_row(pod) for pod in own), key=lambda row: (_number(row.group), _number(row.index)))
    status = leaderworkerset.get("status") or {}
    true = [item["type"] for item in status.get("conditions") or () if item.get("status") == "True"]
    desired = leaderworkerset["spec"].get("replicas")
    return SetRow(
        namespace=leaderworkerset["metadata"].get("namespace", ""),
        name=name,
        ready=int(status.get("readyReplicas") or 0),
        desired=1 if desired is None else int(desired),
        condition=", ".join(sorted(true)) or "-",
        pods=tuple(rows),
    )


def draw(sets: Sequence[SetRow], hints: Sequence[str]) -> Group:
    """The view as a picture."""
    parts: list[Any] = []
    for row in sets:
        style = "bold green" if row.done else "bold"
        title = Text(
            f"{row.namespace}/{row.name}  {row.ready}/{row.desired} groups ready  {row.condition}", style=style
        )
        table = Table(title=title, title_justify="left", expand=False, pad_edge=False)
        for column in ("Group", "Index", "Pod", "Node", "State", ""):
            table.add_column(column, no_wrap=column != "")
        for pod in row.pods:
            style = _STYLES.get(pod.state, "red")
            table.add_row(pod.group, pod.index, pod.name, pod.node or "-", Text(pod.state, style=style), pod.why[:80])
        parts.append(table)
    if hints:
        parts.append(Text("\n".join(hints), style="cyan"))
    return Group(*parts)


def lines(before: dict[str, str], sets: Sequence[SetRow]) -> list[str]:
    """What changed since the last look, one line each; ``before`` is brought up to date."""
    told = []
    for row in sets:
        where = "" if row.namespace == "default" else f"{row.namespace}/"
        for pod in row.pods:
            words = f"{pod.state}{f' on {pod.node}' if pod.node else ''}{_reason(pod)}"
            told.append(_changed(before, f"pod/{where}{pod.name}", words))
        words = f"{row.ready}/{row.desired} groups ready, {row.condition}"
        told.append(_changed(before, f"leaderworkerset/{where}{row.name}", words))
    return [line for line in told if line]


def blockers(sets: Sequence[SetRow]) -> str:
    """Why not everything is ready, in one sentence."""
    reasons = []
    for row in sets:
        if row.done:
            continue
        waiting = [pod for pod in row.pods if pod.state != "Ready"]
        first = f": {waiting[0].name} is {waiting[0].state}{_reason(waiting[0])}" if waiting else ""
        reasons.append(f"{row.namespace}/{row.name} has {row.ready} of {row.desired} groups ready{first}")
    return "; ".join(reasons) or "nothing was applied"


def _changed(before: dict[str, str], key: str, now: str) -> str:
    if before.get(key) == now:
        return ""
    before[key] = now
    return f"{key}: {now}"


def _reason(pod: PodRow) -> str:
    return f" ({pod.why})" if pod.why else ""


def _row(pod: JSON) -> PodRow:
    status = pod.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or ()}
    state = str(status.get("phase") or "Pending")
    why = ""
    if pod["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    elif conditions.get("Ready", {}).get("status") == "True":
        state = "Ready"
    elif conditions.get("PodScheduled", {}).get("status") == "False":
        why = conditions["PodScheduled"].get("message", "")
    return PodRow(
        name=pod["metadata"]["name"],
        group=_label(pod, labels.GROUP_INDEX),
        index=_label(pod, labels.WORKER_INDEX),
        node=pod["spec"].get("nodeName") or "",
        state=state,
        why=why,
    )


def _label(pod: JSON, key: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(key, ""))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1

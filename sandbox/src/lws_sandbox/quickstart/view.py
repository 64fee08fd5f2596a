"""Groups and pods of LeaderWorkerSets as people want to see them: a table that is drawn over, or plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON

_STYLES: Final = {"Ready": "green", "Running": "yellow", "Pending": "dim", "Terminating": "magenta"}
_CONSOLE: Final = Console()  # only measures
_FRAME: Final = 2  # lines of a set beside its pods: title and column names


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod: its name, where it is, and how far it has come."""

    name: str
    group: str
    index: str
    node: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class SetRow:
    """One LeaderWorkerSet, and its pods by group.

    Attributes:
        namespace: where it is.
        name: its name.
        ready: wanted groups that are ready.
        desired: wanted groups.
        condition: the types of its true conditions.
        pods: by group and index.
        surge: ready groups beyond the wanted ones.
    """

    namespace: str
    name: str
    ready: int
    desired: int
    condition: str
    pods: tuple[PodRow, ...]
    surge: int = 0

    @property
    def done(self) -> bool:
        """Whether every group is ready and the set says so."""
        return self.condition == "Available" and self.ready == self.desired

    @property
    def title(self) -> str:
        """Its name and numbers; surge beyond the wanted groups is counted apart."""
        ready = f"{self.ready}/{self.desired} groups ready" + (f" (+{self.surge} surge)" if self.surge else "")
        return f"{self.namespace}/{self.name}  {ready}  {self.condition}"


def read_set(leaderworkerset: JSON, pods: Iterable[JSON]) -> SetRow:
    """What is to be shown of a set and the pods of its namespace."""
    name = leaderworkerset["metadata"]["name"]
    own = [pod for pod in pods if _label(pod, labels.NAME) == name]
    rows = sorted((_row(pod) for pod in own), key=lambda row: (_number(row.group), _number(row.index)))
    spec, status = leaderworkerset["spec"], leaderworkerset.get("status") or {}
    true = [item["type"] for item in status.get("conditions") or () if item.get("status") == "True"]
    desired = 1 if spec.get("replicas") is None else int(spec["replicas"])
    ready = _ready_groups(rows, int((spec.get("leaderWorkerTemplate") or {}).get("size") or 1))
    return SetRow(
        namespace=leaderworkerset["metadata"].get("namespace", ""),
        name=name,
        ready=sum(1 for index in ready if index < desired),
        desired=desired,
        condition=", ".join(sorted(true)) or "-",
        pods=tuple(rows),
        surge=sum(1 for index in ready if index >= desired),
    )


def _ready_groups(rows: Iterable[PodRow], size: int) -> list[int]:
    """Indices of the groups that are whole and Ready; the status counts surge groups among them."""
    groups: dict[int, list[PodRow]] = {}
    for row in rows:
        groups.setdefault(_number(row.group), []).append(row)
    whole = (index for index, pods in groups.items() if index >= 0 and len(pods) >= size)
    return [index for index in whole if all(pod.state == "Ready" for pod in groups[index])]


def draw(sets: Sequence[SetRow], width: int, height: int, notice: str = "") -> Group:
    """The view as a picture of at most ``height`` lines, each reason whole: ready pods are left out first."""
    parts: list[Any] = []
    room = max(1, height - (1 if notice else 0))
    for position, row in enumerate(sets):
        share = room // (len(sets) - position)
        reasons, used = _reasons(row.pods, width, share // 2)
        shown, line = _fitting(row.pods, max(1, share - _FRAME - used))
        parts += [Text(row.title, style="bold green" if row.done else "bold"), _table(shown)]
        parts += [Text(line, style="dim")] if line else []
        parts += [Text(reason, style="yellow") for reason in reasons]
        room -= _FRAME + used + len(shown) + (1 if line else 0)
    if notice:
        parts.append(Text(notice, style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _reasons(pods: Sequence[PodRow], width: int, room: int) -> tuple[list[str], int]:
    """Why pods wait, each reason once, as many as there is room for; and the lines that they take."""
    waiting: dict[str, list[str]] = {}
    for pod in pods:
        if pod.why:
            waiting.setdefault(pod.why, []).append(pod.name)
    reasons, used = [], 0
    for why, names in waiting.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        reason = f"{names[0]}{more}: {why}"
        lines = len(Text(reason).wrap(_CONSOLE, width))
        if used + lines > room:
            break
        reasons.append(reason)
        used += lines
    return reasons, used


def _fitting(pods: Sequence[PodRow], room: int) -> tuple[list[PodRow], str]:
    """As many pods as there is room for, in their order, and a line that counts the others."""
    if len(pods) <= room:
        return list(pods), ""
    urgent = sorted(range(len(pods)), key=lambda place: (pods[place].state == "Ready", place))[: room - 1]
    left = [pod for place, pod in enumerate(pods) if place not in urgent]
    ready = sum(1 for pod in left if pod.state == "Ready")
    return [pods[place] for place in sorted(urgent)], f"and {len(left)} more pods, {ready} of them Ready"


def _table(pods: Sequence[PodRow]) -> Table:
    table = Table(expand=False, pad_edge=False, box=None, padding=(0, 2, 0, 0))
    for column in ("Group", "Index", "Pod", "Node", "State"):
        table.add_column(column, no_wrap=True, overflow="ellipsis", header_style="dim")
    for pod in pods:
        state = Text(pod.state, style=_STYLES.get(pod.state, "red"))
        table.add_row(pod.group, pod.index, pod.name, pod.node or "-", state)
    return table


def changes(before: dict[str, str], sets: Sequence[SetRow]) -> list[str]:
    """What changed since the last look, one line each; ``before`` is brought up to date."""
    lines = []
    for row in sets:
        where = "" if row.namespace == "default" else f"{row.namespace}/"
        for pod in row.pods:
            words = f"{pod.state}{f' on {pod.node}' if pod.node else ''}{_reason(pod)}"
            lines.append(_changed(before, f"pod/{where}{pod.name}", words))
        words = f"{row.ready}/{row.desired} groups ready, {row.condition}"
        lines.append(_changed(before, f"leaderworkerset/{where}{row.name}", words))
    return [line for line in lines if line]


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
    return int(text) if text.isdigit() and len(text) < 10 else -1

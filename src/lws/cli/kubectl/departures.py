"""Which groups leave nodes that are to be emptied: how, in what order, and what they wait for (resilience 6.3). Pure.

What is said here is what a set tells of itself: its annotations, and what the controller wrote into its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node, Pod
from lws.api.leaderworkerset.policykeys import DISRUPTION_BUDGET, EVACUATE
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Key
from lws.planning.leaderworkerset import emptying
from lws.planning.leaderworkerset.diagnosis.quoting import quoted
from lws.planning.leaderworkerset.groups import group_name, is_leader, shown_group

STAYS: Final = "nothing moves them: kubectl drain evicts their pods"
BY_HAND: Final = "a person moves them: the disruption budget is 0"
BY_POLICY: Final = "moved by the cluster's policies"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a set tells of moves.

    Attributes:
        annotations: of the set.
        status: as it is stored.
    """

    annotations: Mapping[str, str]
    status: JSON


@dataclass(frozen=True, slots=True)
class Departure:
    """The groups of one set on such nodes.

    Attributes:
        namespace: of the set.
        name: of the set.
        groups: in the order in which they go, each with the nodes that it leaves.
        how: they come off them.
        waits: for what the next step waits; empty where nothing is moved, or nothing is told of it.
    """

    namespace: str
    name: str
    groups: Mapping[str, tuple[str, ...]]
    how: str
    waits: str = ""

    @property
    def moved(self) -> bool:
        """Whether the controller moves them."""
        return self.how not in (STAYS, BY_HAND)

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        groups = f"group{'s' if len(self.groups) > 1 else ''} {', '.join(self.groups)}"
        now = f" (now {self.waits})" if self.waits else ""
        return f"{self.namespace}/{self.name}: {groups}: {self.how}{now}"


def departures(
    nodes: Mapping[str, Node], pods: Iterable[Pod], sets: Callable[[Key], Chosen | None], *, cordoned: bool = False
) -> list[Departure]:
    """The groups with pods on these nodes that have not ended, by set.

    Args:
        nodes: by name.
        pods: of all sets.
        sets: what a set tells; None where there is none of that name.
        cordoned: whether the nodes are to be taken for cordoned.
    """
    there: dict[tuple[Key, bool], dict[str, set[str]]] = {}
    leaders: dict[Key, dict[str, Pod]] = {}
    begun: set[Key] = set()
    for pod in pods:
        meta = pod.metadata
        key, group = (meta.namespace, meta.label(labels.NAME)), meta.label(labels.GROUP_INDEX)
        if is_leader(pod) and not meta.deleting:
            leaders.setdefault(key, {})[group] = pod
        node = nodes.get(pod.spec.node_name)
        if node is None or not emptying.stands(pod):
            continue
        goes = emptying.reason(node, pod) is not None
        if goes:
            begun.add(key)
        goes = goes or (cordoned and emptying.reason(_cordoned(node), pod) is not None)
        there.setdefault((key, goes), {}).setdefault(group, set()).add(node.metadata.name)
    found = []
    for (key, goes), groups in sorted(there.items()):
        told, led = sets(key), leaders.get(key, {})
        if told is not None:
            ordered = {shown_group(each): tuple(sorted(groups[each])) for each in _ordered(groups, led)}
            one = Departure(*key, ordered, _how(told) if goes else STAYS)
            found.append(replace(one, waits=_waits(told, led.values(), begun=key in begun) if one.moved else ""))
    return found


def _cordoned(node: Node) -> Node:
    return msgspec.structs.replace(node, spec=msgspec.structs.replace(node.spec, unschedulable=True))


def _ordered(groups: Iterable[str], leaders: Mapping[str, Pod]) -> list[str]:
    """The lowest first; of groups that are known by a key the oldest, by their leaders."""

    def place(group: str) -> tuple[int, str, str]:
        index, leader = natural(group), leaders.get(group)
        if index is not None:
            return index, "", group
        return 0, (leader.metadata.creation_timestamp or "") if leader is not None else "", group

    return sorted(groups, key=place)


def _how(told: Chosen) -> str:
    """How groups of a set come off such a node, as far as the set tells."""
    budget = told.annotations.get(DISRUPTION_BUDGET, "")
    within = f"at most {quoted(budget)} at a time" if budget not in ("", "0") else ""
    if told.annotations.get(EVACUATE) == "true":
        return "moved one by one, each after another group stands in" + (f"; without room, {within}" if within else "")
    if budget == "0":
        return BY_HAND
    if within:
        return f"moved, {within}"
    return BY_POLICY if told.status.get("disruptionBudget") else STAYS


def _waits(told: Chosen, leaders: Iterable[Pod], *, begun: bool) -> str:
    """For what the next move waits, by the rules of `lws.planning.leaderworkerset.evacuation`."""
    record = told.status.get("evacuation")
    if isinstance(record, dict) and record.get("group"):
        return _under_way(record, leaders)
    if _rolling(told.status):
        return "a rollout is finished first"
    return "its turn has not come" if begun and told.annotations.get(EVACUATE) == "true" else ""


def _under_way(record: Mapping[str, Any], leaders: Iterable[Pod]) -> str:
    if record.get("withoutExtra"):
        return "an extra group finds no room: the disruption budget applies"
    group = quoted(str(record["group"]))
    standing = [leader for leader in leaders if leader.metadata.uid == record.get("leaderUID")]
    if standing:
        return f"group {quoted(group_name(standing[0]))} is moved once an extra group is ready"
    return f"group {group} is made anew elsewhere"


def _rolling(status: JSON) -> bool:
    listed = status.get("conditions")
    conditions = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return any(one.get("type") == "UpdateInProgress" and one.get("status") == "True" for one in conditions)

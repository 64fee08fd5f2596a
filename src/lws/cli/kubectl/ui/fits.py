"""Where a group of an exclusively placed set could still go, and why not elsewhere. Pure.

What pods outside sets take is not known here; the scheduler has the last word, and the page says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import accelerators
from lws.planning.leaderworkerset.diagnosis.quoting import listed

if TYPE_CHECKING:
    from lws.api.leaderworkerset.objects import Taint
    from lws.cli.kubectl.ui.kinds import SetRecord
    from lws.cli.kubectl.ui.places import NodeUse


def fits(record: SetRecord, domains: Mapping[str, Sequence[NodeUse]]) -> dict[str, Any]:
    """For each domain whether a group more of the set could go there: `free`, `held` or `unfit`, and why."""
    namespace, name = record.metadata.key
    asked = accelerators.of_group(record.declared)
    template = record.declared.spec.leader_worker_template.worker_template.get("spec") or {}
    verdicts = []
    for domain, members in sorted(domains.items()):
        state, why = _verdict(members, template, asked) if domain else ("unfit", "these nodes do not have the label")
        verdicts.append({"domain": domain, "state": state, "why": why})
    return {"ns": namespace, "name": name, "domains": verdicts}


def _verdict(members: Sequence[NodeUse], template: JSON, asked: Mapping[str, float]) -> tuple[str, str]:
    holders: Counter[tuple[str, str, str]] = Counter()
    for use in members:
        holders.update(use.groups)
    if holders:
        names = (f"group {index} of {namespace}/{name}" for namespace, name, index in sorted(holders))
        return "held", f"held by {listed(names)}"
    usable = [use for use in members if use.usable]
    if not usable:
        return "unfit", "every node is cordoned or not ready"
    chosen = [use for use in usable if _selected(use, template)]
    if not chosen:
        return "unfit", "no node has the labels that its nodeSelector asks for"
    welcome = [use for use in chosen if all(_tolerated(taint, template) for taint in use.node.spec.taints or ())]
    if not welcome:
        taints = sorted({taint.key for use in chosen for taint in use.node.spec.taints or ()})
        return "unfit", f"taints that it does not tolerate: {listed(taints)}"
    for resource, amount in sorted(asked.items()):
        free = sum(use.total.get(resource, 0.0) - use.used[resource] for use in welcome)
        if free < amount:
            return "unfit", f"{int(free)} {resource} free, a group asks for {int(amount)}"
    return "free", "no other group is here"


def _selected(use: NodeUse, template: JSON) -> bool:
    selector = template.get("nodeSelector") or {}
    return all(use.node.metadata.label(str(key)) == value for key, value in selector.items())


def _tolerated(taint: Taint, template: JSON) -> bool:
    return taint.effect == "PreferNoSchedule" or any(_matches(one, taint) for one in template.get("tolerations") or ())


def _matches(toleration: JSON, taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.key)
    return toleration.get("key") == taint.key and (toleration.get("value") or "") == taint.value

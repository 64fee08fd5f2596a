"""What a person can do about a finding that names no remedy of its own: where to look, or what to wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason

_ABSENT: Final = "does not exist"
_GENERAL: Final = {
    Reason.TERMINATING: "If this lasts, see whether the kubelet of its node runs.",
    Reason.FAILED_CREATE: "Correct what the message names: it is tried again by itself.",
    Reason.WAITING_FOR_NAMES: "Wait, or end those pods.",
    Reason.WAITING_FOR_LEADER: "Make the leader ready.",
    Reason.POD_GROUP_PENDING: "Free room in the queue and on the nodes, or ask for less.",
    Reason.GATED: "Free quota for it, or wait.",
    Reason.UNSCHEDULABLE: "Free or add such nodes, or ask for less.",
}
_OF_PODS: Final = {
    Reason.CRASH_LOOP: "`kubectl logs {name} --all-containers --previous` has its last words.",
    Reason.INIT_RUNNING: "`kubectl logs {name} --all-containers` tells how far it is.",
    Reason.NOT_READY: "`kubectl logs {name}` and `kubectl describe pod {name}` tell more.",
}


def with_remedy(finding: Finding) -> Finding:
    """The finding, with a general remedy where it has none of its own and one is known."""
    if finding.remedy or not finding.name:
        return finding
    there = finding.noun.endswith("pod") and not finding.text.startswith(_ABSENT)
    of_pod = _OF_PODS.get(finding.reason) if there else None
    remedy = of_pod.format(name=finding.name) if of_pod else _GENERAL.get(finding.reason, "")
    return replace(finding, remedy=remedy) if remedy else finding

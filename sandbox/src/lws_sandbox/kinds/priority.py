"""The admission plugin Priority: what a pod's class is worth (`plugin/pkg/admission/priority`)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.status import StatusError, forbidden, of
from lws_sandbox.strategy import WriteContext

CLASSES: Final = "priorityclasses.scheduling.k8s.io"
SYSTEM: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_ALWAYS: Final = "PreemptLowerPriority"


def admit_priority(new: JSON, old: JSON | None, context: WriteContext, resource: Resource) -> None:
    """Set priority and preemption policy of a new pod; a change keeps them.

    Raises:
        StatusError: 403, the class is unknown or the pod says something else.
    """
    spec = new["spec"]
    if old is not None:
        for member in ("priority", "preemptionPolicy"):
            if spec.get(member) is None and old["spec"].get(member) is not None:
                spec[member] = old["spec"][member]
        return
    name = new["metadata"].get("name") or ""
    wanted = spec.get("priorityClassName") or ""
    chosen, value, policy = _class(wanted, context) if wanted else _default(context)
    if value is None:
        raise _refused(resource, name, f"no PriorityClass with name {wanted} was found")
    if chosen:
        spec["priorityClassName"] = chosen
    computed = "priority admission controller computed {} from the given PriorityClass name"
    given = spec.get("priority")
    if given is not None and given != value:
        why = f"the integer value of priority ({given}) must not be provided in pod spec; {computed.format(value)}"
        raise _refused(resource, name, why)
    spec["priority"] = value
    given = spec.get("preemptionPolicy")
    if given is not None and given != policy:
        what = f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec"
        raise _refused(resource, name, f"{what}; {computed.format(policy)}")
    spec["preemptionPolicy"] = policy


def _class(name: str, context: WriteContext) -> tuple[str, int | None, str]:
    found = context.peek(CLASSES, "", name)
    if found is None:
        return name, SYSTEM.get(name), _ALWAYS
    return name, found.get("value", 0), found.get("preemptionPolicy") or _ALWAYS


def _default(context: WriteContext) -> tuple[str, int | None, str]:
    """The class that is the global default, the one of lowest value if there are several."""
    defaults = [found for found in context.stored(CLASSES, "") if found.get("globalDefault")]
    if not defaults:
        return "", 0, _ALWAYS
    least = min(defaults, key=lambda found: found.get("value", 0))
    return least["metadata"]["name"], least.get("value", 0), least.get("preemptionPolicy") or _ALWAYS


def _refused(resource: Resource, name: str, why: str) -> StatusError:
    return forbidden(of(resource), name, why)

"""ResourceQuotas: what objects use, and the refusal of more (`plugin/pkg/admission/resourcequota`).

The usage is counted anew from what is stored each time, where the real server keeps it in the quota's status; so a
quota holds from the moment at which it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.apimachinery.resources import Resource
from lws_sandbox.kinds import resources
from lws_sandbox.kinds.resources import Amounts
from lws_sandbox.status import forbidden, of

QUOTAS: Final = "resourcequotas"
COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
# What a pod has to say of every container where a quota counts it.
_REQUIRED: Final = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
# Kinds that quotas count under their bare name, too.
_BARE: Final = frozenset(
    {"configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", QUOTAS, "secrets", "services"}
)
_ONE: Final = Quantity(1)
Stored = Callable[[str], Iterable[JSON]]


@dataclass(frozen=True, slots=True)
class Charge:
    """What one quota has to bear.

    Attributes:
        quota: the stored object.
        used: what is used of every resource that it limits, without the new object.
        more: what the new object uses of them.
    """

    quota: JSON
    used: Amounts
    more: Amounts

    def status(self) -> JSON:
        """The quota's status with the new object."""
        total = dict(self.used)
        resources.add(total, self.more)
        return status_of(self.quota, total)


def status_of(quota: JSON, used: Amounts) -> JSON:
    """The status of a quota of which so much is used."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    return {"hard": dict(hard), "used": {name: str(used.get(name, Quantity(0)).canonical()) for name in sorted(hard)}}


def used_of(quota: JSON, stored: Stored, now: datetime) -> Amounts:
    """What is used of every resource that a quota limits.

    Args:
        quota: the object.
        stored: the objects of a storage key in the quota's namespace.
        now: a pod that should have ended by then counts no more.
    """
    hard = (quota.get("spec") or {}).get("hard") or {}
    total: Amounts = {name: Quantity(0) for name in hard}
    for key in sorted(keys_of(hard)):
        for obj in stored(key):
            if _covers(quota, key, obj):
                resources.add(total, {name: one for name, one in usage(key, obj, now).items() if name in hard})
    return total


def keys_of(hard: Mapping[str, object]) -> set[str]:
    """The storage keys of the objects that count against these limits."""
    found = set()
    for name in hard:
        if name.startswith("count/"):
            found.add(name.removeprefix("count/"))
        elif name == "requests.storage" or ".storageclass.storage.k8s.io/" in name:
            found.add("persistentvolumeclaims")
        elif name.startswith("services."):
            found.add("services")
        elif name in _BARE:
            found.add(name)
        else:
            found.add("pods")
    return found


def charges(
    resource: Resource, key: str, new: JSON, quotas: Iterable[JSON], stored: Stored, now: datetime
) -> list[Charge]:
    """What the quotas of its namespace have to bear for a new object.

    Raises:
        StatusError: 403, one of them cannot, or the pod does not say what the quota has to know.
    """
    found = []
    for quota in sorted(quotas, key=lambda each: str(each["metadata"]["name"])):
        hard = resources.parse((quota.get("spec") or {}).get("hard"))
        more = {name: one for name, one in usage(key, new, now).items() if name in hard}
        if not _covers(quota, key, new) or not (more or key == "pods"):
            continue
        name = quota["metadata"]["name"]
        why = _unsaid(new["spec"], hard) if key == "pods" else ""
        if why:
            raise forbidden(
                of(resource), new["metadata"].get("name") or "", f"failed quota: {name}: must specify {why}"
            )
        used = used_of(quota, stored, now)
        over = sorted(each for each, one in more.items() if one and hard[each] < used[each] + one)
        if over:
            told = {"requested": more, "used": used, "limited": hard}
            words = (f"{word}: {_listed(amounts, over)}" for word, amounts in told.items())
            why = f"exceeded quota: {name}, {', '.join(words)}"
            raise forbidden(of(resource), new["metadata"].get("name") or "", why)
        found.append(Charge(quota, used, more))
    return found


def usage(key: str, obj: JSON, now: datetime) -> Amounts:
    """What an object of a storage key uses."""
    found: Amounts = {f"count/{key}": _ONE}
    spec = obj.get("spec") or {}
    if key == "pods":
        if not _ended(obj, now):
            found |= {"pods": _ONE, **_of_pod(spec)}
    elif key in _BARE:
        found[key] = _ONE
    if key == "services":
        found |= _of_service(spec)
    if key == "persistentvolumeclaims":
        found |= _of_claim(obj)
    return found


def _of_pod(spec: JSON) -> Amounts:
    found: Amounts = {}
    for name, amount in resources.aggregate(spec, "requests").items():
        found[f"requests.{name}"] = amount
        if name in COMPUTE or name.startswith(resources.HUGEPAGES):
            found[name] = amount
    for name, amount in resources.aggregate(spec, "limits").items():
        if name in COMPUTE:
            found[f"limits.{name}"] = amount
    return found


def _of_service(spec: JSON) -> Amounts:
    kind, found = spec.get("type"), {}
    ports = Quantity(len(spec.get("ports") or ()))
    if kind == "LoadBalancer":
        found["services.loadbalancers"] = _ONE
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        found["services.nodeports"] = ports
    return found


def _of_claim(claim: JSON) -> Amounts:
    spec = claim.get("spec") or {}
    asked = resources.parse((spec.get("resources") or {}).get("requests")).get("storage")
    found: Amounts = {} if asked is None else {"requests.storage": asked}
    if spec.get("storageClassName"):
        prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io/"
        found |= {prefix + name: amount for name, amount in found.items()}
        found[f"{prefix}persistentvolumeclaims"] = _ONE
    return found


def _ended(pod: JSON, now: datetime) -> bool:
    """Whether a pod holds nothing any more: it has finished, or its grace period is over."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    meta = pod["metadata"]
    deleted, grace = meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds")
    return bool(deleted) and grace is not None and now > datetime.fromisoformat(deleted) + timedelta(seconds=grace)


def _unsaid(spec: JSON, hard: Amounts) -> str:
    """The resources that a quota limits and containers do not state, as the server words it."""
    if spec.get("resources"):
        return ""
    missing: dict[str, list[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        wanted = container.get("resources") or {}
        said = {f"{what}.{name}" for what in ("requests", "limits") for name in wanted.get(what) or ()}
        said |= set(wanted.get("requests") or ())
        for name in sorted(set(_REQUIRED) & set(hard) - said):
            missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(names)}" for name, names in sorted(missing.items()))


def _listed(amounts: Amounts, names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name].canonical()}" for name in names)


def _covers(quota: JSON, key: str, obj: JSON) -> bool:
    """Whether an object is in the scopes of a quota; only pods have scopes."""
    spec = quota.get("spec") or {}
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not terms or (key == "pods" and all(_in_scope(term, obj) for term in terms))


def _in_scope(term: JSON, pod: JSON) -> bool:
    spec = pod["spec"]
    ends = spec.get("activeDeadlineSeconds") is not None
    match term["scopeName"]:
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return resources.qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return resources.qos_class(spec) != "BestEffort"
        case "PriorityClass":
            return _selected(term, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return any(_crosses(each) for each in _affinity_terms(spec))
    return False


def _selected(term: JSON, name: str) -> bool:
    values = term.get("values") or ()
    match term["operator"]:
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "DoesNotExist":
            return not name
    return bool(name)


def _affinity_terms(spec: JSON) -> Iterator[JSON]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = (spec.get("affinity") or {}).get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for each in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield each.get("podAffinityTerm") or {}


def _crosses(term: JSON) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None

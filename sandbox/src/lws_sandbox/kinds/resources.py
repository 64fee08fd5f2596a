"""Resource lists: sums, rounding, quality of service, pod-level resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError

Amounts = dict[str, Quantity]

MILLI: Final = -3
_COMPUTE: Final = ("cpu", "memory")
HUGEPAGES: Final = "hugepages-"


def parse(amounts: JSON | None) -> Amounts:
    """A resource list as numbers; what is not a quantity is left out."""
    found: Amounts = {}
    for name, value in (amounts or {}).items():
        try:
            found[name] = Quantity.parse(value)
        except QuantityError:
            continue
    return found


def rounded(amounts: JSON) -> JSON:
    """A resource list rounded up to thousandths, as pods hold them."""
    return {name: str(Quantity.parse(value).rounded_up(MILLI)) for name, value in amounts.items()}


def add(total: Amounts, more: Amounts) -> None:
    """Add a resource list to another, in place."""
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def largest(total: Amounts, more: Amounts) -> None:
    """Keep the larger of each amount, in place."""
    for name, value in more.items():
        if name not in total or total[name] < value:
            total[name] = value


def aggregate(spec: JSON, member: str) -> Amounts:
    """Requests or limits of all containers of a pod together, init containers and sidecars as the scheduler counts."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        add(total, _of(container, member))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = _of(container, member)
        if container.get("restartPolicy") == "Always":
            add(total, amounts)
            add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            amounts = dict(amounts)
            add(amounts, sidecars)
        largest(highest, amounts)
    largest(total, highest)
    return total


def _of(container: JSON, member: str) -> Amounts:
    return parse((container.get("resources") or {}).get(member))


def default_pod_level(spec: JSON) -> None:
    """Pod-level requests from the containers' and from pod-level limits (KEP-2837)."""
    wanted = spec.get("resources")
    if wanted is None or not wanted.get("limits"):
        return
    requests = dict(wanted.get("requests") or {})
    for name, amount in aggregate(spec, "requests").items():
        if name in _COMPUTE:
            requests.setdefault(name, str(amount))
    for name, value in wanted["limits"].items():
        if name in _COMPUTE or name.startswith(HUGEPAGES):
            requests.setdefault(name, value)
    if requests:
        wanted["requests"] = dict(sorted(requests.items()))


def qos_class(spec: JSON) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, from cpu and memory of a pod."""
    wanted = spec.get("resources")
    if wanted is not None:
        return _qos([wanted])
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return _qos([container.get("resources") or {} for container in containers])


def _qos(all_wanted: Iterable[JSON]) -> str:
    requests: Amounts = {}
    limits: Amounts = {}
    guaranteed = True
    for wanted in all_wanted:
        asked, capped = _positive(wanted.get("requests")), _positive(wanted.get("limits"))
        add(requests, asked)
        add(limits, capped)
        guaranteed = guaranteed and set(capped) >= set(_COMPUTE)
    if not requests and not limits:
        return "BestEffort"
    same = all(name in limits and limits[name] == amount for name, amount in requests.items())
    return "Guaranteed" if guaranteed and same and len(requests) == len(limits) else "Burstable"


def _positive(amounts: JSON | None) -> Amounts:
    zero = Quantity(0)
    return {name: amount for name, amount in parse(amounts).items() if name in _COMPUTE and amount > zero}

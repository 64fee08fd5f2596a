"""The admission plugin LimitRanger (`plugin/pkg/admission/limitranger`): resources pods get, bounds they keep.

Only new pods are looked at: the containers of a pod do not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.apimachinery.resources import PODS
from lws_sandbox.kinds import resources
from lws_sandbox.kinds.resources import Amounts
from lws_sandbox.status import forbidden, of
from lws_sandbox.strategy import WriteContext

RANGES: Final = "limitranges"
ANNOTATION: Final = "kubernetes.io/limit-ranger"


def default_item(item: JSON) -> None:
    """Limits of a container default to the maximum, its requests to the default limits, then to the minimum."""
    if item.get("type") != "Container":
        return
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    for member, amounts in (("default", limits), ("defaultRequest", requests)):
        if amounts:
            item[member] = dict(sorted(amounts.items()))


def fill_in(pod: JSON, context: WriteContext) -> None:
    """Give the containers of a new pod what the ranges of its namespace say, where they say nothing themselves."""
    for limits in _ranges(pod, context):
        defaults: dict[str, JSON] = {"requests": {}, "limits": {}}
        for item in limits:
            if item.get("type") == "Container":
                defaults["requests"].update(item.get("defaultRequest") or {})
                defaults["limits"].update(item.get("default") or {})
        told = [words for kind, container in _containers(pod) for words in _filled(kind, container, defaults)]
        if told:
            annotations = pod["metadata"].setdefault("annotations", {})
            annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"


def check(pod: JSON, context: WriteContext) -> None:
    """Refuse a new pod that a range of its namespace does not allow.

    Raises:
        StatusError: 403, with every bound of that range that is broken.
    """
    containers = [container for _, container in _containers(pod)]
    for limits in _ranges(pod, context):
        broken: dict[str, None] = {}
        for item in limits:
            for amounts in _amounts(item.get("type"), pod["spec"], containers):
                broken |= dict.fromkeys(_broken(item, *amounts))
        if broken:
            texts = list(broken)
            why = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            raise forbidden(of(PODS), pod["metadata"].get("name") or "", why)


def _ranges(pod: JSON, context: WriteContext) -> Iterator[Sequence[JSON]]:
    for found in context.stored(RANGES, pod["metadata"].get("namespace") or ""):
        yield (found.get("spec") or {}).get("limits") or ()


def _containers(pod: JSON) -> Iterator[tuple[str, JSON]]:
    for kind, member in (("container", "containers"), ("init container", "initContainers")):
        for container in pod["spec"].get(member) or ():
            yield kind, container


def _amounts(kind: str | None, spec: JSON, containers: Iterable[JSON]) -> Iterator[tuple[Amounts, Amounts]]:
    """Requests and limits that bounds of this type are for."""
    if kind == "Pod":
        yield resources.aggregate(spec, "requests"), resources.aggregate(spec, "limits")
    elif kind == "Container":
        for container in containers:
            wanted = container.get("resources") or {}
            yield resources.parse(wanted.get("requests")), resources.parse(wanted.get("limits"))


def _filled(kind: str, container: JSON, defaults: Mapping[str, JSON]) -> Iterator[str]:
    for what, amounts in defaults.items():
        names = _set(container, what, amounts)
        if names:
            yield f"{', '.join(names)} {what.removesuffix('s')} for {kind} {container['name']}"


def _set(container: JSON, what: str, amounts: JSON) -> list[str]:
    wanted = (container.get("resources") or {}).get(what) or {}
    missing = {name: value for name, value in sorted(amounts.items()) if name not in wanted}
    if missing:
        container["resources"] = {**(container.get("resources") or {}), what: {**wanted, **missing}}
    return list(missing)


def _broken(item: JSON, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = item["type"]
    for name, bound in sorted(resources.parse(item.get("min")).items()):
        yield from _below(f"minimum {name} usage per {kind} is {bound}", bound, requests.get(name), limits.get(name))
    for name, bound in sorted(resources.parse(item.get("max")).items()):
        yield from _above(f"maximum {name} usage per {kind} is {bound}", bound, requests.get(name), limits.get(name))
    for name, bound in sorted(resources.parse(item.get("maxLimitRequestRatio")).items()):
        told = f"{name} max limit to request ratio per {kind} is {bound}"
        yield from _out_of_ratio(told, bound, requests.get(name), limits.get(name))


def _below(told: str, bound: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if request is None:
        yield f"{told}.  No request is specified"
    elif request < bound:
        yield f"{told}, but request is {request}"
    elif limit is not None and limit < bound:
        yield f"{told}, but limit is {limit}"


def _above(told: str, bound: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if limit is None:
        yield f"{told}.  No limit is specified"
    elif bound < limit:
        yield f"{told}, but limit is {limit}"
    elif request is not None and bound < request:
        yield f"{told}, but request is {request}"


def _out_of_ratio(told: str, bound: Quantity, request: Quantity | None, limit: Quantity | None) -> Iterator[str]:
    if request is None or not request.milli_value():
        yield f"{told}, but no request is specified or request is 0"
    elif limit is None or not limit.milli_value():
        yield f"{told}, but no limit is specified or limit is 0"
    elif limit.milli_value() / request.milli_value() > bound.milli_value() / 1000:
        yield f"{told}, but provided ratio is {limit.milli_value() / request.milli_value():f}"

"""What a pod asks of a node, read once and shared by all pods that ask the same."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws_sandbox.controllers.objects import labels_of, matches_expression, matches_labels, name_of, namespace_of
from lws_sandbox.controllers.objects import uid_of as _uid_of

CPU: Final = "cpu"
PODS: Final = "pods"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One term of pod affinity or anti-affinity; equal terms are one object's worth of work."""

    topology_key: str
    namespaces: frozenset[str]
    every_namespace: bool
    selector: str  # canonical JSON: terms must be hashable

    @property
    def where(self) -> frozenset[str] | None:
        """The namespaces of which it speaks; None: all."""
        return None if self.every_namespace else self.namespaces

    def matches(self, pod: PodRequest) -> bool:
        """Whether the term speaks of this pod."""
        return (self.every_namespace or pod.namespace in self.namespaces) and matches_labels(
            parsed_selector(self.selector), pod.labels
        )


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One of ``topologySpreadConstraints``; the attributes are the API's, with its defaults.

    Attributes:
        hard: DoNotSchedule; else ScheduleAnyway.
        selector: canonical JSON, with what ``matchLabelKeys`` add.
        honor_affinity: only nodes that the pod's node selector and affinity admit count.
        honor_taints: only nodes whose taints the pod tolerates count.
    """

    topology_key: str
    max_skew: int
    hard: bool
    selector: str
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PodRequest:
    """A pod as the scheduler sees it.

    Attributes:
        resources: whole units, cpu in thousandths; ``pods`` is always 1.
        placement: what decides which nodes come into question at all, as canonical JSON: equal for equal demands.
        affinity: required terms: some pod of each must be near.
        anti_affinity: required terms: no pod of any may be near.
        node_wishes: preferred node affinity as canonical JSON; empty without.
        wishes: preferred terms with their weights, those of anti-affinity below zero.
        spread: how pods like it are to be spread over domains.
    """

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    resources: Mapping[str, int]
    placement: str
    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    node_wishes: str = ""
    wishes: tuple[tuple[int, AffinityTerm], ...] = ()
    spread: tuple[SpreadConstraint, ...] = ()


def read_request(pod: JSON) -> PodRequest:
    """Read a pod's demands."""
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    placement = {
        "nodeName": spec.get("nodeName") or "",
        "nodeSelector": spec.get("nodeSelector") or {},
        "nodeAffinity": (affinity.get("nodeAffinity") or {}).get(REQUIRED),
        "tolerations": spec.get("tolerations") or [],
    }
    namespace = namespace_of(pod)
    node_wishes = (affinity.get("nodeAffinity") or {}).get(PREFERRED)
    liked, disliked = (_wishes(affinity.get(kind), namespace) for kind in ("podAffinity", "podAntiAffinity"))
    return PodRequest(
        uid=_uid_of(pod),
        namespace=namespace,
        name=name_of(pod),
        labels=labels_of(pod),
        resources=pod_resources(spec),
        placement=_canonical(placement),
        affinity=_terms(affinity.get("podAffinity"), namespace),
        anti_affinity=_terms(affinity.get("podAntiAffinity"), namespace),
        node_wishes=_canonical(node_wishes) if node_wishes else "",
        wishes=(*liked, *((-weight, term) for weight, term in disliked)),
        spread=tuple(_spread(each, labels_of(pod)) for each in spec.get("topologySpreadConstraints") or ()),
    )


def pod_resources(spec: JSON) -> dict[str, int]:
    """What the pod takes of a node: the larger of its running containers together and each moment of its start.

    Init containers that restart (sidecars) run beside all that come after them; resources of the pod itself, where
    given, stand for those of its containers.
    """
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        wanted = _container_resources(container)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, wanted)
            peak = _largest(peak, sidecars)
        else:
            peak = _largest(peak, _sum(sidecars, wanted))
    running = sidecars
    for container in spec.get("containers") or ():
        running = _sum(running, _container_resources(container))
    total = _largest(running, peak)
    total.update(_container_resources(spec))
    total = _sum(total, {name: amount(name, value) for name, value in (spec.get("overhead") or {}).items()})
    return {**total, PODS: 1}


def amount(resource: str, value: str | int | float) -> int:
    """A quantity in the units of the scheduler's cache."""
    quantity = _parse(value)
    return quantity.milli_value() if resource == CPU else quantity.value()


@functools.lru_cache(maxsize=4096)
def parsed_selector(text: str) -> JSON | None:
    """The label selector behind its canonical text."""
    found: JSON | None = orjson.loads(text)
    return found


@functools.lru_cache(maxsize=4096)
def parsed_placement(text: str) -> JSON:
    """The demands behind their canonical text."""
    found: JSON = orjson.loads(text)
    return found


def matches_node_affinity(required: JSON | None, name: str, labels: Mapping[str, str]) -> bool:
    """Whether one of the node selector terms holds; a term without requirements never does."""
    if required is None:
        return True
    return any(_matches_term(term, name, labels) for term in required.get("nodeSelectorTerms") or ())


def preference(wishes: str, name: str, labels: Mapping[str, str]) -> int:
    """The weights of the preferred node affinity terms that hold, together."""
    terms: Any = parsed_selector(wishes)
    return sum(each["weight"] for each in terms if _matches_term(each["preference"], name, labels))


def tolerates(tolerations: Iterable[JSON], taint: JSON) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(_covers(toleration, taint) for toleration in tolerations)


def _covers(toleration: JSON, taint: JSON) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def _matches_term(term: JSON, name: str, labels: Mapping[str, str]) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(matches_expression(item, labels) for item in expressions) and all(
        matches_expression(item, {"metadata.name": name}) for item in fields
    )


def _container_resources(container: JSON) -> dict[str, int]:
    """Requests, and limits where there is no request."""
    resources = container.get("resources") or {}
    wanted: dict[str, Any] = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount(name, value) for name, value in wanted.items()}


def _terms(affinity: JSON | None, namespace: str) -> tuple[AffinityTerm, ...]:
    return tuple(_term(term, namespace) for term in (affinity or {}).get(REQUIRED) or ())


def _wishes(affinity: JSON | None, namespace: str) -> list[tuple[int, AffinityTerm]]:
    found = (affinity or {}).get(PREFERRED) or ()
    return [(each["weight"], _term(each["podAffinityTerm"], namespace)) for each in found]


def _spread(constraint: JSON, labels: Mapping[str, str]) -> SpreadConstraint:
    selector = constraint.get("labelSelector")
    added = {key: labels[key] for key in constraint.get("matchLabelKeys") or () if key in labels}
    if selector is not None and added:
        expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in added.items()]
        selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *expressions]}
    return SpreadConstraint(
        topology_key=constraint["topologyKey"],
        max_skew=constraint["maxSkew"],
        hard=constraint["whenUnsatisfiable"] == "DoNotSchedule",
        selector=_canonical(selector),
        min_domains=constraint.get("minDomains") or 1,
        honor_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        honor_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


def _term(term: JSON, namespace: str) -> AffinityTerm:
    """A namespace selector picks every namespace when it is empty; others are taken by the listed names alone."""
    listed = term.get("namespaces") or []
    selector = term.get("namespaceSelector")
    every = selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
    names = frozenset(listed) if listed or selector is not None else frozenset({namespace})
    return AffinityTerm(term["topologyKey"], names, every, _canonical(term.get("labelSelector")))


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def _largest(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in {**left, **right}}


def _canonical(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@functools.lru_cache(maxsize=1024)
def _parse(value: str | int | float) -> Quantity:
    return Quantity.parse(value)

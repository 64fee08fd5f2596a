"""The metrics API (``metrics.k8s.io/v1beta1``), so that `kubectl top` answers: what pods and nodes seem to use.

Containers run nothing, so their use is made up of what they ask for: half of the CPU and three quarters of the memory
that a container requests, a limit counting where there is no request, and a trifle where there is neither. A node uses
what its running pods do, and a little for itself. The same cluster gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.apimachinery.resources import NODES, PODS, Resource
from lws.clock import Clock
from lws_sandbox.builtinresources import Builtin
from lws_sandbox.catalog import Served, generic
from lws_sandbox.controllers.objects import format_time
from lws_sandbox.kinds.resources import parse
from lws_sandbox.rest.call import Call
from lws_sandbox.rest.selectors import parse_labels
from lws_sandbox.server import ApiServer
from lws_sandbox.status import not_found, of
from lws_sandbox.storage import Storage

POD_USE: Final = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
NODE_USE: Final = Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False)
WINDOW: Final = "15s"
_IDLE: Final = {"cpu": Quantity.parse("1m"), "memory": Quantity.parse("8Mi")}  # of a container that asks for nothing
_SYSTEM: Final = {"cpu": Quantity.parse("50m"), "memory": Quantity.parse("256Mi")}  # of a node without pods
_NANO, _KIBI = -9, 1024
_SHARE: Final = {"cpu": (1, 2), "memory": (3, 4)}


def serve_usage(server: ApiServer) -> None:
    """Serve the metrics API."""
    usage = Usage(server.storage, server.clock)
    answers: dict[Resource, Callable[[Call], JSON]] = {POD_USE: usage.of_pods, NODE_USE: usage.of_nodes}
    for resource, answer in answers.items():
        key = (resource.group, resource.version, resource.plural)
        server.catalog.builtin[key] = Served(generic(Builtin(resource, verbs=("get", "list"))), (), ("get", "list"))
        server.computed[resource.group, resource.plural] = answer
    for notify in server.catalog.changed:
        notify()


class Usage:
    """Makes the answers up; see the module.

    Args:
        storage: where pods and nodes are.
        clock: stamps them.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    def of_pods(self, call: Call) -> JSON:
        """What one running pod uses, or those of a namespace, or all."""
        found = [pod for pod in self._running() if call.info.namespace in ("", pod["metadata"]["namespace"])]
        return self._answer(call, POD_USE, found, lambda pod: {"containers": list(_containers(pod))})

    def of_nodes(self, call: Call) -> JSON:
        """What one node uses, or all of them."""
        return self._answer(call, NODE_USE, self._storage.objects(str(NODES)), lambda node: {"usage": self._node(node)})

    def _running(self) -> Iterator[JSON]:
        for pod in self._storage.objects(str(PODS)):
            if (pod.get("status") or {}).get("phase") == "Running":
                yield pod

    def _node(self, node: JSON) -> JSON:
        on_it = (pod for pod in self._running() if pod["spec"].get("nodeName") == node["metadata"]["name"])
        return _written([_SYSTEM, *(_used(each) for pod in on_it for each in pod["spec"]["containers"])])

    def _answer(self, call: Call, resource: Resource, found: Iterable[JSON], use: Callable[[JSON], JSON]) -> JSON:
        now = format_time(self._clock.now())

        def place(obj: JSON) -> tuple[str, str]:
            return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

        def shown(obj: JSON) -> JSON:
            kept = {name: value for name, value in obj["metadata"].items() if name in ("name", "namespace", "labels")}
            head = {"kind": resource.kind, "apiVersion": resource.api_version}
            return {
                **head,
                "metadata": {**kept, "creationTimestamp": now},
                "timestamp": now,
                "window": WINDOW,
                **use(obj),
            }

        if call.info.name:
            for obj in found:
                if obj["metadata"]["name"] == call.info.name:
                    return shown(obj)
            raise not_found(of(resource), call.info.name)
        selector = parse_labels(call.query.text("labelSelector"))
        items = [shown(obj) for obj in sorted(found, key=place) if selector.matches(obj["metadata"].get("labels"))]
        return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}, "items": items}


def _containers(pod: JSON) -> Iterator[JSON]:
    for container in pod["spec"]["containers"]:
        yield {"name": container["name"], "usage": _written([_used(container)])}


def _used(container: JSON) -> dict[str, Quantity]:
    resources = container.get("resources") or {}
    asked = parse(resources.get("limits")) | parse(resources.get("requests"))
    return {name: asked.get(name) or idle for name, idle in _IDLE.items()} | {
        name: _part(asked[name], *share) for name, share in _SHARE.items() if asked.get(name)
    }


def _part(amount: Quantity, share: int, of_all: int) -> Quantity:
    nano = amount.scaled(_NANO) * share // of_all
    return Quantity.parse(f"{nano}n")


def _written(parts: Sequence[dict[str, Quantity]]) -> JSON:
    """As a metrics server writes them: CPU in billionths, memory in KiB."""
    cpu = sum(each["cpu"].scaled(_NANO) for each in parts)
    memory = sum(each["memory"].value() for each in parts)
    return {"cpu": f"{cpu}n", "memory": f"{memory // _KIBI}Ki"}

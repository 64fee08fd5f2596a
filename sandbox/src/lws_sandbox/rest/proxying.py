"""``proxy`` of pods and services: finds who would serve a request, as kube-apiserver does, and plays its answer.

Containers of the sandbox run nothing, so the answer is not theirs: it is JSON that says which container would have had
the request. What comes before the answer is real: ports by number or name, readiness, and who is refused, and why.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.rest import selectors
from lws_sandbox.rest.call import Call, RequestInfo
from lws_sandbox.rest.core import Core
from lws_sandbox.status import StatusError, bad_request

PODS: Final = "pods"
DEFAULT_PORT: Final = 80
SCHEMES: Final = ("", "http", "https")


async def serve_proxy(core: Core, call: Call) -> tuple[JSON, int]:
    """What the chosen container is played to answer.

    Raises:
        StatusError: 404, no such pod or service; 400, its name with scheme and port cannot be read; 503, nobody serves.
    """
    name, port = _parse(call.info)
    found = core.find(dataclasses.replace(call, info=dataclasses.replace(call.info, name=name)))
    if call.info.resource == PODS:
        return _played(call, found, _number(found, port or _first_port(found))), 200
    ready = [(each, number) for each, number in _endpoints(core, found, port) if number is not None]
    if not ready:
        raise _unavailable(f'no endpoints available for service "{name}"')
    pod, number = ready[core.random.randrange(len(ready))]
    return _played(call, pod, number), 200


def _parse(info: RequestInfo) -> tuple[str, str]:
    """Name and port of ``[scheme:]name[:port]``, as `kubectl get --raw` and `kubectl proxy` have it."""
    parts = str(info.name).split(":")
    if len(parts) == 3 and parts[0] in SCHEMES:
        return parts[1], parts[2]
    if len(parts) <= 2:
        return parts[0], parts[1] if len(parts) == 2 else ""
    raise bad_request(f'invalid {"pod" if info.resource == PODS else "service"} request "{info.name}"')


def _endpoints(core: Core, service: JSON, port: str) -> Iterator[tuple[JSON, int | None]]:
    """The ready pods behind a service, each with its number for the port asked for."""
    meta, spec = service["metadata"], service["spec"]
    served = [each for each in spec.get("ports") or () if port in ("", str(each["port"]), each.get("name"))]
    if not served or (not port and len(spec["ports"]) > 1):
        raise _unavailable(f'no service port "{port}" found for service "{meta["name"]}"')
    if not spec.get("selector"):
        return
    selector = selectors.from_object({"matchLabels": spec["selector"]})
    assert selector is not None
    target = served[0].get("targetPort") or served[0]["port"]
    for pod in core.storage.objects(PODS, meta["namespace"]):
        early = spec.get("publishNotReadyAddresses") is True
        if selector.matches(pod["metadata"].get("labels") or {}) and _address(pod) and (early or _ready(pod)):
            yield pod, _number(pod, str(target))


def _number(pod: JSON, port: str) -> int | None:
    """A port of the pod by number or by its name; None if no container has that name."""
    if re.fullmatch(r"\d+", port):
        return int(port)
    named = (each["containerPort"] for _, each in _ports(pod) if each.get("name") == port)
    return next(named, None)


def _played(call: Call, pod: JSON, port: int | None) -> JSON:
    address = _address(pod)
    container = next((name for name, each in _ports(pod) if each["containerPort"] == port), None)
    if not address or container is None or not _running(pod, container):
        raise _unavailable(
            f"error trying to reach service: dial tcp {address}:{port or DEFAULT_PORT}: connect: connection refused"
        )
    path = call.info.path.partition("/proxy")[2] or "/"
    (spec,) = (each for each in pod["spec"]["containers"] if each["name"] == container)
    return {
        "playedBy": "lws-sandbox",
        "request": f"{'POST' if call.info.verb == 'create' else 'GET'} {path}",
        "bytes": len(call.body),
        "pod": pod["metadata"]["name"],
        "node": pod["spec"].get("nodeName", ""),
        "container": container,
        "image": spec["image"],
        "address": f"{address}:{port}",
    }


def _ports(pod: JSON) -> list[tuple[str, JSON]]:
    """Every declared port with its container's name: what a played container listens on."""
    return [(each["name"], port) for each in pod["spec"]["containers"] for port in each.get("ports") or ()]


def _first_port(pod: JSON) -> str:
    return next((str(port["containerPort"]) for _, port in _ports(pod)), str(DEFAULT_PORT))


def _running(pod: JSON, container: str) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(each["name"] == container and "running" in (each.get("state") or {}) for each in statuses)


def _ready(pod: JSON) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _address(pod: JSON) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)

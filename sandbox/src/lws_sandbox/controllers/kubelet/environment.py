"""What a container finds in its environment: plain values with their references filled in, and the downward API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws_sandbox.controllers.objects import annotations_of, labels_of, name_of, namespace_of, uid_of

Lookup = Callable[[str, str], Mapping[str, str] | None]
_REFERENCE: Final = re.compile(r"\$(\$|\(([^)]*)\))")
_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def environment(pod: JSON, container: JSON, node: JSON | None, lookup: Lookup) -> dict[str, str]:
    """The variables that a container's own ``env`` and ``envFrom`` give it, in order.

    Args:
        pod: with its status.
        container: of the pod.
        node: on which it runs, for limits that default to the node's.
        lookup: ``("ConfigMap" or "Secret", name)`` to its values as text, or None.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for member, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if member in source:
                values = lookup(kind, source[member].get("name", "")) or {}
                found |= {f"{source.get('prefix', '')}{key}": value for key, value in values.items()}
    for entry in container.get("env") or ():
        value = _value(pod, container, node, entry, found, lookup)
        if value is not None:
            found[entry["name"]] = value
    return found


def expand(text: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` by its value if it is known, ``$$`` by one dollar sign, everything else as it is."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def _value(
    pod: JSON, container: JSON, node: JSON | None, entry: JSON, known: Mapping[str, str], lookup: Lookup
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value") or "", known)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return _resource(pod, container, node, source["resourceFieldRef"])
    for member, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if member in source:
            return (lookup(kind, source[member].get("name", "")) or {}).get(source[member]["key"])
    return None


def field(pod: JSON, path: str) -> str:
    """One field of the pod, as the downward API has it; empty when the pod does not have it."""
    keyed = _KEYED.fullmatch(path)
    if keyed:
        found = labels_of(pod) if keyed[1] == "labels" else annotations_of(pod)
        return found.get(keyed[2], "")
    spec, status = pod["spec"], pod.get("status") or {}
    addresses = {"status.podIPs": "podIPs", "status.hostIPs": "hostIPs"}
    if path in addresses:
        return ",".join(item["ip"] for item in status.get(addresses[path]) or ())
    values = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "metadata.labels": _pairs(labels_of(pod)),
        "metadata.annotations": _pairs(annotations_of(pod)),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
        "status.podIP": status.get("podIP"),
        "status.hostIP": status.get("hostIP"),
    }
    return str(values.get(path) or "")


def _pairs(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def _resource(pod: JSON, container: JSON, node: JSON | None, reference: JSON) -> str:
    """A request or limit in units of the divisor, rounded up; limits of cpu and memory default to the node's."""
    every = (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    name = reference.get("containerName") or container["name"]
    target = next((item for item in every if item["name"] == name), container)
    member, _, resource = reference["resource"].partition(".")
    given = ((target.get("resources") or {}).get(member) or {}).get(resource)
    if given is None and member == "limits" and node is not None:
        given = ((node.get("status") or {}).get("allocatable") or {}).get(resource)
    divisor = Quantity.parse(reference.get("divisor") or "1")
    if not divisor:
        divisor = Quantity.parse("1")
    return str(-(-Quantity.parse(given or "0").scaled(-9) // divisor.scaled(-9)))

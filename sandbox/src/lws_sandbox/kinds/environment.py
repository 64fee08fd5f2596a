"""The rules of environment variables and of references to fields of the pod."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.status import Causes

_CONVERTIBLE: Final = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
ENV_FIELDS: Final = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS: Final = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_RESOURCES: Final = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_SUBSCRIPTED: Final = re.compile(r"(.*)\['(.*)'\]")
_NO_SOURCE: Final = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)


def variables(listed: list[JSON], path: str, causes: Causes) -> None:
    """Check an ``env`` list."""
    for index, variable in enumerate(listed):
        where = f"{path}[{index}]"
        name = variable.get("name") or ""
        if not name:
            causes.required(f"{where}.name")
        for why in nameformats.env_name(name) if name else ():
            causes.invalid(f"{where}.name", name, why)
        source = variable.get("valueFrom")
        if source is not None:
            _source(source, variable.get("value") or "", f"{where}.valueFrom", causes)


def _source(source: JSON, value: str, path: str, causes: Causes) -> None:
    found = 0
    if source.get("fieldRef") is not None:
        found += 1
        field_reference(source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS, causes)
    if source.get("resourceFieldRef") is not None:
        found += 1
        resource_reference(source["resourceFieldRef"], f"{path}.resourceFieldRef", causes, volume=False)
    for member in ("configMapKeyRef", "secretKeyRef"):
        if source.get(member) is not None:
            found += 1
            _key_reference(source[member], f"{path}.{member}", causes)
    if source.get("fileKeyRef") is not None:
        found += 1
    if found == 0:
        causes.invalid(path, "", _NO_SOURCE)
    elif value:
        causes.invalid(path, "", "may not be specified when `value` is not empty")
    elif found > 1:
        causes.invalid(path, "", "may not have more than one field specified at a time")


def _key_reference(reference: JSON, path: str, causes: Causes) -> None:
    if not reference.get("name"):
        causes.required(f"{path}.name")
    key = reference.get("key") or ""
    if not key:
        causes.required(f"{path}.key")
    for why in nameformats.config_key(key) if key else ():
        causes.invalid(f"{path}.key", key, why)


def field_reference(reference: JSON, path: str, supported: Sequence[str], causes: Causes) -> None:
    """A reference to a field of the pod, such as its name."""
    field = reference.get("fieldPath") or ""
    if not reference.get("apiVersion"):
        causes.required(f"{path}.apiVersion")
        return
    if not field:
        causes.required(f"{path}.fieldPath")
        return
    subscripted = _SUBSCRIPTED.fullmatch(field)
    base = subscripted[1] if subscripted else field
    if base not in _CONVERTIBLE or (subscripted and base not in _CONVERTIBLE[:2]):
        why = f"error converting fieldPath: field label not supported: {field}"
        causes.invalid(f"{path}.fieldPath", field, why)
    elif subscripted:
        key = subscripted[2].lower() if base == "metadata.annotations" else subscripted[2]
        for why in nameformats.qualified_name(key):
            causes.invalid(path, key, why)
    elif field not in supported:
        causes.not_supported(f"{path}.fieldPath", field, list(supported))


def resource_reference(reference: JSON, path: str, causes: Causes, *, volume: bool) -> None:
    """A reference to a container's resources."""
    if volume and not reference.get("containerName"):
        causes.required(f"{path}.containerName")
        return
    resource = reference.get("resource") or ""
    if not resource:
        causes.required(f"{path}.resource")
    elif resource not in _RESOURCES and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        causes.not_supported(f"{path}.resource", resource, _RESOURCES)


def sources(listed: list[JSON], path: str, causes: Causes) -> None:
    """Check an ``envFrom`` list."""
    for index, source in enumerate(listed):
        where = f"{path}[{index}]"
        prefix = source.get("prefix") or ""
        for why in nameformats.env_name(prefix) if prefix else ():
            causes.invalid(f"{where}.prefix", prefix, why)
        found = [member for member in ("configMapRef", "secretRef") if source.get(member) is not None]
        for member in found:
            if not source[member].get("name"):
                causes.required(f"{where}.{member}.name")
        if not found:
            causes.invalid(where, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(found) > 1:
            causes.invalid(where, "", "may not have more than one field specified at a time")

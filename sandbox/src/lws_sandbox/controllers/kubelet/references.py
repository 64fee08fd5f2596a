"""What a pod refers to and is not there: ConfigMaps, Secrets and claims, in the kubelet's words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import namespace_of

Lookup = Callable[[str, str], JSON | None]  # ("ConfigMap", "Secret" or "PersistentVolumeClaim", name) -> the object
_NAMED: Final = {"ConfigMap": "configmap", "Secret": "secret"}


def config_error(pod: JSON, container: JSON, lookup: Lookup) -> str:
    """Why a container's environment cannot be made (``CreateContainerConfigError``); empty if it can."""
    for source in container.get("envFrom") or ():
        for member, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            reference = source.get(member)
            if reference and not reference.get("optional") and lookup(kind, reference.get("name", "")) is None:
                return _missing(kind, reference)
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        for member, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            reference = source.get(member)
            if not reference or reference.get("optional"):
                continue
            found = lookup(kind, reference.get("name", ""))
            if found is None:
                return _missing(kind, reference)
            if reference["key"] not in (found.get("data") or {}):
                where = f"{namespace_of(pod)}/{reference.get('name', '')}"
                return f"couldn't find key {reference['key']} in {kind} {where}"
    return ""


def mount_error(pod: JSON, lookup: Lookup) -> str:
    """The message of the ``FailedMount`` event of a volume that cannot be mounted; empty if all can."""
    for volume in pod["spec"].get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and (error := _claim_error(pod, claim, lookup)):
            name = volume["name"]
            lists = f"unmounted volumes=[{name}], unattached volumes=[], failed to process volumes=[{name}]"
            return f"Unable to attach or mount volumes: {lists}: {error}"
        for kind, source in _sources(volume):
            if error := _source_error(kind, source, lookup):
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
    return ""


def _claim_error(pod: JSON, name: str, lookup: Lookup) -> str:
    where = f"error processing PVC {namespace_of(pod)}/{name}"
    found = lookup("PersistentVolumeClaim", name)
    if found is None:
        return f'{where}: failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
    if (found.get("status") or {}).get("phase") != "Bound":
        return f"{where}: PVC is not bound"
    return ""


def _sources(volume: JSON) -> Iterator[tuple[str, JSON]]:
    """The ConfigMaps and Secrets behind a volume, projected ones included."""
    if volume.get("configMap"):
        yield "ConfigMap", volume["configMap"]
    if volume.get("secret"):
        yield "Secret", {**volume["secret"], "name": volume["secret"].get("secretName", "")}
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("configMap"):
            yield "ConfigMap", source["configMap"]
        if source.get("secret"):
            yield "Secret", source["secret"]


def _source_error(kind: str, source: JSON, lookup: Lookup) -> str:
    if source.get("optional"):
        return ""
    found = lookup(kind, source.get("name", ""))
    if found is None:
        return _missing(kind, source)
    keys = {*(found.get("data") or {}), *(found.get("binaryData") or {})}
    absent = next((item["key"] for item in source.get("items") or () if item["key"] not in keys), None)
    return (
        ""
        if absent is None
        else f"references non-existent {'config' if kind == 'ConfigMap' else 'secret'} key: {absent}"
    )


def _missing(kind: str, reference: JSON) -> str:
    return f'{_NAMED[kind]} "{reference.get("name", "")}" not found'


def values_of(kind: str, obj: JSON) -> dict[str, str]:
    """The values of a ConfigMap or a Secret as text."""
    data: dict[str, str] = obj.get("data") or {}
    return dict(data) if kind == "ConfigMap" else {key: _decoded(value) for key, value in data.items()}


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode(errors="replace")
    except binascii.Error:
        return value

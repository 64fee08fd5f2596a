"""The standard rules for an object's metadata, in the words of k8s.io/apimachinery `api/validation` (spec 3.2, rule 1).

Each failure is one entry ``<path>: <what is wrong>``. Labels and annotations are judged in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.gotext import encoded, quoted
from lws.apimachinery.manifests import JSON

NameRule = Callable[[str], list[str]]

ANNOTATIONS_LIMIT: Final = 256 * 1024
_OWNER_MEMBERS: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_MANAGER_LIMIT: Final = 128
_SUBRESOURCE_LIMIT: Final = 256


def validate(metadata: JSON, name_rule: NameRule) -> list[str]:
    """What is wrong with the metadata of a namespaced object."""
    return list(_validate(metadata, name_rule))


def _validate(metadata: JSON, name_rule: NameRule) -> Iterator[str]:
    prefix, name = _text(metadata.get("generateName")), _text(metadata.get("name"))
    if prefix:
        for why in name_rule(nameformats.mask_trailing_dash(prefix)):
            yield f"metadata.generateName: Invalid value: {quoted(prefix)}: {why}"
    if not name:
        yield "metadata.name: Required value: name or generateName is required"
    else:
        for why in name_rule(name):
            yield f"metadata.name: Invalid value: {quoted(name)}: {why}"
    namespace = _text(metadata.get("namespace"))
    if not namespace:
        yield "metadata.namespace: Required value"
    else:
        for why in nameformats.dns_label(namespace):
            yield f"metadata.namespace: Invalid value: {quoted(namespace)}: {why}"
    generation = metadata.get("generation")
    if isinstance(generation, int) and generation < 0:
        yield f"metadata.generation: Invalid value: {generation}: must be greater than or equal to 0"
    yield from _labels(_map(metadata.get("labels")))
    yield from _annotations(_map(metadata.get("annotations")))
    yield from _owners(_objects(metadata.get("ownerReferences")))
    yield from _finalizers(metadata.get("finalizers"))
    yield from _managers(_objects(metadata.get("managedFields")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _map(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JSON]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _labels(labels: JSON) -> Iterator[str]:
    for key, value in sorted(labels.items()):
        for why in nameformats.qualified_name(key):
            yield f"metadata.labels: Invalid value: {quoted(key)}: {why}"
        for why in nameformats.label_value(_text(value)):
            yield f"metadata.labels: Invalid value: {quoted(_text(value))}: {why}"


def _annotations(annotations: JSON) -> Iterator[str]:
    for key in sorted(annotations):
        for why in nameformats.qualified_name(key.lower()):
            yield f"metadata.annotations: Invalid value: {quoted(key)}: {why}"
    if sum(len(key.encode()) + len(_text(value).encode()) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        yield f"metadata.annotations: Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"


def _owners(owners: list[JSON]) -> Iterator[str]:
    path = "metadata.ownerReferences"
    first = ""
    for owner in owners:
        version = _text(owner.get("apiVersion"))
        if not _version(version):
            yield f"{path}.apiVersion: Invalid value: {quoted(version)}: version must not be empty"
        for member in ("kind", "name", "uid"):
            if not owner.get(member):
                yield f'{path}.{member}: Invalid value: "": must not be empty'
        if (version, owner.get("kind")) == ("v1", "Event"):
            yield f"{path}: Invalid value: {_owner(owner)}: /v1, Kind=Event is disallowed from being an owner"
        if owner.get("controller") is True:
            this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if first:
                shown = "[" + ",".join(_owner(each) for each in owners) + "]"
                why = "Only one reference can have Controller set to true."
                yield f'{path}: Invalid value: {shown}: {why} Found "true" in references for {first} and {this}'
            else:
                first = this


def _version(api_version: str) -> str:
    """The version part; empty when the text is not ``group/version``."""
    if api_version.count("/") > 1:
        return ""
    return api_version.rpartition("/")[2]


def _owner(owner: JSON) -> str:
    """An owner as Go prints its struct: members in order, identity always there."""
    shown = {member: owner.get(member, "") for member in _OWNER_MEMBERS[:4]}
    shown |= {member: owner[member] for member in _OWNER_MEMBERS[4:] if owner.get(member) is not None}
    return encoded(shown, sort_keys=False)


def _finalizers(value: Any) -> Iterator[str]:
    path = "metadata.finalizers"
    finalizers = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    for finalizer in finalizers:
        for why in nameformats.qualified_name(finalizer):
            yield f"{path}: Invalid value: {quoted(finalizer)}: {why}"
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        yield f"{path}: Invalid value: {encoded(finalizers)}: {why}"


def _managers(entries: list[JSON]) -> Iterator[str]:
    for index, entry in enumerate(entries):
        path = f"metadata.managedFields[{index}]"
        operation = _text(entry.get("operation"))
        if not operation:
            yield f"{path}.operation: Required value: must not be empty"
        elif operation not in ("Apply", "Update"):
            yield f'{path}.operation: Unsupported value: {quoted(operation)}: supported values: "Apply", "Update"'
        kind = _text(entry.get("fieldsType"))
        if kind and kind != "FieldsV1":
            yield f"{path}.fieldsType: Invalid value: {quoted(kind)}: must be `FieldsV1`"
        if len(_text(entry.get("manager")).encode()) > _MANAGER_LIMIT:
            yield f"{path}.manager: Too long: may not be more than {_MANAGER_LIMIT} bytes"
        if len(_text(entry.get("subresource")).encode()) > _SUBRESOURCE_LIMIT:
            yield f"{path}.subresource: Too long: may not be more than {_SUBRESOURCE_LIMIT} bytes"

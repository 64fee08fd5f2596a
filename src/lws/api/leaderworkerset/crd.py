"""The CustomResourceDefinition, made from the models of `lws.api.leaderworkerset.types` (spec 2).

Beside the reference's own manifest it differs in descriptions, in the Kubernetes version of the embedded
schemas, and in one annotation: `controller-gen.kubebuilder.io/version` is not written, no controller-gen
having run.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from lws.api import schemas
from lws.api.fields import JSON, Core, Shape
from lws.api.leaderworkerset.types import CONDITION, GROUP, KIND, VERSION, LeaderWorkerSet, LeaderWorkerSetStatus, Model

PLURAL: Final = "leaderworkersets"
NAME: Final = f"{PLURAL}.{GROUP}"

_TYPE_META: Final[JSON] = {
    "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
    "kind": {"type": "string", "description": f"{KIND}."},
    "metadata": {"type": "object"},
}
_COLUMNS: Final = (
    ("Ready", "integer", ".status.readyReplicas", "Number of ready replicas"),
    ("Desired", "integer", ".spec.replicas", "Number of desired replicas"),
    ("Up-to-date", "integer", ".status.updatedReplicas", "Number of up-to-date replicas"),
    ("Age", "date", ".metadata.creationTimestamp", ""),
)


def manifest() -> JSON:
    """The CustomResourceDefinition, ready to be applied to a server."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "shortNames": ["lws"],
                "singular": KIND.lower(),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "name": VERSION,
                    "schema": {"openAPIV3Schema": schemas.expand(schema(), schemas.definitions())},
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "scale": {
                            "labelSelectorPath": ".status.hpaPodSelector",
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                        },
                        "status": {},
                    },
                }
            ],
        },
    }


def schema() -> JSON:
    """The schema of a LeaderWorkerSet; what Kubernetes publishes stays a reference (`lws.api.schemas`)."""
    described = {"description": "A set of groups, each of one leader pod and its workers.", "type": "object"}
    parts = {name: struct(model, text) for name, model, text in _parts()}
    return described | {"properties": _TYPE_META | parts}


def struct(model: type[Model], description: str = "") -> JSON:
    """The schema of one model."""
    properties: JSON = {}
    for name, field in model.model_fields.items():
        properties[field.alias or name] = _field(model, name, field)
    out: JSON = {"description": description} if description else {}
    out |= {"type": "object", "properties": dict(sorted(properties.items()))}
    return out | ({"required": sorted(model.required)} if model.required else {})


def _parts() -> Iterator[tuple[str, type[Model], str]]:
    for name in ("spec", "status"):
        field = LeaderWorkerSet.model_fields[name]
        yield name, _model_of(field.annotation), field.description or ""


def _field(model: type[Model], name: str, field: FieldInfo) -> JSON:
    described = {"description": field.description} if field.description else {}
    marker = next(_markers(field), None)
    if isinstance(marker, Shape):
        default = {} if marker.default is None else {"default": marker.default}
        return described | marker.schema | default
    if isinstance(marker, Core):
        reference: JSON = {"$ref": marker.definition}
        return described | ({"type": "array", "items": reference} if marker.listed else reference)
    if model is LeaderWorkerSetStatus and name == "conditions":
        keys = {"x-kubernetes-list-map-keys": ["type"], "x-kubernetes-list-type": "map"}
        return described | {"type": "array", "items": CONDITION} | keys
    return struct(_model_of(field.annotation), field.description or "")


def _markers(field: FieldInfo) -> Iterator[Any]:
    candidates = [*field.metadata]
    for option in (field.annotation, *typing.get_args(field.annotation)):
        candidates += getattr(option, "__metadata__", ())
    yield from (marker for marker in candidates if isinstance(marker, Shape | Core))


def _model_of(annotation: Any) -> type[Model]:
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    found: type[Model] = next(option for option in options if option is not type(None))
    return found


def _column(name: str, kind: str, path: str, description: str) -> JSON:
    described = {"description": description} if description else {}
    return described | {"jsonPath": path, "name": name, "type": kind}

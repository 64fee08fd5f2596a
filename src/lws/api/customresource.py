"""What our custom resources share: models that parse objects, and the CustomResourceDefinitions made from them.

A field's annotations say both what a value is in Python and how the definition describes it (`lws.api.fields`); a
model adds which members are required, and rules between them in CEL. What Kubernetes publishes, such as a pod
template, stays a reference until the manifest is written (`lws.api.schemas`).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from lws.api import schemas
from lws.api.fields import Core, Keyed, Listed, Shape
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.apimachinery.resources import Resource

# metav1.Condition with the limits that its Go type declares.
CONDITION: Final[JSON] = {
    "type": "object",
    "required": ["lastTransitionTime", "message", "reason", "status", "type"],
    "properties": {
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "message": {"type": "string", "maxLength": 32768},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "type": {
            "type": "string",
            "maxLength": 316,
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
    },
}


class Model(BaseModel):
    """A part of an API: frozen, camel case on the wire, unknown members ignored, null read as absent.

    ``required`` names members that the schema requires, ``rules`` gives CEL rules with their messages.
    """

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        arbitrary_types_allowed=True,
    )
    required: ClassVar[tuple[str, ...]] = ()
    rules: ClassVar[tuple[tuple[str, str], ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Null members are absent."""
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data


def _read_conditions(value: object) -> tuple[Condition, ...]:
    """Conditions are read as every cached object reads them."""
    return msgspec.convert(value or (), tuple[Condition, ...])


Conditions: TypeAlias = Annotated[
    tuple[Condition, ...], Keyed("type", items=CONDITION), BeforeValidator(_read_conditions)
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that `kubectl get` prints, a wide one only with ``-o wide``."""

    name: str
    type: str
    path: str
    description: str = ""
    wide: bool = False

    def manifest(self) -> JSON:
        """The column as a definition lists it."""
        described = {"description": self.description} if self.description else {}
        rank = {"priority": 1} if self.wide else {}
        return described | {"jsonPath": self.path, "name": self.name, "type": self.type} | rank


AGE = Column("Age", "date", ".metadata.creationTimestamp")


@dataclass(frozen=True, slots=True)
class CustomResource:
    """One kind of an API, with a status.

    Attributes:
        resource: its names.
        model: the whole object; its fields ``spec`` and ``status`` are described.
        description: one sentence for `kubectl explain`.
        short_names: aliases for kubectl.
        columns: what `kubectl get` prints.
        scale: the paths of the scale subresource; None when there is none.
    """

    resource: Resource
    model: type[Model]
    description: str
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    scale: JSON | None = None

    @property
    def name(self) -> str:
        """Name of the definition."""
        return str(self.resource)

    def manifest(self) -> JSON:
        """The CustomResourceDefinition, ready to be applied to a server."""
        kind = self.resource.kind
        names: JSON = {
            "kind": kind,
            "listKind": f"{kind}List",
            "plural": self.resource.plural,
            "singular": kind.lower(),
        }
        if self.short_names:
            names["shortNames"] = list(self.short_names)
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.resource.group,
                "names": names,
                "scope": "Namespaced" if self.resource.namespaced else "Cluster",
                "versions": [self._version()],
            },
        }

    def schema(self) -> JSON:
        """The schema of an object, with references to what Kubernetes publishes."""
        type_meta = {
            "apiVersion": {"type": "string", "description": f"{self.resource.api_version}."},
            "kind": {"type": "string", "description": f"{self.resource.kind}."},
            "metadata": {"type": "object"},
        }
        parts = {name: struct(model, text) for name, model, text in self._parts()}
        out = {"description": self.description, "type": "object", "properties": type_meta | parts}
        return out | _demands(self.model)

    def _version(self) -> JSON:
        subresources: JSON = {"status": {}}
        if self.scale is not None:
            subresources["scale"] = self.scale
        version = {
            "name": self.resource.version,
            "schema": {"openAPIV3Schema": schemas.expand(self.schema(), schemas.definitions())},
            "served": True,
            "storage": True,
            "subresources": subresources,
        }
        columns = [column.manifest() for column in self.columns]
        return version | ({"additionalPrinterColumns": columns} if columns else {})

    def _parts(self) -> Iterator[tuple[str, type[Model], str]]:
        for name in ("spec", "status"):
            field = self.model.model_fields[name]
            yield name, _model_of(field.annotation), field.description or ""


def struct(model: type[Model], description: str = "") -> JSON:
    """The schema of one model."""
    fields = {field.alias or name: field for name, field in model.model_fields.items() if not field.exclude}
    properties: JSON = {name: _field(field) for name, field in fields.items()}
    out: JSON = {"description": description} if description else {}
    out["type"] = "object"
    if properties:  # the API server keeps no empty ones, and would find a conflict in every apply
        out["properties"] = dict(sorted(properties.items()))
    return out | _demands(model)


def _demands(model: type[Model]) -> JSON:
    """What a model requires of its members, alone and among each other."""
    out: JSON = {"required": sorted(model.required)} if model.required else {}
    if model.rules:
        out["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in model.rules]
    return out


def _field(field: FieldInfo) -> JSON:
    described: JSON = {"description": field.description} if field.description else {}
    match next(_markers(field), None):
        case Shape(schema, default):
            return described | schema | ({} if default is None else {"default": default})
        case Core(definition, listed, atomic):
            reference: JSON = {"$ref": definition}
            listing = {"type": "array", "items": reference} | ({"x-kubernetes-list-type": "atomic"} if atomic else {})
            return described | (listing if listed else reference)
        case Keyed(key, limits, items):
            keys = {"x-kubernetes-list-map-keys": [key], "x-kubernetes-list-type": "map"}
            entries = struct(_model_of(field.annotation)) if items is None else items
            return described | {"type": "array", "items": entries} | limits | keys
        case Listed(limits):
            entries = struct(_model_of(field.annotation))
            return described | {"type": "array", "items": entries} | limits | {"x-kubernetes-list-type": "atomic"}
    return struct(_model_of(field.annotation), field.description or "")


def _markers(field: FieldInfo) -> Iterator[Any]:
    candidates = [*field.metadata]
    for option in (field.annotation, *typing.get_args(field.annotation)):
        candidates += getattr(option, "__metadata__", ())
    yield from (marker for marker in candidates if isinstance(marker, Shape | Core | Keyed | Listed))


def _model_of(annotation: Any) -> type[Model]:
    """The model that a field holds: alone, optional, or in a tuple."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    options = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else options
    found: type[Model] = next(option for option in options if option not in (type(None), Ellipsis))
    return found


def read(source: bytes | str | JSON) -> tuple[JSON, ObjectMeta]:
    """An object from the wire, or parsed before: its JSON, and its metadata.

    Raises:
        ValueError: not JSON, or metadata of the wrong type.
    """
    try:
        parsed = msgspec.json.decode(source, type=JSON) if isinstance(source, bytes | str) else source
        return parsed, msgspec.convert(parsed.get("metadata") or {}, ObjectMeta)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error

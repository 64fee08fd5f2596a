"""How objects of a custom kind are read, written and refused: one strategy for each served version of a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.catalog import priority
from lws_sandbox.copying import copied
from lws_sandbox.crd.definitionrules import condition
from lws_sandbox.crd.internal import internal
from lws_sandbox.crd.jsonpath import JsonPath
from lws_sandbox.crd.printing import Printer
from lws_sandbox.crd.scaling import scale_spec, scale_status
from lws_sandbox.schema import Schema, pruning
from lws_sandbox.schema.goprint import go_print
from lws_sandbox.schema.validation import validate_rest, validate_schema
from lws_sandbox.status import Cause, Causes, StatusError
from lws_sandbox.strategy import GenericStrategy, ScalePaths, WriteContext

Gone = Callable[[], None]

CACHED: Final = 10_000  # objects of other schemas that are remembered as read


class CustomStrategy(GenericStrategy):
    """A version of a custom kind.

    Args:
        crd: the definition, whose names are accepted.
        version: the entry of ``spec.versions``.
        schemas: of all versions, by apiVersion.
        since: the store's revision from which on objects are written by this schema.
        gone: called after an object was removed.
    """

    def __init__(self, crd: JSON, version: JSON, schemas: Mapping[str, Schema], *, since: int, gone: Gone) -> None:
        spec = internal(crd["spec"])
        accepted = (crd.get("status") or {}).get("acceptedNames") or {}
        surfaces = spec.of_version(version, "subresources") or {}
        declared = (spec.of_version(version, "schema") or {}).get("openAPIV3Schema") or {}
        group, name = crd["spec"]["group"], version["name"]
        namespaced = crd["spec"].get("scope") == "Namespaced"
        resource = Resource(group, name, accepted["plural"], accepted["kind"], namespaced=namespaced)
        printer = Printer(spec.of_version(version, "additionalPrinterColumns") or [])
        selectable = spec.of_version(version, "selectableFields") or []
        super().__init__(
            resource,
            **_names(accepted),
            storage_key=storage_key(crd),
            schema=schemas[resource.api_version],
            custom=True,
            has_status=surfaces.get("status") is not None,
            scale=_scale_paths(surfaces.get("scale")),
            generation=True,
            unconditional_update=False,
            columns=printer.columns,
            deprecation=deprecation(crd, version),
            selectable=frozenset(field["jsonPath"].removeprefix(".") for field in selectable),
        )
        self._scale: JSON | None = surfaces.get("scale")
        self._declared = declared
        self._printer = printer
        self._fields = {path: JsonPath(f".{path}") for path in self.selectable}
        self._storage = f"{group}/{storage_version(crd)}"
        self._schemas = schemas
        self._alone = len(crd["spec"]["versions"]) == 1
        self._since = since
        self._terminating = condition(crd, "Terminating").get("status") == "True"
        self._gone = gone
        self._read: dict[str, JSON] = {}

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """The cells of the declared columns."""
        return self._printer.row(obj, now)

    def read(self, stored: JSON) -> JSON:
        """In this version: completed by the schema of the stored version as it is now, and pruned by that of this."""
        meta = stored["metadata"]
        version = meta["resourceVersion"]
        if self._alone and int(version) > self._since:
            return stored
        found = self._read.get(meta["uid"])
        if found is None or found["metadata"]["resourceVersion"] != version:
            found = self._brought_up(stored)
            if len(self._read) >= CACHED:
                self._read.clear()
            self._read[meta["uid"]] = found
        return found

    def _brought_up(self, stored: JSON) -> JSON:
        obj = copied(stored)
        schema = self._schemas.get(stored["apiVersion"], self.schema)
        schema.prune(obj)
        schema.default(obj)
        pruning.drop_nulls(obj, schema.root)
        self._converted(obj, self.resource.api_version)
        return stored if obj == stored else obj

    def write(self, obj: JSON) -> JSON:
        """In the storage version."""
        return obj if obj.get("apiVersion") == self._storage else self._converted(copied(obj), self._storage)

    def _converted(self, obj: JSON, api_version: str) -> JSON:
        """The object in another version: without conversion the ``apiVersion`` changes, and unknown fields go."""
        if obj.get("apiVersion") != api_version:
            obj["apiVersion"] = api_version
            self._schemas[api_version].prune(obj)
        return obj

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """Nothing is created while the definition is on its way out.

        Raises:
            StatusError: 405.
        """
        if self._terminating and new is not None and old is None:
            why = "create not allowed while custom resource definition is terminating"
            details = {"group": self.resource.group, "kind": self.resource.plural}
            raise StatusError(405, "MethodNotAllowed", why, details=details)
        return super().admit(new, old, context)

    def validate_create(self, obj: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002 -- the protocol's
        """The schema, the numbers of scale, and the rules."""
        return self._validate(obj, None)

    def validate_update(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """As for a creation; what breaks the schema already may stay as it is."""
        return self._validate(new, old)

    def _validate(self, obj: JSON, old: JSON | None) -> list[Cause]:
        causes = self._type(obj)
        if causes:
            return causes
        causes = [below(cause, "") for cause in validate_schema(self.schema.root.raw, obj, "", old)]
        if self._scale is not None:
            causes += [*scale_spec(obj, self._scale), *scale_status(obj, self._scale)]
        return causes + validate_rest(self.schema.root, obj, old, causes)

    def validate_status(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """The schema of the status alone, its number of scale, and all rules."""
        causes: list[Cause] = []
        declared = (self._declared.get("properties") or {}).get("status")
        if "status" in new and declared is not None:
            found = validate_schema(declared, new["status"], "", old.get("status"))
            causes += [below(cause, "status") for cause in found]
        if self._scale is not None:
            causes += scale_status(new, self._scale)
        return causes + validate_rest(self.schema.root, new, old, causes, status=True)

    def _type(self, obj: JSON) -> list[Cause]:
        causes, resource = Causes(), self.resource
        if obj.get("kind") != resource.kind:
            causes.invalid("kind", obj.get("kind") or "", f"must be {resource.kind}")
        if obj.get("apiVersion") != resource.api_version:
            causes.invalid("apiVersion", obj.get("apiVersion") or "", f"must be {resource.api_version}")
        return causes.found

    def selectable_fields(self, obj: JSON) -> Mapping[str, str]:
        """The declared fields; a missing one is empty."""
        found = {path: where.find(obj) for path, where in self._fields.items()}
        return {path: go_print(values[0]) if values else "" for path, values in found.items()}

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """With a status subresource the object leaves the status alone, and the status all the rest."""
        if not self.has_status:
            return ()
        return ("metadata", "spec") if subresource == "status" else ("status",)

    def stored(self, new: JSON | None, old: JSON | None) -> None:
        """Forgets what is gone, and tells of it."""
        if new is None and old is not None:
            self._read.pop(old["metadata"]["uid"], None)
            self._gone()


def below(cause: Cause, path: str) -> Cause:
    """A cause, its field told from further up; that of a whole object has no path at all."""
    return replace(cause, field=".".join(part for part in (path, cause.field) if part) or "<nil>")


def _names(accepted: JSON) -> dict[str, Any]:
    """The accepted names, as a strategy calls them."""
    return {
        "singular": accepted.get("singular") or "",
        "short_names": tuple(accepted.get("shortNames") or ()),
        "categories": tuple(accepted.get("categories") or ()),
        "list_kind": accepted.get("listKind") or "",
    }


def _scale_paths(declared: JSON | None) -> ScalePaths | None:
    if declared is None:
        return None
    selector = declared.get("labelSelectorPath")
    return ScalePaths(
        declared["specReplicasPath"].removeprefix("."),
        declared["statusReplicasPath"].removeprefix("."),
        selector.removeprefix(".") if selector else None,
    )


def schemas(crd: JSON) -> dict[str, Schema]:
    """The schemas of all versions of a definition, by apiVersion."""
    spec = internal(crd["spec"])
    found: dict[str, Schema] = {}
    for version in crd["spec"]["versions"]:
        declared = (spec.of_version(version, "schema") or {}).get("openAPIV3Schema")
        api_version, kind = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
        found[api_version] = Schema.of_custom(api_version, kind, declared, preserve_unknown=spec.preserve)
    return found


def storage_key(crd: JSON) -> str:
    """Where objects of a definition are stored: ``plural.group``."""
    return f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"


def storage_version(crd: JSON) -> str:
    """The version in which objects are stored."""
    return next(str(version["name"]) for version in crd["spec"]["versions"] if version.get("storage"))


def deprecation(crd: JSON, version: JSON) -> str:
    """The warning for whoever uses a deprecated version; empty for any other version."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    better = [
        other["name"]
        for other in crd["spec"]["versions"]
        if other.get("served") and not other.get("deprecated") and priority(other["name"]) < priority(version["name"])
    ]
    return f"{text}; use {group}/{min(better, key=priority)} {kind}" if better else text

"""How CustomResourceDefinitions are read, written and refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws_sandbox.crd import definitionrules
from lws_sandbox.crd.strategy import storage_version
from lws_sandbox.rest.metadata import timestamp
from lws_sandbox.schema import builtin_schema, formats
from lws_sandbox.status import Cause
from lws_sandbox.strategy import AGE, NAME, Column, GenericStrategy, WriteContext

Stored = Callable[[JSON | None, JSON | None], None]

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
_CREATED: Final = Column("Created At", "date", description=AGE.description)


class DefinitionStrategy(GenericStrategy):
    """CustomResourceDefinitions of apiextensions.k8s.io/v1.

    Args:
        stored: called after each change that was stored: the life of a definition goes on from there.
    """

    def __init__(self, stored: Stored) -> None:
        resource = CUSTOMRESOURCEDEFINITIONS
        super().__init__(
            resource,
            short_names=("crd", "crds"),
            categories=("api-extensions",),
            schema=builtin_schema(resource.api_version, resource.kind),
            has_status=True,
            generation=True,
            unconditional_update=False,
            columns=(NAME, _CREATED),
        )
        self._stored = stored

    def row(self, obj: JSON, now: datetime) -> list[Any]:  # noqa: ARG002 -- the protocol's
        """Name and time of creation."""
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]

    def default(self, obj: JSON) -> None:
        """Names that follow from the kind, and no conversion."""
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        kind = names.get("kind") or ""
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind") and kind:
            names["listKind"] = f"{kind}List"
        conversion = spec.setdefault("conversion", {"strategy": "None"})
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """A new definition has accepted no names yet, and stores in one version."""
        status: JSON = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
        obj["status"] = status
        self._remember_version(obj)

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """The status stays, but for a new storage version."""
        super().prepare_update(new, old, context)
        self._remember_version(new)

    @staticmethod
    def _remember_version(crd: JSON) -> None:
        if not any(version.get("storage") for version in crd["spec"].get("versions") or []):
            return
        status, version = crd.get("status") or {}, storage_version(crd)
        if version not in (status.get("storedVersions") or []):
            crd["status"] = {**status, "storedVersions": [*(status.get("storedVersions") or []), version]}

    def prepare_status(self, new: JSON, old: JSON, context: WriteContext) -> None:  # noqa: ARG002
        """The spec stays; metadata may change with the status."""
        new["spec"] = old["spec"]

    def validate_create(self, obj: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002 -- the protocol's
        """What a real server refuses."""
        return definitionrules.validate_new(obj)

    def validate_update(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """What a real server refuses; some of it only once the definition is established."""
        return definitionrules.validate_change(new, old)

    def validate_status(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """The accepted names."""
        return definitionrules.validate_status(new)

    def warnings(self, obj: JSON, old: JSON | None) -> list[str]:
        """Formats that nobody knows, told when they come in."""
        before = _formats_of(old) if old is not None else {}
        return [f'unrecognized format "{name}"' for name in _formats_of(obj) if name not in before]

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """The object leaves the status alone, the status the spec; metadata may come with either."""
        return ("spec",) if subresource == "status" else ("status",)

    def begin_deletion(self, live: JSON, now: datetime) -> JSON | None:
        """A first deletion marks the definition; its objects go before it does."""
        if live["metadata"].get("deletionTimestamp"):
            return None
        finalizers = live["metadata"].get("finalizers") or []
        meta = {**live["metadata"], "deletionTimestamp": timestamp(now)}
        meta["finalizers"] = finalizers if CLEANUP in finalizers else [*finalizers, CLEANUP]
        why = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        return with_condition({**live, "metadata": meta}, "Terminating", "True", "InstanceDeletionPending", why, now)

    def stored(self, new: JSON | None, old: JSON | None) -> None:
        """The life of the definition goes on."""
        self._stored(new, old)


def _formats_of(crd: JSON) -> dict[str, None]:
    """Formats in the schemas of a definition that are not known, in order."""
    found: dict[str, None] = {}
    for version in crd["spec"].get("versions") or []:
        _formats((version.get("schema") or {}).get("openAPIV3Schema"), found)
    return found


def _formats(schema: Any, found: dict[str, None]) -> None:
    if isinstance(schema, list):
        for item in schema:
            _formats(item, found)
    if not isinstance(schema, dict):
        return
    name = schema.get("format")
    if isinstance(name, str) and name and not formats.supported(name, schema.get("type") or ""):
        found[name] = None
    for member in ("items", "allOf", "oneOf", "anyOf", "not", "additionalProperties"):
        _formats(schema.get(member), found)
    for below in (schema.get("properties") or {}).values():
        _formats(below, found)


def with_condition(crd: JSON, kind: str, status: str, reason: str, message: str, now: datetime) -> JSON:
    """A definition with a condition written: its time is kept while its status stays."""
    conditions = [dict(found) for found in (crd.get("status") or {}).get("conditions") or []]
    new = {"type": kind, "status": status, "lastTransitionTime": timestamp(now), "reason": reason, "message": message}
    for found in conditions:
        if found["type"] == kind:
            if found["status"] == status and found.get("lastTransitionTime"):
                new["lastTransitionTime"] = found["lastTransitionTime"]
            found.update(new)
            break
    else:
        conditions.append(new)
    return {**crd, "status": {**(crd.get("status") or {}), "conditions": conditions}}

"""Bodies, patches and ownership of fields: `schema`, `patching` and `managedfields`, as the handlers use them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox import managedfields, patching
from lws_sandbox.catalog import Catalog
from lws_sandbox.rest.call import Call
from lws_sandbox.schema import Schema, builtin_schema, decode, yamltext
from lws_sandbox.schema.decoding import check_version, decode_applied
from lws_sandbox.schema.gojson import JsonError, loads
from lws_sandbox.status import bad_request
from lws_sandbox.strategy import Strategy

_OPTIONS_SCHEME: Final = 'in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'


class SchemaCodec:
    """Reads bodies and patches by the schema of the kind."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._others: dict[tuple[str, str], dict[str, Schema]] = {}
        catalog.changed.append(self._others.clear)

    def decode(self, call: Call, strategy: Strategy, field_validation: str) -> tuple[JSON, list[str]]:
        """The object in the body, and warnings.

        Raises:
            StatusError: it cannot be read, or is of another version.
        """
        schema = schema_of(strategy)
        media = call.headers.get("content-type", "")
        obj, warnings = decode(call.body, media, schema, field_validation)
        try:
            check_version(obj, schema)
        except Exception as error:
            if hasattr(error, "warnings"):
                error.warnings = tuple(warnings)
            raise
        return obj, warnings

    def patch(self, call: Call, live: JSON, strategy: Strategy, field_validation: str) -> tuple[JSON, list[str]]:
        """``live`` with the patch in the body applied, and warnings.

        Raises:
            StatusError: it cannot be read or does not apply.
        """
        schema = schema_of(strategy)
        return patching.apply_patch(call.headers.get("content-type", ""), live, call.body, schema, field_validation)

    def apply(
        self,
        live: JSON | None,
        applied: JSON,
        strategy: Strategy,
        *,
        manager: str,
        force: bool,
        subresource: str,
        now: datetime,
    ) -> JSON:
        """Server-side apply, managedFields and all.

        Raises:
            StatusError: 409, others own fields.
        """
        merged = managedfields.server_side_apply(
            live,
            applied,
            manager=manager,
            force=force,
            subresource=subresource,
            schema=schema_of(strategy),
            now=now,
            reset=strategy.reset_fields(subresource),
            versions=self._versions(strategy),
        )
        return _timeless(merged) if subresource == "scale" else merged

    def track(
        self, old: JSON | None, new: JSON, strategy: Strategy, *, manager: str, subresource: str, now: datetime
    ) -> JSON:
        """``new`` with managedFields that tell who changed what."""
        tracked = managedfields.track(
            old,
            new,
            manager=manager,
            subresource=subresource,
            schema=schema_of(strategy),
            now=now,
            reset=strategy.reset_fields(subresource),
            versions=self._versions(strategy),
        )
        return _timeless(tracked) if subresource == "scale" else tracked

    def _versions(self, strategy: Strategy) -> dict[str, Schema]:
        """Schemas of the kind's other versions."""
        key, version = strategy.storage_key, strategy.resource.api_version
        found = self._others.get((key, version))
        if found is None:
            twins = [other for other in self._catalog.strategies() if other.storage_key == key]
            schemas = {twin.resource.api_version: schema_of(twin) for twin in twins}
            found = {other: schema for other, schema in schemas.items() if other != version}
            self._others[key, version] = found
        return found

    def decode_applied(self, call: Call, field_validation: str) -> tuple[JSON, list[str]]:
        """The configuration in the body of an apply: YAML, as written; and warnings.

        Raises:
            StatusError: 400, it cannot be read.
        """
        return decode_applied(call.body, field_validation)

    def decode_options(self, call: Call) -> JSON:
        """DeleteOptions in a body.

        Raises:
            StatusError: 400, they are none.
        """
        value: Any
        try:
            value = yamltext.load(call.body)[0] if "yaml" in call.content_type else loads(call.body)
        except (JsonError, yamltext.YamlError) as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
        options: JSON = value if isinstance(value, dict) else {}
        kind, version = options.get("kind") or "DeleteOptions", options.get("apiVersion") or "v1"
        if kind != "DeleteOptions":
            raise bad_request(f'no kind "{kind}" is registered for version "{version}" {_OPTIONS_SCHEME}')
        return options


def _timeless(obj: JSON) -> JSON:
    """Ownership that came through ``/scale`` has no time."""
    entries = obj["metadata"].get("managedFields")
    if not entries:
        return obj
    told = [_without_time(entry) if entry.get("subresource") == "scale" else entry for entry in entries]
    told.sort(key=lambda entry: (entry["operation"], entry.get("time") or ""))
    return {**obj, "metadata": {**obj["metadata"], "managedFields": told}}


def _without_time(entry: JSON) -> JSON:
    return {name: value for name, value in entry.items() if name != "time"}


def schema_of(strategy: Strategy) -> Schema:
    """The schema by which bodies of a kind are read."""
    if strategy.schema is not None:
        found: Schema = strategy.schema
        return found
    return builtin_schema(strategy.resource.api_version, strategy.resource.kind)

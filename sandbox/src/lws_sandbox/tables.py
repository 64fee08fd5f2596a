"""Objects and lists in the form that the client asked for: as they are, as metadata only, or as a Table."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.negotiation import Form
from lws_sandbox.rest.reading import Page
from lws_sandbox.status import StatusError, bad_request, not_acceptable, show
from lws_sandbox.strategy import Strategy

META_GROUP: Final = "meta.k8s.io"


def shape_object(obj: JSON, strategy: Strategy, form: Form, now: datetime, include: str) -> JSON:
    """One object in the form asked for.

    Raises:
        StatusError: 406, the form is for lists; 400, ``include`` is unknown.
    """
    if not form.target:
        return with_type(obj, strategy)
    if form.target == "Table":
        meta = obj["metadata"]
        return _table([obj], strategy, form, now, include, {"resourceVersion": meta.get("resourceVersion", "")})
    if form.target == "PartialObjectMetadataList":
        if strategy.custom:
            raise StatusError(500, "", "content is not a list")
        what = f"the requested object is not a list ({_go_type(strategy)})"
        raise not_acceptable(f"you requested {form.target}, but {what}")
    return _partial(obj, form)


def shape_page(page: Page, strategy: Strategy, form: Form, now: datetime, include: str) -> JSON:
    """A list in the form asked for.

    Raises:
        StatusError: 406, the form is for single objects; 400, ``include`` is unknown.
    """
    meta = list_meta(page)
    if form.target == "Table":
        return _table(page.items, strategy, form, now, include, meta)
    if form.target == "PartialObjectMetadata":
        what = f"the requested object is a list ({_go_type(strategy, listed=True)})"
        raise not_acceptable(f"you requested {form.target}, but {what}")
    if form.target:
        items = [_partial(obj, form) for obj in page.items]
        return {"kind": form.target, "apiVersion": f"{META_GROUP}/{form.version}", "metadata": meta, "items": items}
    return {**list_head(page, strategy), "items": [list_item(obj, strategy) for obj in page.items]}


def list_meta(page: Page) -> JSON:
    """Metadata of a list."""
    meta: JSON = {"resourceVersion": page.resource_version}
    if page.continue_:
        meta["continue"] = page.continue_
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    return meta


def list_head(page: Page, strategy: Strategy) -> JSON:
    """A list without its items."""
    resource = strategy.resource
    meta = list_meta(page)
    if strategy.custom:
        return {"apiVersion": resource.api_version, "kind": strategy.list_kind, "metadata": {"continue": "", **meta}}
    return {"kind": strategy.list_kind, "apiVersion": resource.api_version, "metadata": meta}


def list_item(obj: JSON, strategy: Strategy) -> JSON:
    """An item: those of custom resources tell their kind, the others do not."""
    if strategy.custom:
        return with_type(obj, strategy)
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def with_type(obj: JSON, strategy: Strategy) -> JSON:
    """The object with the kind and version in which it is served, first."""
    kind, version = obj.get("kind"), obj.get("apiVersion")
    resource = strategy.resource
    if kind == resource.kind and version == resource.api_version:
        return obj
    return {"kind": kind or resource.kind, "apiVersion": version or resource.api_version, **_rest(obj)}


def _rest(obj: JSON) -> JSON:
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _partial(obj: JSON, form: Form) -> JSON:
    version = f"{META_GROUP}/{form.version}"
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": obj["metadata"]}


def _table(objects: list[JSON], strategy: Strategy, form: Form, now: datetime, include: str, meta: JSON) -> JSON:
    if include not in ("", "Metadata", "Object", "None"):
        why = f"includeObject: Invalid value: {show(include)}: must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {why}")
    return {
        "kind": "Table",
        "apiVersion": f"{META_GROUP}/{form.version}",
        "metadata": meta,
        "columnDefinitions": columns(strategy),
        "rows": [_row(obj, strategy, form, now, include) for obj in objects],
    }


def columns(strategy: Strategy) -> list[JSON]:
    """The column definitions of a kind."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in strategy.columns
    ]


def _row(obj: JSON, strategy: Strategy, form: Form, now: datetime, include: str) -> JSON:
    row: JSON = {"cells": strategy.row(obj, now)}
    conditions = strategy.row_conditions(obj)
    if conditions:
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = with_type(obj, strategy)
    elif include != "None":
        row["object"] = _partial(obj, form)
    else:
        row["object"] = None
    return row


def _go_type(strategy: Strategy, *, listed: bool = False) -> str:
    suffix = "List" if listed else ""
    if strategy.custom:
        return f"*unstructured.Unstructured{suffix}"
    group = strategy.storage_key.partition(".")[2].partition(".")[0] or "core"
    return f"*{group}.{strategy.resource.kind}{suffix}"


class TableStream:
    """Shapes the events of a watch: only the first Table has the columns."""

    def __init__(self, strategy: Strategy, form: Form, include: str) -> None:
        self._strategy = strategy
        self._form = form
        self._include = include
        self._begun = False

    def shape(self, obj: JSON, now: datetime) -> JSON:
        """One event's object as a Table."""
        table = shape_object(obj, self._strategy, self._form, now, self._include)
        if self._begun:
            table["columnDefinitions"] = None
        self._begun = True
        return table

    def bookmark(self, obj: JSON, now: datetime) -> JSON:
        """A bookmark: a row of an object that has nothing but a version."""
        nothing = {**obj, "metadata": {"name": "", **obj["metadata"]}, "spec": {}, "status": {}}
        table = self.shape(nothing, now)
        for row in table["rows"]:
            if row["object"] is not None:
                row["object"] = _partial(obj, self._form)
        return table

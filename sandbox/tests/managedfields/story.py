"""Stories of one object: who wrote what, one write after the other."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields import server_side_apply, track
from lws_sandbox.patching import merge_patch
from lws_sandbox.schema import Schema, builtin_schema
from lws_sandbox.status import StatusError

POD = builtin_schema("v1", "Pod")
CONFIG_MAP = builtin_schema("v1", "ConfigMap")
STATEFUL_SET = builtin_schema("apps/v1", "StatefulSet")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """An object of a kind, and the writes that it went through."""

    def __init__(self, schema: Schema = CONFIG_MAP) -> None:
        self.schema = schema
        self.obj: JSON | None = None
        self.now = START

    @property
    def identity(self) -> JSON:
        """What every body begins with."""
        return {"apiVersion": self.schema.api_version, "kind": self.schema.kind, "metadata": {"name": "a"}}

    def body(self, **members: Any) -> JSON:
        """A body with these members; metadata is added to."""
        metadata = {"name": "a", **members.pop("metadata", {})}
        return {**self.identity, "metadata": metadata, **members}

    def apply(
        self, manager: str, *, force: bool = False, subresource: str = "", reset: tuple[str, ...] = (), **members: Any
    ) -> JSON:
        """Server-side apply."""
        self.now += timedelta(seconds=1)
        obj = server_side_apply(
            copy.deepcopy(self.obj),
            self.body(**members),
            manager=manager,
            force=force,
            subresource=subresource,
            schema=self.schema,
            now=self.now,
            reset=reset,
        )
        return self._stored(obj)

    def write(self, manager: str, *, subresource: str = "", reset: tuple[str, ...] = (), **patch: Any) -> JSON:
        """A merge patch, or the creation of the object."""
        self.now += timedelta(seconds=1)
        old = self.obj
        new = self.body(**patch) if old is None else merge_patch(old, patch)
        obj = track(old, new, manager=manager, subresource=subresource, schema=self.schema, now=self.now, reset=reset)
        return self._stored(obj)

    def _stored(self, obj: JSON) -> JSON:
        """As a server stores it: through the types of its kind."""
        self.obj = self.schema.canonical(obj)
        return self.obj

    def refused(self, manager: str, **members: Any) -> StatusError:
        """An apply that must be refused."""
        before = copy.deepcopy(self.obj)
        with pytest.raises(StatusError) as caught:
            self.apply(manager, **members)
        assert self.obj == before
        return caught.value

    @property
    def data(self) -> JSON:
        """The data of a ConfigMap."""
        assert self.obj is not None
        found: JSON = self.obj.get("data") or {}
        return found

    @property
    def owners(self) -> dict[str, JSON]:
        """FieldsV1 by manager: ``name`` for appliers, ``name*`` for updaters, ``/subresource`` added."""
        assert self.obj is not None
        found = {}
        for entry in self.obj["metadata"].get("managedFields") or []:
            mark = "*" if entry["operation"] == "Update" else ""
            where = f"/{entry['subresource']}" if entry.get("subresource") else ""
            found[f"{entry['manager']}{mark}{where}"] = entry["fieldsV1"]
        return found


def leaves(fields: JSON, path: str = "") -> list[str]:
    """The paths that FieldsV1 names, in short: ``f:`` left out, ``.`` for the node itself."""
    found: list[str] = []
    for step, below in fields.items():
        name = step.removeprefix("f:")
        here = f"{path}/{name}" if path else name
        found += leaves(below, here) if below else [here]
    return sorted(found)

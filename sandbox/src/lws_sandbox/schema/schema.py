"""The schema of one version of one kind, built-in or custom."""

from __future__ import annotations

import functools
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import builtin, pruning, validation
from lws_sandbox.schema.gostruct import GoReader
from lws_sandbox.schema.node import Compiler, Node
from lws_sandbox.status import Cause


class Schema:
    """What objects of a kind may hold, and how they merge.

    Attributes:
        api_version: ``group/version``, or the bare version for the core group.
        kind: such as ``StatefulSet``.
        custom: a CustomResourceDefinition declares it; otherwise its values pass through Go types.
        root: schema of the whole object.
    """

    def __init__(self, api_version: str, kind: str, root: Node, *, custom: bool) -> None:
        self.api_version = api_version
        self.kind = kind
        self.custom = custom
        self.root = root

    @classmethod
    def of_custom(cls, api_version: str, kind: str, open_api: JSON | None, *, preserve_unknown: bool = False) -> Schema:
        """The schema of a version of a custom resource, from its ``openAPIV3Schema``."""
        root = Compiler().node(open_api or {})
        root.open = root.open or preserve_unknown
        return cls(api_version, kind, root, custom=True)

    def prune(self, obj: JSON) -> list[str]:
        """Drop, in place, what the schema does not know; returns the paths of what went, sorted."""
        if self.custom:
            return pruning.prune(obj, self.root)
        reader = GoReader()
        read = reader.read(self.root, obj)
        _replace(obj, read)
        return sorted(text.split('"')[1] for text in reader.strict)

    def default(self, obj: JSON) -> None:
        """Fill in, in place, the schema's defaults. Those of built-in kinds are rules of their strategies."""
        if self.custom:
            pruning.default(obj, self.root)

    def canonical(self, obj: JSON) -> JSON:
        """The object as a server would write it: of a built-in kind as it comes back out of its Go type.

        Empty members that Go omits are gone, members that it always writes are there, quantities and times have their
        own form. Of a custom resource this holds for ``metadata``. Idempotent; ``obj`` is not changed.
        """
        if self.custom:
            read = dict(obj)
            pruning.read_metadata(read)
            return read
        result = GoReader().read(self.root, obj)
        return result if isinstance(result, dict) else {}

    def validate(self, obj: JSON, old: JSON | None = None) -> list[Cause]:
        """What breaks the schema; values that ``old`` holds unchanged are let pass (ratcheting).

        Built-in kinds are validated by their strategies.
        """
        if not self.custom:
            return []
        return validation.validate_object(self.root, obj, old)


def _replace(obj: JSON, read: Any) -> None:
    obj.clear()
    if isinstance(read, dict):
        obj.update(read)


@functools.cache
def of_builtin(api_version: str, kind: str) -> Schema:
    """The schema of a built-in kind.

    Raises:
        KeyError: it is not packaged.
    """
    name = builtin.definition_of(api_version, kind)
    if name is None:
        raise KeyError(f"{api_version}/{kind}")
    return Schema(api_version, kind, builtin.node_of(name), custom=False)

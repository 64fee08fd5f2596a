"""Schemas of built-in kinds and custom resources: decoding, pruning, defaults, validation.

`builtin` gives the schema of a built-in kind, `Schema.of_custom` that of a custom one; `decode` reads request bodies.
"""

from lws_sandbox.schema.decoding import decode
from lws_sandbox.schema.node import MISSING, Field, Node
from lws_sandbox.schema.schema import Schema
from lws_sandbox.schema.schema import of_builtin as builtin_schema

__all__ = ["MISSING", "Field", "Node", "Schema", "builtin_schema", "decode"]

"""Validation of custom resources by their structural schema."""

from __future__ import annotations

from typing import Any

from lws.sandbox.schema.node import Node
from lws.sandbox.status import Cause

JSON = dict[str, Any]


def validate_object(root: Node, obj: JSON, old: JSON | None = None) -> list[Cause]:
    """What in ``obj`` breaks ``root``."""
    return []

"""The keys that identify a group and a subgroup in labels (spec 4.2)."""

from __future__ import annotations

import hashlib


def group_key(namespace: str, pod_name: str) -> str:
    """The value of label ``group-key``: lower-case hex SHA-1 of ``<namespace>/<leader pod name>`` (spec 4.2)."""
    return _sha1(f"{namespace}/{pod_name}")


def subgroup_key(leader_name: str, index: int) -> str:
    """The value of label ``subgroup-key``: SHA-1 of ``<leader pod name>/<index>``, no namespace (spec 4.2, 13.1)."""
    return _sha1(f"{leader_name}/{index}")


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

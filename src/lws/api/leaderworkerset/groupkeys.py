"""The keys that identify a group and a subgroup in labels (spec 4.2)."""

from __future__ import annotations

import hashlib


def group_key(namespace: str, pod_name: str) -> str:
    """The value of label ``group-key``: lower-case hex SHA-1 of ``<namespace>/<leader pod name>`` (spec 4.2)."""
    return _sha1(f"{namespace}/{pod_name}")


def subgroup_key(group: str, index: int) -> str:
    """The value of label ``subgroup-key``: SHA-1 of ``<group>/<index>``, no namespace (spec 4.2, 13.1).

    ``group`` is the leader pod's name, or the group's key where groups are known by one (next 3.4).
    """
    return _sha1(f"{group}/{index}")


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

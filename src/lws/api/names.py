"""Names that carry meaning: ordinals, group keys, subgroup keys (spec 4.1 to 4.3)."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_ORDINAL: Final = 2**31 - 1

_ORDINAL = re.compile(r"(.*)-([0-9]+)", re.ASCII)


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """Split ``<parent>-<ordinal>`` at its last dash (spec 4.1).

    Returns:
        Parent and ordinal; ``("", -1)`` when the name has no ordinal, and ordinal -1 when it exceeds 2147483647.
    """
    match = _ORDINAL.fullmatch(name)
    if match is None:
        return "", -1
    digits = match[2].lstrip("0")
    ordinal = int(digits or "0") if len(digits) <= 10 else -1
    return match[1], ordinal if ordinal <= MAX_ORDINAL else -1


def group_key(namespace: str, pod_name: str) -> str:
    """The value of label ``group-key``: lower-case hex SHA-1 of ``<namespace>/<leader pod name>`` (spec 4.2)."""
    return _sha1(f"{namespace}/{pod_name}")


def subgroup_key(leader_name: str, index: int) -> str:
    """The value of label ``subgroup-key``: SHA-1 of ``<leader pod name>/<index>``, no namespace (spec 4.2, 13.1)."""
    return _sha1(f"{leader_name}/{index}")


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

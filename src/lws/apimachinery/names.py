"""Names that carry an ordinal, as StatefulSets give them to their pods."""

from __future__ import annotations

import re
from typing import Final

MAX_ORDINAL: Final = 2**31 - 1

_ORDINAL = re.compile(r"(.*)-([0-9]+)", re.ASCII)


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """Split ``<parent>-<ordinal>`` at its last dash.

    Returns:
        Parent and ordinal; ``("", -1)`` when the name has no ordinal, and ordinal -1 when it exceeds 2147483647.
    """
    match = _ORDINAL.fullmatch(name)
    if match is None:
        return "", -1
    digits = match[2].lstrip("0")
    ordinal = int(digits or "0") if len(digits) <= 10 else -1
    return match[1], ordinal if ordinal <= MAX_ORDINAL else -1

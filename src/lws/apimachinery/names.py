"""Names that carry an ordinal, as StatefulSets give them to their pods."""

from __future__ import annotations

import re

from lws.apimachinery.integers import natural

_ORDINAL = re.compile(r"(.*)-([0-9]+)", re.ASCII)


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """Split ``<parent>-<ordinal>`` at its last dash.

    Returns:
        Parent and ordinal; ``("", -1)`` when the name has no ordinal, and ordinal -1 when it exceeds 2147483647.
    """
    match = _ORDINAL.fullmatch(name)
    if match is None:
        return "", -1
    ordinal = natural(match[2])
    return match[1], -1 if ordinal is None else ordinal

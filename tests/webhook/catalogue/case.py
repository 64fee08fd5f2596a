"""One entry of the catalogue, and how entries are made from good reviews."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from lws.apimachinery.manifests import JSON

ABSENT = object()


@dataclass(frozen=True)
class Case:
    """One bad review and what is answered."""

    about: str
    path: str
    body: bytes
    http: int
    code: int | None
    words: str
    content_type: str = "application/json"


def edited(value: JSON, place: str, new: Any) -> JSON:
    """A copy in which one member, named by a path of dots, is replaced or (ABSENT) gone."""
    made = copy.deepcopy(value)
    *parents, last = place.split("|")[0].split(".") if "|" not in place else place.split("|")
    target: Any = made
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target.setdefault(parent, {})
    if new is ABSENT:
        del target[last]
    else:
        target[int(last) if isinstance(target, list) else last] = new
    return made

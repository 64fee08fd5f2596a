"""The label and annotation keys of the wire contract (disaggregatedset 1.2, 1.3)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "disaggregatedset.x-k8s.io/"

# Labels.
NAME: Final = PREFIX + "name"
ROLE: Final = PREFIX + "role"
SLICE: Final = PREFIX + "slice"
REVISION: Final = PREFIX + "revision"
APP: Final = "app"

# Annotations.
INITIAL_REPLICAS: Final = PREFIX + "initial-replicas"


def system(name: str, slice_: int, revision: str, role: str) -> dict[str, str]:
    """The labels of a child and its pods; they win over a user's of the same keys."""
    return {NAME: name, ROLE: role, SLICE: str(slice_), REVISION: revision, APP: f"{name}-{slice_}-{role}"}


def scaler(name: str, role: str) -> dict[str, str]:
    """The labels of a role's scaler."""
    return {NAME: name, ROLE: role}

"""Who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An authenticated caller, as admission reviews and access reviews carry it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ADMIN: Final = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))
ANONYMOUS: Final = UserInfo("system:anonymous", groups=("system:unauthenticated",))

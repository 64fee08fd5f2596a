"""The garbage collector in a process that holds a cluster.

A store is a great many long-lived dictionaries without cycles. Python's collector walks all of them each time that it
looks at its oldest generation, and nothing else runs meanwhile: with 10,000 pods for a quarter of a second.
"""

from __future__ import annotations

import gc
from typing import Any, Final

YOUNG: Final = 20_000
FROZEN_AFTER: Final = 2  # collections of the middle generation


class _Freezer:
    """Takes what survived out of the collector's sight; it is still freed when nothing refers to it any more."""

    def __init__(self) -> None:
        self._collections = 0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "stop" and info["generation"] >= 1:
            self._collections += 1
            if self._collections % FROZEN_AFTER == 0:
                gc.freeze()


def calm_collector() -> None:
    """Let the collector look at young objects only, for the rest of this process.

    Cycles that live through several collections are not collected any more: this is for a program that makes few of
    them, such as `lws-sandbox`, and not for a library.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 1_000)
    gc.callbacks.append(_Freezer())

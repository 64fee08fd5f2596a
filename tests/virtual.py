"""Tests in virtual time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from lws_sandbox import virtual_time as vt


def virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop whose time is virtual: no waiting, no sockets, the same trace every time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        vt.run(test(*args, **kwargs))

    return run

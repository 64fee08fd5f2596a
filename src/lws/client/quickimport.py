"""Imports the HTTP library without what only others need of it, for commands that live for a moment."""

from __future__ import annotations

import importlib
import os
from typing import Final

_TRUSTED: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def import_http() -> None:
    """Import aiohttp, a seventh faster.

    aiohttp makes two TLS contexts with the machine's authorities as it is imported. Nobody here uses them: each request
    brings the context of its cluster. In this process they trust nobody, so whoever did use them would be refused.
    """
    before = {name: os.environ.get(name) for name in _TRUSTED}
    os.environ |= dict.fromkeys(_TRUSTED, os.devnull)
    try:
        importlib.import_module("lws.client.http")
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

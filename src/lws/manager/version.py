"""Which build this is. Commit and build date are put into the environment by the image."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

import lws


def build_information(environ: Mapping[str, str] = os.environ) -> tuple[str, str, str]:
    """Version, commit and build date."""
    return f"v{lws.__version__}", environ.get("LWS_COMMIT") or "unknown", environ.get("LWS_BUILD_DATE") or "N/A"


def version_text(environ: Mapping[str, str] = os.environ) -> str:
    """The three lines of ``--version``."""
    version, commit, built = build_information(environ)
    return f"Version: {version}\nBuild Date: {built}\nGit Commit: {commit}"


def user_agent(environ: Mapping[str, str] = os.environ) -> str:
    """``lws/<version> (<os>/<arch>) <commit>``; its first word gives the field manager ``lws`` (spec 1.1)."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine() or "unknown")
    commit = (environ.get("LWS_COMMIT") or "unknown")[:7]
    return f"lws/v{lws.__version__} ({platform.system().lower() or 'unknown'}/{machine}) {commit}"

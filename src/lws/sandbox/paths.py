"""Paths of the sandbox beside those of Kubernetes."""

from __future__ import annotations

from typing import Final

DRILLS: Final = "/sandbox/v1/drills"

"""Paths and names of the sandbox beside those of Kubernetes."""

from __future__ import annotations

from typing import Final

DRILLS: Final = "/sandbox/v1/drills"
DRILLS_CONTEXT: Final = "sandbox-drills"  # in kubeconfigs of control planes that do not answer drills themselves

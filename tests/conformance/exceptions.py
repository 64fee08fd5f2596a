"""Recorded scenarios that the sandbox answers differently, each with the reason. Keep it short."""

from __future__ import annotations

EXCEPTIONS: dict[str, str] = {}

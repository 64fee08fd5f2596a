"""Patches: JSON patch, merge patch, strategic merge patch. Server-side apply lives in `lws_sandbox.managedfields`."""

from lws_sandbox.patching.json_patch import PatchError, json_patch
from lws_sandbox.patching.merge_patch import merge_diff, merge_patch
from lws_sandbox.patching.patch import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    apply_patch,
    patch_type,
)
from lws_sandbox.patching.strategic import StrategicError, strategic_merge

__all__ = [
    "APPLY_PATCH",
    "JSON_PATCH",
    "MERGE_PATCH",
    "STRATEGIC_MERGE_PATCH",
    "PatchError",
    "StrategicError",
    "apply_patch",
    "json_patch",
    "merge_diff",
    "merge_patch",
    "patch_type",
    "strategic_merge",
]

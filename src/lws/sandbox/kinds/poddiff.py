"""The difference of two pod specs as the real server shows it."""

from __future__ import annotations

import difflib
import json
from typing import Any

JSON = dict[str, Any]


def difference(old: JSON, new: JSON) -> str:
    """A unified diff of the two."""
    before, after = (json.dumps(spec, indent=1).splitlines() for spec in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "".join(f"{line}\n" for line in lines)

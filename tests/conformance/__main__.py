"""``python -m tests.conformance [PATTERN…]``: replay scenarios whose name contains a pattern; print what differs."""

from __future__ import annotations

import sys
import traceback

from tests.conformance.test_exchanges import SCENARIOS, _name, differences


def main(patterns: list[str]) -> int:
    """Replay and print; returns 1 if something differs."""
    verbose = "-v" in patterns
    patterns = [pattern for pattern in patterns if pattern != "-v"]
    passed = failed = 0
    for path in SCENARIOS:
        name = _name(path)
        if patterns and not any(pattern in name for pattern in patterns):
            continue
        try:
            found = differences(path)
        except Exception:
            found = [traceback.format_exc(limit=-6)]
        passed, failed = passed + (not found), failed + bool(found)
        if found:
            print(f"--- {name}: {len(found)}")  # noqa: T201
            for difference in found[: 50 if verbose else 3]:
                print("   ", difference[: 2000 if verbose else 500])  # noqa: T201
    print(f"{passed} passed, {failed} failed")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

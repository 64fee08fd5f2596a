"""``python -m sandbox.tests.conformance [--real] [-v] [PATTERN…]``: replay scenarios whose name contains a pattern.

Prints what differs, at length with ``-v``; ``--real`` asks the server out of ``KUBEBUILDER_ASSETS``.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path

from sandbox.tests.conformance.planes import Plane, SandboxPlane, real_plane
from sandbox.tests.conformance.scenarios import SCENARIOS, load, name_of

from lws_sandbox.real.binaries import find


def main(arguments: list[str]) -> int:
    """Replay and print; returns 1 if something differs."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.tests.conformance", description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args(arguments)
    with real_plane(find()) if options.real else nullcontext(SandboxPlane()) as plane:
        failed = [_replay(plane, path, verbose=options.verbose) for path in _chosen(options.patterns)]
    print(f"{failed.count(False)} passed, {failed.count(True)} failed")  # noqa: T201
    return 1 if any(failed) else 0


def _chosen(patterns: list[str]) -> list[Path]:
    return [path for path in SCENARIOS if not patterns or any(each in name_of(path) for each in patterns)]


def _replay(plane: Plane, path: Path, *, verbose: bool) -> bool:
    try:
        found = plane.differences(load(path))
    except Exception:
        found = [traceback.format_exc(limit=-6)]
    if found:
        print(f"--- {name_of(path)}: {len(found)}", flush=True)  # noqa: T201
    for difference in found[: 50 if verbose else 3]:
        print("   ", difference[: 2000 if verbose else 500], flush=True)  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

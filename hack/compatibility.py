"""Keeps what the tests on real control planes said, release by release, and writes docs/compatibility.md from it.

    python -m hack.compatibility REPORT...    take up reports (pytest's --junitxml) of a run on KUBEBUILDER_ASSETS
    python -m hack.compatibility              write the page anew

A suite that was run again replaces what was known of it in that release; others stay.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.real.binaries import API_SERVER, Binaries, find

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "tests/data/compatibility.json"
PAGE: Final = ROOT / "docs/compatibility.md"
HEAD: Final = """\
# Compatibility

What the tests on real control planes said: `make control-plane K8S=1.37 && make test-real K8S=1.37` builds one, runs
them and writes this page. A cell is how many tests of the suite passed of those that ran; what failed stands below.
The rows are of several runs, not of one commit: a suite that is run again replaces its own.

"""
RELEASES: Final = """
Releases differ for LeaderWorkerSets in three ways, which the sandbox plays too (`lws-sandbox start --kubernetes 1.37`):
from 1.37 on StatefulSets always have `rollingUpdate.maxUnavailable` and honour it, a change of claim templates is
refused as `spec.volumeClaimTemplates: … field is immutable`, and bound claims have a condition `Unused`, which nothing
of ours reads. The leader StatefulSet's budget is made for both (CD-37).
"""


def suite_of(case: ElementTree.Element) -> str:
    """The suite of a test: its folder and file below tests, without their prefixes."""
    parts = [part for part in case.get("classname", "").split(".") if part and part[0].islower()]
    return "/".join(part.removeprefix("test_") for part in parts[1:])


def read(reports: Iterable[Path]) -> JSON:
    """How the tests of each suite ended."""
    suites: dict[str, Counter[str]] = {}
    failures: dict[str, list[str]] = {}
    for path in reports:
        for case in ElementTree.parse(path).iter("testcase"):
            suite, kinds = suite_of(case), {each.tag for each in case}
            bad, skipped = kinds & {"failure", "error"}, "skipped" in kinds
            suites.setdefault(suite, Counter())["failed" if bad else "skipped" if skipped else "passed"] += 1
            if bad:
                failures.setdefault(suite, []).append(case.get("name", ""))
    return {
        suite: {**dict(counts), **({"failures": failures[suite]} if suite in failures else {})}
        for suite, counts in sorted(suites.items())
    }


def version_of(binaries: Binaries) -> str:
    """The patch release of a control plane, such as ``v1.37.2``."""
    said = subprocess.run([binaries.path(API_SERVER), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[-1]


def taken_up(known: JSON, release: str, version: str, suites: JSON) -> JSON:
    """What is known after a run: another patch release begins anew."""
    before = known.get(release, {})
    kept = before["suites"] if before.get("version") == version else {}
    return dict(sorted({**known, release: {"version": version, "suites": {**kept, **suites}}}.items()))


def page(known: JSON) -> str:
    """The page."""
    releases = list(known)
    suites = sorted({suite for each in known.values() for suite in each["suites"]})
    titles = [f"Kubernetes {known[release]['version'].removeprefix('v')}" for release in releases]
    lines = [f"| suite | {' | '.join(titles)} |", "|---|" + "---|" * len(releases)]
    for suite in suites:
        cells = [_cell(known[release]["suites"].get(suite)) for release in releases]
        lines.append(f"| {suite} | {' | '.join(cells)} |")
    failed = [
        f"* {release}, {suite}: `{name}`"
        for release in releases
        for suite, found in known[release]["suites"].items()
        for name in found.get("failures", ())
    ]
    bad = ["", "## What failed", *failed] if failed else []
    return HEAD + "\n".join([*lines, *bad]) + "\n" + RELEASES


def _cell(found: JSON | None) -> str:
    if found is None:
        return "not run"
    passed, failed = found.get("passed", 0), found.get("failed", 0)
    return f"{passed} of {passed + failed}" if passed + failed else "skipped"


def main(arguments: Sequence[str]) -> int:
    """Take up reports, and write the page."""
    known: JSON = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if arguments:
        binaries = find()
        reports = [Path(each) for each in arguments]
        known = taken_up(known, binaries.release(), version_of(binaries), read(reports))
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    PAGE.write_text(page(known))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

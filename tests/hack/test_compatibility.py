"""The page that says what passed on which release of Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path

from hack import compatibility

REPORT = """\
<testsuites><testsuite>
<testcase classname="tests.real.test_rollout" name="one"/>
<testcase classname="tests.real.test_rollout" name="two"><failure/></testcase>
<testcase classname="tests.real.partners.test_kueue" name="three"><skipped/></testcase>
<testcase classname="tests.e2e.test_install.TestThis" name="four"/>
</testsuite></testsuites>
"""


def test_reports_are_told_by_suite(tmp_path: Path) -> None:
    """Passed, failed by name, and skipped, by folder and file."""
    (tmp_path / "report.xml").write_text(REPORT)
    assert compatibility.read([tmp_path / "report.xml"]) == {
        "e2e/install": {"passed": 1},
        "real/partners/kueue": {"skipped": 1},
        "real/rollout": {"passed": 1, "failed": 1, "failures": ["two"]},
    }


def test_a_run_replaces_what_it_ran() -> None:
    """Suites that were not run stay, unless the control plane is another patch release; others' columns stay too."""
    known = {"1.36": {"version": "v1.36.3", "suites": {"a": {"passed": 1}, "b": {"passed": 2}}}}
    again = compatibility.taken_up(known, "1.36", "v1.36.3", {"b": {"passed": 3}})
    assert again["1.36"]["suites"] == {"a": {"passed": 1}, "b": {"passed": 3}}
    other = compatibility.taken_up(again, "1.36", "v1.36.4", {"b": {"failed": 1, "failures": ["x"]}})
    assert other["1.36"]["suites"] == {"b": {"failed": 1, "failures": ["x"]}}
    told = compatibility.page(compatibility.taken_up(other, "1.37", "v1.37.2", {"c": {"skipped": 1}}))
    assert "| suite | Kubernetes 1.36.4 | Kubernetes 1.37.2 |" in told
    assert "| b | 0 of 1 | not run |" in told
    assert "| c | not run | skipped |" in told
    assert "* 1.36, b: `x`" in told


def test_the_page_is_what_the_results_say() -> None:
    """Nobody edits it by hand."""
    assert compatibility.page(json.loads(compatibility.RESULTS.read_text())) == compatibility.PAGE.read_text()

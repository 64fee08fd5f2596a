"""Every scenario of the operator's specification has a test with its number."""

from __future__ import annotations

import re

from tests.acceptance.operand.ground import ROOT

PLACES = ("acceptance/operand", "manifests")
SCENARIO = re.compile(r"^\| (A\d\d) \|", re.MULTILINE)
TEST = re.compile(r"^(?:async )?def test_(a\d\d)_", re.MULTILINE)


def test_every_scenario_has_its_test() -> None:
    """A01 to A60, as section 7 lists them, each with `test_aNN_` in the acceptance tests or those of the manifests."""
    wanted = SCENARIO.findall((ROOT / "docs/spec/operator.md").read_text(encoding="utf-8"))
    files = [path for place in PLACES for path in (ROOT / "tests" / place).glob("test_*.py")]
    found = {number.upper() for path in files for number in TEST.findall(path.read_text(encoding="utf-8"))}
    assert len(wanted) == 60
    assert [each for each in wanted if each not in found] == []

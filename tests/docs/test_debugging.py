"""The page on debugging names what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "debugging.md").read_text()
SOURCES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path.read_text()
    for path in (ROOT / "src").rglob("*.py")
}


def test_the_sample_of_a_dump_is_one() -> None:
    """The line shown is a log line, and each of its calls is a function of the module that it names."""
    (sample,) = re.findall(r"```json\n(.*?)\n```", PAGE)
    for call in json.loads(sample)["waiting_in"]:
        if call.startswith("lws."):
            module = max((name for name in SOURCES if call.startswith(f"{name}.")), key=len)
            for name in re.findall(r"\w+", call.removeprefix(f"{module}.").partition(":")[0].replace("<locals>", "")):
                assert re.search(rf"(class|def) {name}\b", SOURCES[module]), call


@pytest.mark.parametrize("call", sorted(set(re.findall(r"`([A-Z]\w+\.\w+)`", PAGE))))
def test_calls_exist(call: str) -> None:
    """Each `Class.method` of the page is a method of a class of that name."""
    name, _, method = call.partition(".")
    holders = [text for text in SOURCES.values() if re.search(rf"^class {name}\b", text, flags=re.MULTILINE)]
    assert any(re.search(rf"def {method}\b", text) for text in holders)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:lws|workqueue)_\w+)`", PAGE))))
def test_metrics_exist(name: str) -> None:
    """Each metric of the page is one of the reference of metrics."""
    assert f"`{name}`" in (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("alert", sorted(set(re.findall(r"alert `(\w+)`", PAGE))))
def test_alerts_exist(alert: str) -> None:
    """Each alert of the page is defined."""
    assert f"alert: {alert}\n" in (ROOT / "config" / "prometheus" / "alerts.yaml").read_text()

"""The examples, as documents."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_service_of_an_example_takes_the_name_of_a_set(path: Path) -> None:
    """The headless Service that gives a set's pods their names has the set's own name, so nothing else may."""
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
    names = {
        kind: {each["metadata"]["name"] for each in documents if each["kind"] == kind}
        for kind in ("LeaderWorkerSet", "DisaggregatedSet", "Service")
    }
    assert names["LeaderWorkerSet"] | names["DisaggregatedSet"]
    assert not names["LeaderWorkerSet"] & names["Service"]

"""Shapes of clusters: presets, files, and what is refused in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lws.errors import ConfigurationError
from lws_sandbox.nodes import parse_shape, preset, read_shape, uniform

ZONE = "topology.kubernetes.io/zone"


@pytest.mark.parametrize(("name", "count"), [("small", 8), ("gpu-rack", 32), ("1000-nodes", 1000)])
def test_presets_have_distinct_nodes(name: str, count: int) -> None:
    """Every preset has as many nodes as it says, each with its own name, and a zone."""
    shape = preset(name)
    assert len({node.name for node in shape.nodes}) == count
    assert all(ZONE in node.labels for node in shape.nodes)


def test_an_unknown_preset_is_refused() -> None:
    """The error names what there is."""
    with pytest.raises(ConfigurationError, match="small, gpu-rack, 1000-nodes"):
        preset("huge")


def test_a_file_says_nodes_and_delays(tmp_path: Path) -> None:
    """Counts, placeholders, capacities, taints, delays and heartbeat come from the file."""
    path = tmp_path / "shape.yaml"
    path.write_text(
        """
nodes:
- count: 4
  name: gpu-{i}
  labels: {rack: "r{i//2}", side: "s{i%2}"}
  capacity: {nvidia.com/gpu: 8, cpu: 96}
  taints: [{key: gpu, effect: NoSchedule}]
- name: single
delays: {start: 2, jitter: 0.5}
heartbeat: 0
events: false
"""
    )
    shape = read_shape(path)
    assert [node.name for node in shape.nodes] == ["gpu-0", "gpu-1", "gpu-2", "gpu-3", "single"]
    assert [node.labels for node in shape.nodes[:3]] == [
        {"rack": "r0", "side": "s0"},
        {"rack": "r0", "side": "s1"},
        {"rack": "r1", "side": "s0"},
    ]
    assert (shape.nodes[0].capacity["nvidia.com/gpu"], shape.nodes[0].capacity["cpu"]) == ("8", "96")
    assert (shape.delays.start, shape.delays.jitter, shape.heartbeat, shape.events) == (2.0, 0.5, 0.0, False)


BAD: list[tuple[Any, str]] = [
    (None, "needs a list 'nodes'"),
    ({"nodes": {}}, "needs a list 'nodes'"),
    ({"nodes": [], "node": 1}, "unknown field node"),
    ({"nodes": [{"size": 3}]}, r"unknown field nodes\[0\].size"),
    ({"nodes": [{"count": "x"}]}, r"nodes\[0\].count"),
    ({"nodes": [{"capacity": {"cpu": "much"}}]}, r"nodes\[0\].capacity.cpu: 'much' is not a quantity"),
    ({"nodes": [{"count": 2, "name": "n"}]}, "two nodes are named 'n'"),
    ({"nodes": [], "delays": {"stert": 1}}, "unknown field delays.stert"),
    ({"nodes": [], "delays": {"start": "soon"}}, "numbers of seconds"),
]


@pytest.mark.parametrize(("document", "message"), BAD)
def test_mistakes_in_a_shape_are_named(document: Any, message: str) -> None:
    """What breaks the form is refused with the field's name."""
    with pytest.raises(ConfigurationError, match=message):
        parse_shape(document)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named in the error."""
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        read_shape(tmp_path / "none.yaml")


@pytest.mark.long
@pytest.mark.parametrize("text", ["nodes: [", "nodes: !!int many", "[" * 3000 + "]" * 3000])
def test_a_file_that_is_no_yaml_is_named(tmp_path: Path, text: str) -> None:
    """What is no YAML is an error of one line that names the file."""
    path = tmp_path / "shape.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"shape\.yaml: cannot be read") as caught:
        read_shape(path)
    assert "\n" not in str(caught.value)


def test_equal_nodes_are_made_in_one_call() -> None:
    """Tests get their nodes without a file."""
    assert [node.labels["rack"] for node in uniform(4, labels={"rack": "{i//2}"})] == ["0", "0", "1", "1"]

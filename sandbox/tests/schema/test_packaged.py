"""The schemas of built-in kinds that the package carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.hack import schemas

import lws_sandbox.schema
from lws_sandbox.schema import builtin_schema

PACKAGED = Path(lws_sandbox.schema.__file__).parent / "data"


@pytest.mark.parametrize("name", sorted(schemas.rendered()))
def test_data_is_what_the_published_schemas_give(name: str) -> None:
    """Nothing in the packaged data was typed by hand, and nothing in it is stale."""
    assert (PACKAGED / name).read_text() == schemas.rendered()[name]


@pytest.mark.parametrize(
    ("api_version", "kind", "path", "list_type", "keys"),
    [
        ("v1", "Pod", "spec.containers", "map", ("name",)),
        ("v1", "Pod", "spec.tolerations", "atomic", ()),
        ("v1", "Service", "spec.ports", "map", ("port", "protocol")),
        ("v1", "Pod", "status.conditions", "map", ("type",)),
        ("v1", "Node", "spec.podCIDRs", "set", ()),
    ],
)
def test_lists_keep_how_they_merge(
    api_version: str, kind: str, path: str, list_type: str, keys: tuple[str, ...]
) -> None:
    """List types and keys are those that Kubernetes publishes."""
    node = builtin_schema(api_version, kind).root
    for name in path.split("."):
        child = node.child(name)
        assert child is not None
        node = child
    assert (node.list_type or "atomic", tuple(sorted(node.keys))) == (list_type, keys)


def test_a_kind_that_is_not_there_is_a_key_error() -> None:
    """Nobody gets a schema for a kind that Kubernetes does not build in."""
    with pytest.raises(KeyError):
        builtin_schema("example.org/v1", "Thing")

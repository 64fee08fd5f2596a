"""Strategic merge patch: lists merge by key, and directives say where they do not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.manifests import JSON
from lws_sandbox.patching import StrategicError, strategic_merge
from lws_sandbox.schema import builtin_schema

POD = builtin_schema("v1", "Pod").root
DEPLOYMENT = builtin_schema("apps/v1", "Deployment").root


def pod(*containers: JSON, **spec: Any) -> JSON:
    """A pod with these containers."""
    return {"spec": {"containers": list(containers), **spec}}


SECURED: JSON = {"spec": {"securityContext": {"runAsUser": 1}}}
TABLE = [
    # keyed lists
    (pod({"name": "a", "image": "1"}), pod({"name": "a", "image": "2"}), pod({"name": "a", "image": "2"})),
    (pod({"name": "a"}), pod({"name": "b"}), pod({"name": "b"}, {"name": "a"})),
    (
        pod({"name": "a", "env": [{"name": "X", "value": "1"}]}),
        pod({"name": "a", "env": [{"name": "Y", "value": "2"}]}),
        pod({"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}),
    ),
    # an atomic list
    (
        {"spec": {"tolerations": [{"key": "a"}]}},
        {"spec": {"tolerations": [{"key": "b"}]}},
        {"spec": {"tolerations": [{"key": "b"}]}},
    ),
    # null
    ({"spec": {"nodeName": "n"}}, {"spec": {"nodeName": None}}, {"spec": {}}),
    (
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
        {"metadata": {"labels": {"a": None}}},
        {"metadata": {"labels": {"b": "2"}}},
    ),
    # $patch: delete
    (
        pod({"name": "a"}, {"name": "b"}),
        pod({"name": "a", "$patch": "delete"}),
        pod({"name": "b"}),
    ),
    (
        {"spec": {"securityContext": {"runAsUser": 1}}},
        {"spec": {"securityContext": {"$patch": "delete"}}},
        {"spec": {"securityContext": {}}},
    ),
    # $patch: replace
    (
        pod({"name": "a"}, {"name": "b"}),
        pod({"$patch": "replace"}, {"name": "c"}),
        pod({"name": "c"}),
    ),
    (
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"$patch": "replace", "b": "2"}}},
        {"metadata": {"labels": {"b": "2"}}},
    ),
    # $patch: merge, as an element, does what is done anyway
    (pod({"name": "a", "image": "1"}), pod({"name": "a", "tty": True}), pod({"name": "a", "image": "1", "tty": True})),
    # $deleteFromPrimitiveList
    (
        {"metadata": {"finalizers": ["a", "b", "c"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c"]}},
        {"metadata": {"finalizers": ["b"]}},
    ),
    (
        {"metadata": {"finalizers": ["a"]}},
        {"metadata": {"finalizers": ["b"]}},
        {"metadata": {"finalizers": ["b", "a"]}},
    ),
    # $setElementOrder
    (
        pod({"name": "a"}, {"name": "b"}),
        {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        pod({"name": "b"}, {"name": "a"}),
    ),
    (
        pod({"name": "a"}, {"name": "b"}),
        {
            "spec": {
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                "containers": [{"name": "c"}],
            }
        },
        pod({"name": "c"}, {"name": "b"}, {"name": "a"}),
    ),
    (
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$setElementOrder/finalizers": ["b", "a"]}},
        {"metadata": {"finalizers": ["b", "a"]}},
    ),
]


@pytest.mark.parametrize(("document", "patch", "result"), TABLE)
def test_directives_and_lists(document: JSON, patch: JSON, result: JSON) -> None:
    """Each form of a list and each directive does what it says, on a copy."""
    before = copy.deepcopy((document, patch))
    assert strategic_merge(document, patch, POD) == result
    assert (document, patch) == before


def test_retained_keys() -> None:
    """A union loses the members that $retainKeys does not name."""
    rolling = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(rolling, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    kept = strategic_merge(rolling, {"spec": {"strategy": {"type": "Recreate"}}}, DEPLOYMENT)
    assert kept["spec"]["strategy"] == {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}


@pytest.mark.parametrize(
    ("document", "patch"),
    [
        (pod({"name": "a"}), pod({"image": "x"})),
        (pod({"name": "a"}), pod({"name": "a", "$patch": "frobnicate"})),
        (SECURED, {"spec": {"securityContext": {"$patch": "frobnicate"}}}),
        (SECURED, {"spec": {"securityContext": {"$retainKeys": ["a"], "runAsUser": 1}}}),
        (pod({"name": "a"}), pod({"name": "a"}, **{"$setElementOrder/containers": [{"name": "b"}]})),
    ],
)
def test_directives_that_make_no_sense(document: JSON, patch: JSON) -> None:
    """A patch that cannot be understood changes nothing."""
    with pytest.raises(StrategicError):
        strategic_merge(document, patch, POD)


NAMES = st.sampled_from(["a", "b", "c"])
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"image": NAMES, "tty": st.booleans()}),
    max_size=3,
    unique_by=lambda container: container["name"],
)


@settings(max_examples=200, deadline=None)
@given(CONTAINERS, CONTAINERS)
def test_keyed_lists_lose_nothing(live: list[JSON], patch: list[JSON]) -> None:
    """Merging keyed lists keeps every element once, and gives the patch the last word; again changes nothing."""
    once = strategic_merge(pod(*live), pod(*patch), POD)
    merged = {container["name"]: container for container in once["spec"]["containers"]}
    expected = {container["name"]: container for container in live}
    for container in patch:
        expected[container["name"]] = {**expected.get(container["name"], {}), **container}
    assert merged == expected
    assert len(once["spec"]["containers"]) == len(merged)
    assert strategic_merge(once, pod(*patch), POD) == once

"""Reading DisaggregatedSets and scalers: defaults, and what is kept as it was stored."""

from __future__ import annotations

import pytest

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from tests.api.disaggregatedset.making import ds, external, manifest, role


def test_spec_2_1_defaults() -> None:
    """An absent field reads as its default, and null as absent."""
    found = DisaggregatedSet.from_json({"metadata": {"name": "x"}, "spec": {"roles": [{"name": "a", "scaling": None}]}})
    (only,) = found.spec.roles
    assert (found.spec.slices, found.spec.placement_policy, only.external, only.replicas) == (1, None, False, 1)
    assert DisaggregatedSetRoleScaler.from_json({"metadata": {}}).spec.replicas == 0


def test_roles_as_they_were_stored() -> None:
    """Children are made from what the user wrote, unknown members of a template included."""
    stored = manifest(role("a", template={"workerTemplate": {"spec": {"novel": 1}}}), external("b"))
    found = DisaggregatedSet.from_json(stored)
    assert found.raw_roles == stored["spec"]["roles"]
    assert [each.external for each in found.spec.roles] == [False, True]


def test_a_wrong_type_is_a_value_error() -> None:
    """An object past the schema fails alone, with an error that callers know."""
    with pytest.raises(ValueError, match="slices"):
        ds(slices="many")
    with pytest.raises(ValueError, match="str"):
        DisaggregatedSetRoleScaler.from_json({"metadata": {"name": 1}})


def test_spec_1_names_and_labels() -> None:
    """Names are built of set, slice, revision and role; the five labels tell the same."""
    child = names.child("x", 0, "28d81a04", "prefill")
    assert (child, names.service(child)) == ("x-0-28d81a04-prefill", "x-0-28d81a04-prefill-prv")
    assert names.legacy_child("x", "28d81a04", "prefill") == "x-28d81a04-prefill"
    assert names.scaler("x", "prefill") == "x-prefill"
    assert labels.system("x", 2, "28d81a04", "prefill") == {
        "disaggregatedset.x-k8s.io/name": "x",
        "disaggregatedset.x-k8s.io/role": "prefill",
        "disaggregatedset.x-k8s.io/slice": "2",
        "disaggregatedset.x-k8s.io/revision": "28d81a04",
        "app": "x-2-prefill",
    }


def test_whose_name_it_may_be() -> None:
    """Every generated name begins with the set's name and a dash."""
    assert names.sets_that_name("a-b-0-c") == ("a", "a-b", "a-b-0")
    assert "a-b" in names.sets_that_name(names.child("a-b", 0, "28d81a04", "c"))
    assert names.sets_that_name("alone") == ()

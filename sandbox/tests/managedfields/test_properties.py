"""What holds of every story of writes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox.tests.managedfields.story import POD, Story

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields import FieldSet, same_but_times
from lws_sandbox.managedfields.typed import compare, field_set
from lws_sandbox.managedfields.types import type_of
from lws_sandbox.status import StatusError

NAMES = st.sampled_from(["a", "b", "c"])


def _name(element: Any) -> str:
    return str(element["name"])


CONTAINERS: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        dict[str, Any]({"name": NAMES}),
        optional={
            "image": NAMES,
            "args": st.lists(NAMES, max_size=2),
            "env": st.lists(
                st.fixed_dictionaries({"name": NAMES}, optional={"value": NAMES}),
                max_size=2,
                unique_by=_name,
            ),
        },
    ),
    max_size=3,
    unique_by=_name,
)
SPECS: st.SearchStrategy[JSON] = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS,
        "nodeSelector": st.dictionaries(NAMES, NAMES, max_size=2),
        "tolerations": st.lists(st.fixed_dictionaries({"key": NAMES}), max_size=2),
        "nodeName": NAMES,
    },
)
METADATA: st.SearchStrategy[JSON] = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(NAMES, NAMES, max_size=2),
        "finalizers": st.lists(NAMES, max_size=2, unique=True),
    },
)
WRITES = st.lists(st.tuples(st.sampled_from(["x", "y"]), st.booleans(), METADATA, SPECS), min_size=1, max_size=5)
OBJECTS = st.builds(lambda metadata, spec: {"metadata": metadata, "spec": spec}, METADATA, SPECS)


def told(writes: list[tuple[str, bool, JSON, JSON]]) -> Story:
    """A story of forced applies and of updates."""
    story = Story(POD)
    story.write("w", metadata={"labels": {"base": "x"}})
    for manager, applies, metadata, spec in writes:
        if applies:
            story.apply(manager, force=True, metadata=metadata, spec=spec)
        else:
            story.write(manager, metadata=metadata, spec=spec)
    return story


@settings(max_examples=60, deadline=None)
@given(WRITES, METADATA, SPECS)
def test_applying_again_changes_nothing(writes: list[Any], metadata: JSON, spec: JSON) -> None:
    """An apply right after the same apply leaves object and owners as they are, forced or not."""
    story = told(writes)
    once = copy.deepcopy(story.apply("z", force=True, metadata=metadata, spec=spec))
    assert same_but_times(story.apply("z", metadata=metadata, spec=spec), once)
    assert same_but_times(story.apply("z", force=True, metadata=metadata, spec=spec), once)


@settings(max_examples=60, deadline=None)
@given(WRITES, METADATA, SPECS)
def test_an_applier_owns_what_it_applied(writes: list[Any], metadata: JSON, spec: JSON) -> None:
    """What an apply names has the value that it names, and is its applier's own, and nothing else is."""
    story = told(writes)
    obj = story.apply("z", force=True, metadata=metadata, spec=spec)
    kind = type_of(POD)
    applied = {"spec": spec, **({"metadata": metadata} if metadata else {})}
    own = FieldSet.from_json(story.owners.get("z", {}))
    assert not field_set(kind, applied).difference(own)
    assert not compare(kind, applied, obj).modified
    assert not own.difference(field_set(kind, applied))


@settings(max_examples=60, deadline=None)
@given(WRITES, METADATA, SPECS)
def test_a_conflict_is_what_force_overcomes(writes: list[Any], metadata: JSON, spec: JSON) -> None:
    """An apply without force gives what one with force gives, or is refused."""
    plain, forced = told(writes), told(writes)
    expected = forced.apply("z", force=True, metadata=metadata, spec=spec)
    before = copy.deepcopy(plain.obj)
    try:
        assert plain.apply("z", metadata=metadata, spec=spec) == expected
    except StatusError as error:
        refusal = error
    else:
        return
    assert refusal.code == 409
    assert plain.obj == before != expected


@settings(max_examples=100, deadline=None)
@given(OBJECTS)
def test_fields_come_back_from_their_form(obj: JSON) -> None:
    """FieldsV1 is read as it was written."""
    fields = field_set(type_of(POD), obj)
    assert FieldSet.from_json(fields.to_json()) == fields
    assert FieldSet.of(*fields) == fields


@settings(max_examples=100, deadline=None)
@given(OBJECTS, OBJECTS)
def test_sets_obey_their_laws(one: JSON, other: JSON) -> None:
    """Union, intersection and difference fit together, and a comparison tells added from removed."""
    kind = type_of(POD)
    left, right = field_set(kind, one), field_set(kind, other)
    assert left.union(right) == right.union(left)
    assert left.difference(right).union(left.intersection(right)) == left
    assert not left.difference(left)
    there, back = compare(kind, one, other), compare(kind, other, one)
    assert (there.added, there.removed, there.modified) == (back.removed, back.added, back.modified)
    same = compare(kind, one, copy.deepcopy(one))
    assert not same.added
    assert not same.removed
    assert not same.modified

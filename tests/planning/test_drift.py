"""Whether an apply would change the live object (CD-11)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lws.api.leaderworkerset.labels import FIELD_MANAGER
from lws.apimachinery import drift
from lws.apimachinery.manifests import JSON

WANTED: dict[str, Any] = {
    "metadata": {"name": "s", "labels": {"a": "b"}, "ownerReferences": [{"uid": "u", "name": "n"}]},
    "spec": {
        "replicas": 2,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "", "whenScaled": "Delete"},
        "template": {"spec": {"containers": [{"name": "main", "image": "i", "resources": {}}]}},
    },
}
OWNED: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {'k:{"uid":"u"}': {}}},
    "f:spec": {
        "f:replicas": {},
        "f:persistentVolumeClaimRetentionPolicy": {"f:whenDeleted": {}, "f:whenScaled": {}},
        "f:template": {
            "f:spec": {"f:containers": {'k:{"name":"main"}': {".": {}, "f:name": {}, "f:image": {}, "f:resources": {}}}}
        },
    },
}


def would_change(wanted: JSON, live: JSON) -> bool:
    """Whether an apply as our field manager would alter the live object."""
    return drift.would_change(wanted, live, FIELD_MANAGER)


def live(**entry: Any) -> dict[str, Any]:
    """The live object as an earlier apply of the same left it."""
    out = copy.deepcopy(WANTED)
    out["metadata"]["managedFields"] = [
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {}},
        {"manager": "lws", "operation": "Apply", "fieldsV1": copy.deepcopy(OWNED), **entry},
    ]
    out["metadata"]["generation"] = 4
    out["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] = "Retain"
    out["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    out["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    out["status"] = {"replicas": 2}
    return out


def test_what_an_earlier_apply_left_needs_none() -> None:
    """Server defaults and the status of others do not count."""
    assert not would_change(WANTED, live())


def test_a_value_that_the_server_drops_needs_none() -> None:
    """A field that we own and that is not there, as with a feature that is off, would not come by applying again."""
    found = live()
    del found["spec"]["replicas"]
    assert not would_change(WANTED, found)
    del found["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:replicas"]
    assert would_change(WANTED, found)


def test_a_list_entry_may_leave_its_key_out() -> None:
    """The server owns an entry without a name under the empty name, and applying it again changes nothing."""
    wanted, found = copy.deepcopy(WANTED), live()
    for one in (wanted, found):
        one["spec"]["template"]["spec"]["imagePullSecrets"] = [{}]
    fields = found["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    fields["f:imagePullSecrets"] = {'k:{"name":""}': {}}
    assert not would_change(wanted, found)
    fields["f:imagePullSecrets"] = {'k:{"name":"secret"}': {}}
    assert would_change(wanted, found)


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "replicas"),
        ("metadata", "labels", "a"),
        ("spec", "template", "spec", "containers", 0, "image"),
        ("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"),
    ],
)
def test_a_changed_value_needs_an_apply(path: tuple[Any, ...]) -> None:
    """Any wanted value that the live object does not have is drift."""
    found = live()
    place = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "changed"
    assert would_change(WANTED, found)


def test_a_value_no_longer_wanted_needs_an_apply() -> None:
    """A label or container that we own and want no more has to go."""
    less = copy.deepcopy(WANTED)
    del less["metadata"]["labels"]["a"]
    assert would_change(less, live())
    other = copy.deepcopy(WANTED)
    other["spec"]["template"]["spec"]["containers"][0]["name"] = "other"
    assert would_change(other, live())


@pytest.mark.parametrize(
    "entry", [{"manager": "kubectl"}, {"operation": "Update"}, {"subresource": "scale"}, {"fieldsV1": None}]
)
def test_without_an_earlier_apply_of_ours_there_is_one_to_make(entry: dict[str, Any]) -> None:
    """An object that we never applied is applied, be it equal."""
    assert would_change(WANTED, live(**entry))


def test_numbers_and_texts_differ() -> None:
    """The number 2 and the text "2" are two values; true is no number."""
    found = live()
    found["spec"]["replicas"] = "2"
    assert would_change(WANTED, found)
    found["spec"]["replicas"] = True
    assert would_change({**WANTED, "spec": {**WANTED["spec"], "replicas": 1}}, found)

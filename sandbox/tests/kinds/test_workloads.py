"""StatefulSets, Deployments, ReplicaSets and revisions."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.kinds.written import NOW, changed, container, context, made, pod, refused, strategy, workload

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import Features
from lws_sandbox.releases import RELEASES
from lws_sandbox.schema import builtin_schema, decode
from lws_sandbox.schema.decoding import typed
from lws_sandbox.schema.gojson import Spelled

STATEFULSETS = strategy("statefulsets", "apps")
DEPLOYMENTS = strategy("deployments", "apps")
REVISIONS = strategy("controllerrevisions", "apps")
FIXED = "spec: Forbidden: updates to statefulset spec for fields other than"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ({"rollingUpdate": {}}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ({"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        ({"type": "OnDelete"}, {"type": "OnDelete"}),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 3, "maxUnavailable": 2}},
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}},
        ),
    ],
)
def test_update_strategies(given: JSON | None, expected: JSON) -> None:
    """The strategy's defaults depend on what was given; maxUnavailable is dropped while its feature is off."""
    spec = {} if given is None else {"updateStrategy": given}
    assert made(STATEFULSETS, workload(**spec))["spec"]["updateStrategy"] == expected


def test_max_unavailable_is_kept_with_its_feature() -> None:
    """With the feature on, maxUnavailable is defaulted, kept and checked."""
    kind = strategy("statefulsets", "apps", features=Features(max_unavailable_statefulset=True))
    assert made(kind, workload())["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0, "maxUnavailable": 1}
    path = "spec.updateStrategy.rollingUpdate.maxUnavailable"
    for value, text in ((0, "0: cannot be 0"), ("101%", '"101%": must not be greater than 100%'), (-1, "-1: must be")):
        spec = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": value}}}
        assert refused(kind, workload(**spec))[0].startswith(f"{path}: Invalid value: {text}")


def test_max_unavailable_of_an_old_object_stays() -> None:
    """What was stored with the feature on is not taken away when it is off."""
    on = strategy("statefulsets", "apps", features=Features(max_unavailable_statefulset=True))
    old = made(on, workload(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}))
    new, wrong = changed(STATEFULSETS, old, spec__replicas=5)
    assert wrong == []
    assert new["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 2


def test_releases_differ_as_their_servers_do() -> None:
    """1.37 keeps and defaults maxUnavailable, and names each fixed field that was changed; others do neither."""
    for release, features in RELEASES.items():
        kind = strategy("statefulsets", "apps", features=features if release == "1.37" else None)
        old = made(kind, workload())
        assert ("maxUnavailable" in old["spec"]["updateStrategy"]["rollingUpdate"]) is (release == "1.37")
        wrong = changed(kind, old, spec__serviceName="other", spec__podManagementPolicy="Parallel")[1]
        assert len(wrong) == (2 if release == "1.37" else 1)
        assert all(each.endswith("field is immutable") is (release == "1.37") for each in wrong)


def test_retention_is_completed() -> None:
    """Each half of the retention policy defaults to Retain, an empty one too."""
    spec = {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": ""}}
    policy = made(STATEFULSETS, workload(**spec))["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert policy == {"whenDeleted": "Retain", "whenScaled": "Delete"}


CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
}


def test_claim_templates_may_be_mounted() -> None:
    """A claim template is told to be a claim, gets a mode and a phase, and its volume may be mounted."""
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [container(volumeMounts=[{"name": "data", "mountPath": "/d"}])]},
    }
    new = made(STATEFULSETS, workload(template=template, volumeClaimTemplates=[CLAIM]))
    (claim,) = new["spec"]["volumeClaimTemplates"]
    assert (claim["kind"], claim["apiVersion"], claim["status"]) == (
        "PersistentVolumeClaim",
        "v1",
        {"phase": "Pending"},
    )
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    assert claim["spec"]["volumeMode"] == "Filesystem"
    assert refused(STATEFULSETS, workload(template=template)) == [
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'
    ]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"),
        ({"serviceName": "A"}, 'spec.serviceName: Invalid value: "A": a lowercase RFC 1123 label must'),
        (
            {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}]},
            "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
        ),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Odd"}},
            'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Odd": supported',
        ),
        (
            {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}},
            "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
        ),
        (
            {"template": {"metadata": {"labels": {"app": "a"}}, **pod(activeDeadlineSeconds=5)}},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet",
        ),
    ],
)
def test_rules_of_statefulsets(spec: JSON, text: str) -> None:
    """Each broken rule is told at its path."""
    found = refused(STATEFULSETS, workload(**spec))
    assert any(each.startswith(text) for each in found), found


@pytest.mark.parametrize(
    ("edit", "taken"),
    [
        ({"spec__replicas": 5}, True),
        ({"spec__minReadySeconds": 5}, True),
        ({"spec__ordinals": {"start": 2}}, True),
        ({"spec__revisionHistoryLimit": 3}, True),
        ({"spec__persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}, True),
        ({"spec__updateStrategy": {"type": "OnDelete"}}, True),
        ({"spec__serviceName": "b"}, False),
        ({"spec__podManagementPolicy": "Parallel"}, False),
        ({"spec__volumeClaimTemplates": [CLAIM]}, False),
    ],
)
def test_what_may_change_in_a_statefulset(edit: JSON, taken: bool) -> None:
    """Seven members of the spec may change; a change of any other is refused."""
    wrong = changed(STATEFULSETS, made(STATEFULSETS, workload()), **edit)[1]
    assert wrong == [] if taken else wrong[0].startswith(FIXED)


@pytest.mark.parametrize(
    ("status", "texts"),
    [
        ({"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}, []),
        (
            {"replicas": 1, "readyReplicas": 1, "availableReplicas": 2},
            [
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas",
            ],
        ),
        (
            {"replicas": 3, "updatedReplicas": -1, "currentReplicas": 4},
            [
                "status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0",
                "status.currentReplicas: Invalid value: 4: cannot be greater than status.replicas",
            ],
        ),
        ({"replicas": 0, "collisionCount": 1}, ["status.collisionCount: Invalid value: 1: cannot be decremented"]),
    ],
)
def test_status_of_a_statefulset(status: JSON, texts: list[str]) -> None:
    """Counts are not negative, fit each other, and collisions are never forgotten."""
    old = {
        **made(STATEFULSETS, workload()),
        "status": {"replicas": 0, "collisionCount": 2 if "collisionCount" in status else None},
    }
    new = {**old, "status": status}
    assert [cause.text for cause in STATEFULSETS.validate_status(new, old, context())] == texts


def test_generations_count_changes_of_the_spec() -> None:
    """A StatefulSet's generation follows its spec, a Deployment's its annotations as well."""
    old = made(STATEFULSETS, workload())
    labelled = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}
    assert not STATEFULSETS.changed(labelled, old)
    assert DEPLOYMENTS.changed(labelled, old)
    assert STATEFULSETS.changed({**old, "spec": {**old["spec"], "replicas": 9}}, old)


def test_deployments_have_their_defaults() -> None:
    """A Deployment rolls a quarter at a time and is given ten minutes."""
    spec = made(DEPLOYMENTS, workload())["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        ({"strategy": {"type": "Odd"}}, 'spec.strategy.type: Unsupported value: "Odd": supported values: "Recreate"'),
        ({"progressDeadlineSeconds": 1, "minReadySeconds": 1}, "spec.progressDeadlineSeconds: Invalid value: 1: must"),
        ({"selector": {"matchLabels": {"x": "y"}}}, "spec.template.metadata.labels: Invalid value: {"),
    ],
)
def test_rules_of_deployments(spec: JSON, text: str) -> None:
    """Each broken rule is told at its path."""
    found = refused(DEPLOYMENTS, workload(**spec))
    assert any(each.startswith(text) for each in found), found


def test_selectors_of_deployments_stay() -> None:
    """A selector is immutable."""
    old = made(DEPLOYMENTS, workload())
    template = {**old["spec"]["template"], "metadata": {"labels": {"app": "a", "x": "y"}}}
    wrong = changed(DEPLOYMENTS, old, spec__selector={"matchLabels": {"x": "y"}}, spec__template=template)[1]
    assert wrong == ['spec.selector: Invalid value: {"matchLabels":{"x":"y"}}: field is immutable']


def test_revisions_never_change_their_data() -> None:
    """The data of a ControllerRevision stays; its number may move."""
    old = made(REVISIONS, {"revision": 1, "data": {"spec": {"a": 1}}})
    assert changed(REVISIONS, old, revision=2)[1] == []
    assert changed(REVISIONS, old, data={"spec": {"a": 2}})[1] == [
        'data: Invalid value: {"spec":{"a":2}}: field is immutable'
    ]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('{"spec":{"a":"x\\u0026y","b":[1,{}]}}', True),  # as Go writes it
        ('{"spec": {"a":"x\\u0026y","b":[1,{}]}}', False),
        ('{"spec":{"b":[1,{}],"a":"x\\u0026y"}}', False),
        ('{"spec":{"a":"x&y","b":[1,{}]}}', False),
    ],
)
def test_data_of_revisions_is_compared_byte_for_byte(text: str, same: bool) -> None:
    """White space, order and escapes count between what is sent twice; a patch spells the data as Go does."""
    spelled = '{"spec":{"a":"x\\u0026y","b":[1,{}]}}'
    assert _refused(text, spelled) == ([] if same else ["data"])
    assert _refused(text, text) == []
    patched, _ = typed(_decoded(text), REVISION_SCHEMA)
    assert not isinstance(patched["data"], Spelled)


REVISION_SCHEMA = builtin_schema("apps/v1", "ControllerRevision")


def _decoded(data: str) -> JSON:
    body = '{"metadata":{"name":"a", "labels": {"data":"}"}},\n "revision": 1, "data" : ' + data + "}"
    return decode(body.encode(), "application/json", REVISION_SCHEMA)[0]


def _refused(new: str, old: str) -> list[str]:
    return [cause.field for cause in REVISIONS.validate_update(_decoded(new), _decoded(old), context())]


def test_rows_of_workloads() -> None:
    """Ready of wanted, containers and images, and the controller of a revision."""
    new = made(STATEFULSETS, workload(replicas=3))
    assert STATEFULSETS.row(new, NOW)[1] == "0/3"
    assert STATEFULSETS.row(new, NOW)[3:] == ["main", "registry.example/app:1"]
    owner: JSON = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    revision = made(REVISIONS, {"revision": 3, "data": {}, "metadata": {"ownerReferences": [owner]}})
    assert REVISIONS.row(revision, NOW)[1:3] == ["pod/p", 3]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "k", "operator": "In", "values": ["y", "x"]}]}, "k in (x,y)"),
        ({"matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]}, "!k"),
        ({}, "<none>"),
    ],
)
def test_selectors_as_text(selector: Any, text: str) -> None:
    """Selectors are shown in one form, sorted."""
    kind = strategy("replicasets", "apps")
    shown = kind.row({"metadata": {"name": "a"}, "spec": {"selector": selector}, "status": {}}, NOW)[-1]
    assert shown == text

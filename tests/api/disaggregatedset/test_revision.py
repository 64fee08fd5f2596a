"""The revision: a hash over what Go writes (disaggregatedset 4, appendix A)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api import schemas
from lws.api.customresource import struct
from lws.api.disaggregatedset.memberorder import ORDER
from lws.api.disaggregatedset.revision import UnreadableTemplateError, content, revision_of
from lws.api.leaderworkerset import normalform
from lws.api.leaderworkerset.types import LeaderWorkerTemplate
from lws.apimachinery.manifests import JSON
from tests.api.disaggregatedset.making import pause, role

LIMITS = {"cpu": "0.5", "memory": "1024Mi"}
NGINX = {"name": "worker", "image": "nginx:latest", "ports": [{"containerPort": 80}]}
SMALL = {"cpu": "100m", "memory": "64Mi"}


def pair(first: JSON | None = None, second: JSON | None = None) -> list[JSON]:
    """Roles prefill and decode."""
    return [role("prefill", template=first), role("decode", template=second)]


def sample_role(name: str) -> JSON:
    """A role of the reference's sample with two roles."""
    pod = {"metadata": {"labels": {"role": name}}, "spec": {"containers": [NGINX]}}
    return role(name, 2, template={"size": 1, "leaderTemplate": pod, "workerTemplate": pod})


def sample_of_three(name: str, size: int) -> JSON:
    """A role of the reference's sample with three roles."""
    model = {
        "name": "model",
        "image": "registry.k8s.io/pause:3.9",
        "resources": {"limits": SMALL, "requests": SMALL},
    }
    pod = {"metadata": {"labels": {"app": name, "component": "disaggregation"}}, "spec": {"containers": [model]}}
    return role(name, template={"size": size, "workerTemplate": pod})


def everything_at_once() -> JSON:
    """The template of example 12."""
    template = pause(
        container={"env": [], "stdin": False},
        size=4,
        restartPolicy="None",
        subGroupPolicy={"subGroupPolicyType": "LeaderWorker", "subGroupSize": 2},
        volumeClaimTemplates=[
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
            }
        ],
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"},
    )
    pod = template["workerTemplate"]
    pod["metadata"] = {"labels": {"b": "2", "a": "1"}}
    pod["spec"] |= {"nodeSelector": {}, "volumes": [{"name": "v", "emptyDir": {}}]}
    return template


WORKED: list[tuple[str, list[JSON], int, str]] = [
    ("1", [], 2, "4f53cda1"),
    ("2", pair(), 418, "28d81a04"),
    ("3", pair(pause("3.10"), pause("3.10")), 420, "c49d2f9c"),
    ("4", list(reversed(pair())), 418, "f8b99c79"),
    ("5", pair(pause("3.10")), 419, "9f0ac70d"),
    ("6", pair(pause(size=2)), 418, "c1c6ff17"),
    ("7", pair(pause(container={"resources": {"limits": LIMITS}})), 456, "8e8b8a85"),
    ("8", pair(pause(container={"resources": {"limits": {"memory": "1Gi", "cpu": "500m"}}})), 456, "8e8b8a85"),
    ("9", pair(pause(container={"args": ["--a=<b>&c", "ü"]})), 459, "845d810e"),
    ("10", [sample_role("prefill"), sample_role("decode")], 920, "e61c8ac2"),
    ("11", [sample_of_three("prefill", 2), *(sample_of_three(n, 1) for n in ("decode", "encode"))], 1035, "2bf382bf"),
    ("12", pair(everything_at_once()), 749, "d77e1c4a"),
]


@pytest.mark.parametrize(("roles", "length", "expected"), [row[1:] for row in WORKED], ids=[row[0] for row in WORKED])
def test_spec_4_4_worked_examples(roles: list[JSON], length: int, expected: str) -> None:
    """Bytes and hash are the reference's."""
    assert (len(content(roles)), revision_of(roles)) == (length, expected)


def test_spec_4_4_bytes_of_the_simplest_set() -> None:
    """Members come in Go's order, with what is always written and what the schema defaults."""
    element = (
        '{"name":"%s","template":{"workerTemplate":{"metadata":{},"spec":{"containers":[{"name":"main","image":'
        '"registry.k8s.io/pause:3.9","resources":{}}]}},"size":1,"restartPolicy":"RecreateGroupOnPodRestart"}}'
    )
    assert content(pair()).decode() == f"[{element % 'prefill'},{element % 'decode'}]"


def test_spec_4_4_bytes_of_every_section() -> None:
    """Empty maps, lists and false vanish, an empty emptyDir stays, and claims bear an empty status."""
    first = (
        '[{"name":"prefill","template":{"workerTemplate":{"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"volumes":'
        '[{"name":"v","emptyDir":{}}],"containers":[{"name":"main","image":"registry.k8s.io/pause:3.9","resources":{}}'
        ']}},"size":4,"restartPolicy":"None","subGroupPolicy":{"subGroupPolicyType":"LeaderWorker","subGroupSize":2},'
        '"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":'
        '{"requests":{"storage":"10Gi"}}},"status":{}}],"persistentVolumeClaimRetentionPolicy":{"whenDeleted":'
        '"Delete"}}}'
    )
    assert content(pair(everything_at_once())).decode().startswith(first + ",")


def test_spec_4_1_a_role_without_spec() -> None:
    """It has an empty worker template, without the defaults of a template that is there."""
    assert content([{"name": "a"}]) == (
        b'[{"name":"a","template":{"workerTemplate":{"metadata":{},"spec":{"containers":null}}}}]'
    )


@pytest.mark.parametrize(
    "outside",
    [
        {"replicas": 7},
        {"rolloutStrategy": {"type": "RollingUpdate"}},
        {"startupPolicy": "LeaderReady"},
        {"networkConfig": {"subdomainPolicy": "Shared"}},
    ],
)
def test_spec_4_1_what_is_not_in_it(outside: JSON) -> None:
    """Nothing of a role's spec but its template starts a rollout."""
    changed = role("prefill", metadata={"labels": {"a": "b"}}, scaling={"mode": "External"}, **outside)
    assert revision_of([changed, role("decode")]) == "28d81a04"


QUANTITIES = """1000m=1 0.5=500m .5=500m 1.0=1 00.50=500m 1.1=1100m 1024Mi=1Gi 1.5Gi=1536Mi 2048Ki=2Mi 1000Ki=1000Ki
0.5Ki=512 0.1Gi=107374182400m 1.1Ki=1126400m 1000k=1M 0Gi=0 1e3=1e3 3e-1=300e-3 1.25e2=1.25e2 +5=+5 0.0000000001=1n
-0.5n=-1n 100000000000000000000=100E 6000E=6 6000e18=6e21 16Ei=9223372036854775807 0=0""".split()


@pytest.mark.parametrize("sample", QUANTITIES)
def test_spec_4_3_quantities(sample: str) -> None:
    """Quantities are written as the reference writes them back."""
    given_, _, expected = sample.partition("=")
    written = content([role("a", template=pause(container={"resources": {"limits": {"cpu": given_}}}))])
    assert json.loads(written)[0]["template"]["workerTemplate"]["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": expected}
    }


def test_spec_4_3_a_quantity_that_nobody_reads() -> None:
    """A fractional exponent passes the schema's pattern; the error names the role whose template has it."""
    template = pause(container={"resources": {"limits": {"cpu": "1e1.5"}}})
    with pytest.raises(UnreadableTemplateError, match=r"^spec\.roles\[1\]\.spec\.leaderWorkerTemplate: "):
        revision_of([role("a"), role("b", template=template)])


@pytest.mark.parametrize(
    ("claim_status", "expected"),
    [
        (
            {"conditions": [{"type": "t", "status": "True", "lastProbeTime": "2024-05-06T09:08:09.7+02:00"}]},
            '"conditions":[{"type":"t","status":"True","lastProbeTime":"2024-05-06T07:08:09Z","lastTransitionTime":null}]',
        ),
        ({"capacity": {"b": "1000m", "a": 2}}, '"capacity":{"a":"2","b":"1"}'),
    ],
)
def test_rules_e5_e7_e8(claim_status: JSON, expected: str) -> None:
    """Times are UTC and whole seconds, absent ones null; numbers given for quantities become strings."""
    template = pause(volumeClaimTemplates=[{"metadata": {}, "spec": {}, "status": claim_status}])
    assert f'"status":{{{expected}}}' in content([role("a", template=template)]).decode()


def test_rule_e5_an_absent_pointer_is_null() -> None:
    """A member that is always written and held by reference is null."""
    claim = {"metadata": {}, "spec": {"dataSource": {"kind": "k", "name": "n"}}}
    written = content([role("a", template=pause(volumeClaimTemplates=[claim]))])
    assert b'"dataSource":{"apiGroup":null,"kind":"k","name":"n"}' in written


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (
            {"volumes": [{"name": "v", "scaleIO": {"gateway": "g", "system": "s"}}]},
            '"scaleIO":{"gateway":"g","system":"s","secretRef":null,',
        ),
        ({"containers": []}, '"containers":[]'),
        ({"terminationGracePeriodSeconds": 0, "hostNetwork": False}, '"terminationGracePeriodSeconds":0}'),
        (
            {
                "containers": [
                    {"name": "c", "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]}
                ]
            },
            '"resourceFieldRef":{"resource":"cpu","divisor":"0"}',
        ),
        (
            {"containers": [{"name": "c", "livenessProbe": {"httpGet": {}, "grpc": {"port": 1}}}]},
            '"livenessProbe":{"httpGet":{"port":0},"grpc":{"port":1,"service":""}}',
        ),
    ],
)
def test_rules_e3_e5_absent_members(pod: JSON, expected: str) -> None:
    """What is always written has the zero of its type, and significant zeros are kept."""
    spec = {"containers": [{"name": "main"}], **pod}
    assert expected in content([role("a", template={"workerTemplate": {"spec": spec}})]).decode()


def test_appendix_a_covers_the_schema() -> None:
    """The order names every member of every structure of the schema, and no other."""
    known = {name: set(found["properties"]) for name, found in schemas.definitions().items() if "properties" in found}
    template = struct(LeaderWorkerTemplate)["properties"]
    known["LeaderWorkerTemplate"] = set(template)
    known["SubGroupPolicy"] = set(template["subGroupPolicy"]["properties"])
    retention = template["persistentVolumeClaimRetentionPolicy"]["properties"]
    known["StatefulSetPersistentVolumeClaimRetentionPolicy"] = set(retention)
    assert {name: {member.rstrip("!*") for member in line.split()} for name, line in ORDER.items()} == known


TEXTS = st.sampled_from(["", "a", "b-1", "<&>\u2028ü"])
DEPTH = 4


def value_of(schema: JSON, depth: int = DEPTH) -> st.SearchStrategy[Any]:
    """Values that the schema of a template describes; deep structures have few members."""
    if "$ref" in schema:
        name = schema["$ref"]
        if name == schemas.QUANTITY:
            return st.sampled_from(["1", "0", "1000m", "1.5Gi", "+5", "1e3", 2, "1024Mi"])
        if name == schemas.INT_OR_STRING:
            return st.sampled_from([0, 80, "http", "25%"])
        if name == "Time":
            return st.just("2024-05-06T07:08:09Z")  # the normal form leaves times as they are written
        return value_of(schemas.definitions()[name], depth)
    if "properties" in schema:
        names, required = sorted(schema["properties"]), set(schema.get("required", ()))
        few = st.lists(st.sampled_from(names), max_size=4 if depth else 0, unique=True)

        def member(name: str) -> st.SearchStrategy[Any]:
            found = value_of(schema["properties"][name], depth - 1)
            # The two forms differ on empty values of members that the schema requires; a server holds none.
            return found.filter(lambda value: value not in ("", 0)) if name in required else found

        return few.flatmap(
            lambda chosen: st.fixed_dictionaries({name: member(name) for name in sorted({*chosen, *required})})
        )
    if isinstance(schema.get("additionalProperties"), dict):
        return st.dictionaries(TEXTS, value_of(schema["additionalProperties"], depth), max_size=2)
    if "items" in schema:
        return st.lists(value_of(schema["items"], depth), max_size=2)
    if "enum" in schema or schema.get("default"):  # a server fills in a default, and never holds an empty value there
        return st.sampled_from([each for each in (*schema.get("enum", ()), schema.get("default")) if each])
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.sampled_from([0, 1, 30]),
        "boolean": st.booleans(),
        "string": TEXTS,
    }
    return by_type[schema["type"]]


TEMPLATES = value_of(struct(LeaderWorkerTemplate), DEPTH)


@given(TEMPLATES)
@settings(deadline=None, max_examples=150)
def test_the_bytes_say_what_the_template_says(template: JSON) -> None:
    """What is written is the template in the LeaderWorkerSet's normal form, and written again it is the same."""
    written = content([role("a", template=template)])
    (again,) = json.loads(written)
    assert content([role("a", template=again["template"])]) == written
    assert normalform.template(again["template"]) == normalform.template(template)


@given(TEMPLATES, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=75)
def test_the_order_of_the_document_does_not_matter(template: JSON, chance: Any) -> None:
    """Members may stand in any order in what was read, and unknown ones are passed over."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    assert content([role("a", template={**shuffled(template), "unknown": 1})]) == content(
        [role("a", template=template)]
    )

"""The normal form of revision content, rule by rule (spec appendix A)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api import schemas
from lws.api.leaderworkerset import normalform
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import pod_template


def pod(**spec: Any) -> JSON:
    """The normal form of a pod spec with one container."""
    found: JSON = normalform.normalize(pod_template(**spec), "PodTemplateSpec")["spec"]
    return found


def container(**members: Any) -> JSON:
    """The normal form of a container."""
    found: JSON = pod(containers=[{"name": "main", **members}])["containers"][0]
    return found


def volume(**source: Any) -> JSON:
    """The normal form of a volume."""
    found: JSON = pod(volumes=[{"name": "v", **source}])["volumes"][0]
    return found


def claim(**members: Any) -> JSON:
    """The normal form of a volume claim template."""
    return normalform.normalize(members, "PersistentVolumeClaim")


def test_a1_unknown_and_null_members_are_dropped() -> None:
    """Members that the schema does not know, and null ones, are not there."""
    assert pod(future=1, hostname=None) == pod()
    assert container(env=[{"name": "A", "extra": True, "valueFrom": None}])["env"] == [{"name": "A"}]
    assert normalform.template({"workerTemplate": pod_template(), "$patch": "replace", "old": {}}) == (
        normalform.template({"workerTemplate": pod_template()})
    )


def test_a2_empty_lists_and_maps_are_dropped() -> None:
    """An empty list or map is as good as none."""
    assert pod(nodeSelector={}, tolerations=[], volumes=[]) == pod()
    assert container(args=[], env=[]) == container()


def test_a2_entries_stay_whatever_they_hold() -> None:
    """Empty entries of lists and maps are entries."""
    assert container(args=["", "a"])["args"] == ["", "a"]
    assert pod(nodeSelector={"a": ""})["nodeSelector"] == {"a": ""}
    assert pod(tolerations=[{}])["tolerations"] == [{}]


@pytest.mark.parametrize(
    "spec", [{"hostNetwork": False}, {"nodeName": ""}, {"hostname": ""}, {"dnsPolicy": ""}, {"hostPID": False}]
)
def test_a3_scalar_zeros_are_dropped(spec: JSON) -> None:
    """False, 0 and the empty text are as good as absent."""
    assert pod(**spec) == pod()


def test_a3_required_zeros_stay() -> None:
    """Zero in a member that the schema requires stays."""
    assert container(ports=[{"containerPort": 0}])["ports"] == [{"containerPort": 0, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("absent", "empty"),
    [
        (volume(), volume(emptyDir={})),
        (pod(), pod(securityContext={})),
        (container(), container(securityContext={})),
        (pod(), pod(affinity={})),
    ],
)
def test_a4_empty_structs_differ_from_absent(absent: JSON, empty: JSON) -> None:
    """An empty struct is kept, because it means something."""
    assert absent != empty


def test_a4_some_structs_are_always_there() -> None:
    """Metadata, resources of containers and claims, and the status of claims are there as `{}`."""
    assert normalform.normalize(pod_template(), "PodTemplateSpec")["metadata"] == {}
    assert container() == {"name": "main", "resources": {}}
    assert claim(spec={}) == {"metadata": {}, "spec": {"resources": {}}, "status": {}}
    assert claim() == claim(metadata={}, spec={"resources": {}}, status={})


def test_a5_metadata_keeps_five_members() -> None:
    """Other members of embedded metadata are dropped, a null creationTimestamp among them."""
    metadata = {
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "finalizers": ["e"],
        "name": "f",
        "namespace": "g",
    }
    written = {**pod_template(), "metadata": {**metadata, "creationTimestamp": None, "uid": "x", "generation": 3}}
    assert normalform.normalize(written, "PodTemplateSpec")["metadata"] == metadata


def test_a5_a_divisor_is_always_there() -> None:
    """resourceFieldRef.divisor defaults to the quantity zero."""
    env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]
    assert container(env=env)["env"][0]["valueFrom"]["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "0"}


def _place(schema: JSON, struct: str, seen: tuple[str, ...] = ()) -> bool:
    """Whether a struct can be reached from a pod template or a claim."""
    reference = schema.get("$ref")
    if reference == struct:
        return True
    if reference in seen or reference in (schemas.QUANTITY, schemas.INT_OR_STRING):
        return False
    if reference:
        return _place(schemas.definitions()[reference], struct, (*seen, reference))
    children = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(_place(child, struct, seen) for child in children if isinstance(child, dict))


CORE_ZEROS = [
    (struct, field)
    for struct, fields in normalform.SIGNIFICANT_ZEROS.items()
    for field in fields
    if struct in schemas.definitions()
]


@pytest.mark.parametrize(("struct", "field"), CORE_ZEROS)
def test_a6_explicit_zeros_are_significant(struct: str, field: str) -> None:
    """The zero of each field of table A6 is kept, and the struct belongs to what we embed."""
    zeros = {"integer": 0, "boolean": False, "string": ""}
    zero = zeros[schemas.definitions()[struct]["properties"][field]["type"]]
    normal = normalform.normalize({field: zero}, struct)
    assert normal[field] == zero
    assert type(normal[field]) is type(zero)
    assert any(_place({"$ref": root}, struct) for root in schemas.ROOTS)


def test_a6_zeros_of_our_own_fields() -> None:
    """Size, subGroupSize and subGroupPolicyType keep their zeros."""
    section = {"size": 0, "subGroupPolicy": {"subGroupSize": 0, "subGroupPolicyType": ""}}
    normal = normalform.template({**section, "workerTemplate": pod_template()})
    assert {key: normal[key] for key in section} == section


@pytest.mark.parametrize(
    ("written", "normal"),
    [("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), (2, "2"), (0.5, "500m"), ("0", "0"), ("1.500", "1500m")],
)
def test_a7_quantities_are_canonical(written: str | float, normal: str) -> None:
    """Quantities are canonical in every place that has them."""
    amounts = {"cpu": written}
    assert container(resources={"limits": amounts, "requests": amounts})["resources"] == {
        "limits": {"cpu": normal},
        "requests": {"cpu": normal},
    }
    assert pod(overhead=amounts)["overhead"] == {"cpu": normal}
    assert pod(resources={"requests": amounts})["resources"] == {"requests": {"cpu": normal}}
    assert volume(emptyDir={"sizeLimit": written})["emptyDir"] == {"sizeLimit": normal}
    assert claim(spec={"resources": {"requests": amounts}})["spec"]["resources"] == {"requests": {"cpu": normal}}
    env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "r", "divisor": written}}}]
    assert container(env=env)["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"] == normal


def test_a7_what_is_no_quantity_stays() -> None:
    """A text that is no quantity is compared as it is."""
    assert pod(overhead={"cpu": "many"})["overhead"] == {"cpu": "many"}


def test_a8_int_or_string_stays_as_written() -> None:
    """A port as number differs from the same as text."""
    assert container(livenessProbe={"httpGet": {"port": 8080}}) != container(
        livenessProbe={"httpGet": {"port": "8080"}}
    )
    assert container(livenessProbe={"tcpSocket": {"port": 0}})["livenessProbe"]["tcpSocket"] == {"port": 0}


def test_a8_integers_have_no_fraction() -> None:
    """A whole number written with a fraction is that integer."""
    normal = pod(terminationGracePeriodSeconds=30.0)["terminationGracePeriodSeconds"]
    assert (normal, type(normal)) == (30, int)


@pytest.mark.parametrize(
    ("written", "defaulted"),
    [
        (container(ports=[{"containerPort": 1}]), container(ports=[{"containerPort": 1, "protocol": "TCP"}])),
        (
            container(livenessProbe={"grpc": {"port": 1}}),
            container(livenessProbe={"grpc": {"port": 1, "service": ""}}),
        ),
        (pod(imagePullSecrets=[{}]), pod(imagePullSecrets=[{"name": ""}])),
        (
            container(envFrom=[{"configMapRef": {}}]),
            container(envFrom=[{"configMapRef": {"name": ""}}]),
        ),
        (
            volume(azureDisk={"diskName": "a", "diskURI": "b"}),
            volume(azureDisk={"diskName": "a", "diskURI": "b", "fsType": "ext4", "readOnly": False}),
        ),
        (
            volume(iscsi={"iqn": "a", "lun": 0, "targetPortal": "b"}),
            volume(iscsi={"iqn": "a", "lun": 0, "targetPortal": "b", "iscsiInterface": "default"}),
        ),
    ],
)
def test_a9_defaults_of_the_schema_apply(written: JSON, defaulted: JSON) -> None:
    """A default left out equals the default written."""
    assert written == defaulted


def test_a9_defaults_of_our_own_fields_apply() -> None:
    """Size, restart policy and subgroup type have their defaults."""
    normal = normalform.template({"workerTemplate": pod_template(), "subGroupPolicy": {"subGroupSize": 1}})
    assert (normal["size"], normal["restartPolicy"]) == (1, "RecreateGroupOnPodRestart")
    assert normal["subGroupPolicy"] == {"subGroupSize": 1, "subGroupPolicyType": "LeaderWorker"}


def test_a9_order_is_significant() -> None:
    """Lists in another order differ."""
    assert container(env=[{"name": "A"}, {"name": "B"}]) != container(env=[{"name": "B"}, {"name": "A"}])


@pytest.mark.parametrize("config", [None, {}, {"subdomainPolicy": None}, {"subdomainPolicy": "Shared"}])
def test_spec_6_2_absent_network_is_shared(config: JSON | None) -> None:
    """Without a network configuration the policy is Shared, so that defaulting it later is no change."""
    assert normalform.network(config) == {"subdomainPolicy": "Shared"}


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["", "0", "a", "1000m", "TCP"]), st.floats(0, 2)
)
ANYTHING = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=2), st.just({})), max_leaves=4)


def values(schema: JSON, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of roughly the schema's form, with faults."""
    if "$ref" in schema:
        reference = schema["$ref"]
        if reference in (schemas.QUANTITY, schemas.INT_OR_STRING):
            return LEAVES
        return values(schemas.definitions()[reference], depth)
    if depth > 5:
        return ANYTHING
    if "properties" in schema:
        known = sorted(schema["properties"])
        return st.lists(st.sampled_from([*known, "unknown"]), unique=True, max_size=4).flatmap(
            lambda names: st.fixed_dictionaries(
                {name: values(schema["properties"].get(name, {}), depth + 1) for name in names}
            )
        )
    if isinstance(schema.get("additionalProperties"), dict):
        return st.dictionaries(
            st.sampled_from(["a", "b"]), values(schema["additionalProperties"], depth + 1), max_size=2
        )
    if "items" in schema:
        return st.lists(values(schema["items"], depth + 1), max_size=2)
    return st.one_of(LEAVES, ANYTHING) if depth else ANYTHING


@settings(max_examples=150, deadline=None)
@given(values({"$ref": "PodTemplateSpec"}))
def test_normal_form_is_idempotent(written: JSON) -> None:
    """The normal form of a normal form is itself, whatever was written, and the argument is never changed."""
    before = copy.deepcopy(written)
    once = normalform.normalize(written, "PodTemplateSpec")
    assert normalform.normalize(once, "PodTemplateSpec") == once
    assert repr(written) == repr(before)


@settings(max_examples=100, deadline=None)
@given(values({"$ref": "PersistentVolumeClaim"}))
def test_normal_form_of_claims_is_idempotent(written: JSON) -> None:
    """Likewise for claims."""
    once = normalform.normalize(written, "PersistentVolumeClaim")
    assert normalform.normalize(once, "PersistentVolumeClaim") == once

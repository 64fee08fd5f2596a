"""The CustomResourceDefinition."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from hack import generate

from lws.api import schemas
from lws.api.leaderworkerset import crd
from lws.apimachinery.manifests import JSON

TEMPLATE = "spec.leaderWorkerTemplate"
POD = f"{TEMPLATE}.workerTemplate.spec"
CONTAINER = f"{POD}.containers[]"


def schema() -> JSON:
    """The schema as it is written."""
    found: JSON = crd.manifest()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def at(path: str) -> JSON:
    """The schema of a field; ``[]`` steps into a list."""
    node = schema()
    for step in path.split("."):
        node = node["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            node = node["items"]
    return node


def walk(node: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Every place of a schema."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]")


@pytest.mark.long
def test_generated_files_are_fresh() -> None:
    """Every generated file is what `make generate` writes now."""
    assert generate.stale() == []


def test_the_file_holds_the_manifest() -> None:
    """The YAML file says exactly what the models say."""
    path = generate.ROOT / "config" / "crd" / "leaderworkerset.x-k8s.io_leaderworkersets.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == crd.manifest()


@pytest.mark.long
def test_a_stale_file_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` names a file whose sources have changed, and fails."""
    name = next(iter(generate.FILES))
    monkeypatch.setitem(generate.FILES, name, lambda: "something else")
    assert generate.main(["--check"]) == 1
    assert name in capsys.readouterr().err


def test_spec_2_names_and_subresources() -> None:
    """Names, scope, subresources and storage are those of spec 2."""
    manifest = crd.manifest()
    assert manifest["metadata"]["name"] == "leaderworkersets.leaderworkerset.x-k8s.io"
    spec = manifest["spec"]
    assert spec["scope"] == "Namespaced"
    assert spec["names"] == {
        "kind": "LeaderWorkerSet",
        "listKind": "LeaderWorkerSetList",
        "plural": "leaderworkersets",
        "singular": "leaderworkerset",
        "shortNames": ["lws"],
    }
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)
    assert version["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.hpaPodSelector",
        },
    }


def test_spec_2_1_printer_columns() -> None:
    """The columns of spec 2.1, in their order; what is ours comes with `-o wide` only (resilience 4)."""
    columns = crd.manifest()["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [each["name"] for each in columns if each.get("priority")] == ["Health"]
    assert [(each["name"], each["type"], each["jsonPath"]) for each in columns if not each.get("priority")] == [
        ("Ready", "integer", ".status.readyReplicas"),
        ("Desired", "integer", ".spec.replicas"),
        ("Up-to-date", "integer", ".status.updatedReplicas"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.replicas", {"type": "integer", "format": "int32", "default": 1, "minimum": 0, "maximum": 1000000}),
        (f"{TEMPLATE}.size", {"type": "integer", "format": "int32", "default": 1}),
        (
            f"{TEMPLATE}.restartPolicy",
            {
                "type": "string",
                "default": "RecreateGroupOnPodRestart",
                "enum": ["Default", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None"],
            },
        ),
        (
            f"{TEMPLATE}.subGroupPolicy.subGroupPolicyType",
            {"type": "string", "default": "LeaderWorker", "enum": ["LeaderWorker", "LeaderExcluded"]},
        ),
        (f"{TEMPLATE}.subGroupPolicy.subGroupSize", {"type": "integer", "format": "int32"}),
        (f"{TEMPLATE}.persistentVolumeClaimRetentionPolicy.whenDeleted", {"type": "string"}),
        (
            "spec.rolloutStrategy.type",
            {"type": "string", "default": "RollingUpdate", "enum": ["RollingUpdate"]},
        ),
        (
            "spec.rolloutStrategy.rollingUpdateConfiguration.partition",
            {"type": "integer", "format": "int32", "default": 0},
        ),
        (
            "spec.rolloutStrategy.rollingUpdateConfiguration.maxUnavailable",
            {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1, "x-kubernetes-int-or-string": True},
        ),
        (
            "spec.rolloutStrategy.rollingUpdateConfiguration.maxSurge",
            {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 0, "x-kubernetes-int-or-string": True},
        ),
        (
            "spec.startupPolicy",
            {"type": "string", "default": "LeaderCreated", "enum": ["LeaderCreated", "LeaderReady"]},
        ),
        ("spec.networkConfig.subdomainPolicy", {"type": "string", "enum": ["Shared", "UniquePerReplica"]}),
        ("status.observedGeneration", {"type": "integer", "format": "int64"}),
        ("status.replicas", {"type": "integer", "format": "int32"}),
        ("status.hpaPodSelector", {"type": "string"}),
    ],
)
def test_spec_2_2_fields(path: str, expected: JSON) -> None:
    """Type, default, enum and limits of each field are those of spec 2.2 and 2.3."""
    assert {key: value for key, value in at(path).items() if key != "description"} == expected


def test_spec_2_2_required_members() -> None:
    """A template, a worker template, containers, and the members of two parents are required, but not spec itself."""
    assert "required" not in schema()
    assert at("spec")["required"] == ["leaderWorkerTemplate"]
    assert at(TEMPLATE)["required"] == ["workerTemplate"]
    assert at(POD)["required"] == ["containers"]
    assert at("spec.rolloutStrategy")["required"] == ["type"]
    assert at("spec.networkConfig")["required"] == ["subdomainPolicy"]


def test_spec_2_5_embedded_metadata() -> None:
    """Metadata of templates and claims keeps five members and prunes the rest."""
    for path in (f"{TEMPLATE}.leaderTemplate", f"{TEMPLATE}.workerTemplate", f"{TEMPLATE}.volumeClaimTemplates[]"):
        assert sorted(at(f"{path}.metadata")["properties"]) == [
            "annotations",
            "finalizers",
            "labels",
            "name",
            "namespace",
        ]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (f"{POD}.containers", ["name"]),
        (f"{POD}.initContainers", ["name"]),
        (f"{POD}.ephemeralContainers", ["name"]),
        (f"{CONTAINER}.env", ["name"]),
        (f"{POD}.volumes", ["name"]),
        (f"{POD}.imagePullSecrets", ["name"]),
        (f"{POD}.resourceClaims", ["name"]),
        (f"{POD}.schedulingGates", ["name"]),
        (f"{CONTAINER}.ports", ["containerPort", "protocol"]),
        (f"{CONTAINER}.volumeMounts", ["mountPath"]),
        (f"{CONTAINER}.volumeDevices", ["devicePath"]),
        (f"{POD}.hostAliases", ["ip"]),
        (f"{POD}.topologySpreadConstraints", ["topologyKey", "whenUnsatisfiable"]),
        ("status.conditions", ["type"]),
        ("status.groups", ["index"]),
        ("status.restarts", ["index"]),
    ],
)
def test_spec_2_5_list_maps(path: str, keys: list[str]) -> None:
    """List maps have the keys of the core types."""
    node = at(path)
    assert (node["x-kubernetes-list-type"], node["x-kubernetes-list-map-keys"]) == ("map", keys)


@pytest.mark.parametrize(
    "path",
    [
        f"{POD}.tolerations",
        f"{CONTAINER}.command",
        f"{CONTAINER}.args",
        f"{CONTAINER}.envFrom",
        f"{POD}.readinessGates",
    ],
)
def test_spec_2_5_atomic_lists(path: str) -> None:
    """These lists are atomic."""
    assert at(path)["x-kubernetes-list-type"] == "atomic"


def test_spec_2_5_atomic_node_selector_and_plain_claims() -> None:
    """The node selector is an atomic map, the claim templates are a plain list."""
    assert at(f"{POD}.nodeSelector")["x-kubernetes-map-type"] == "atomic"
    assert "x-kubernetes-list-type" not in at(f"{TEMPLATE}.volumeClaimTemplates")


def test_spec_2_5_defaults_inside_templates() -> None:
    """The defaults inside a pod template are those of spec 2.5, and no others."""
    found = {
        path.rsplit("[]", 1)[-1].lstrip(".") or path: node["default"]
        for path, node in walk(at(POD))
        if "default" in node
    }
    names = {path for path, value in found.items() if value == ""}
    assert {path.rpartition(".")[2] for path in names} == {"name", "service"}
    assert {path: value for path, value in found.items() if value != ""} == {
        "protocol": "TCP",
        "valueFrom.fileKeyRef.optional": False,
        "azureDisk.fsType": "ext4",
        "azureDisk.readOnly": False,
        "iscsi.iscsiInterface": "default",
        "rbd.keyring": "/etc/ceph/keyring",
        "rbd.pool": "rbd",
        "rbd.user": "admin",
        "scaleIO.fsType": "xfs",
        "scaleIO.storageMode": "ThinProvisioned",
    }


def test_spec_2_5_quantities_and_ports_take_numbers_and_text() -> None:
    """Quantities have the pattern of every generated CRD; probe ports are int-or-string without one."""
    quantity = at(f"{CONTAINER}.resources.limits")["additionalProperties"]
    assert quantity["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert (quantity["pattern"], quantity["x-kubernetes-int-or-string"]) == (schemas.QUANTITY_PATTERN, True)
    assert at(f"{CONTAINER}.livenessProbe.httpGet.port") == {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
    }


def test_the_schema_is_structural() -> None:
    """Every place has a type or is int-or-string, objects have properties or one kind of member, lists have items."""
    for path, node in walk(schema()):
        if node.get("x-kubernetes-int-or-string"):
            assert "type" not in node, path
            continue
        assert node.get("type") in {"object", "array", "string", "integer", "boolean", "number"}, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert (node["type"] == "array") == ("items" in node), path
        assert "$ref" not in node, path
        for key in node.get("x-kubernetes-list-map-keys", ()):
            item = node["items"]
            assert key in item.get("required", ()) or "default" in item["properties"][key], path


def test_it_fits_into_an_annotation() -> None:
    """`kubectl apply` keeps the whole manifest in an annotation of at most 256 KiB."""
    assert len(yaml.dump(crd.manifest(), default_flow_style=True, width=10**9)) < 256 * 1024

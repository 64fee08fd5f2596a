"""The CustomResourceDefinitions of the DisaggregatedSet and its scaler (disaggregatedset 2)."""

from __future__ import annotations

import pytest
import yaml
from hack import generate

from lws.api.customresource import CustomResource
from lws.api.disaggregatedset.crd import DISAGGREGATEDSET, ROLESCALER
from lws.api.leaderworkerset.crd import LEADERWORKERSET
from lws.apimachinery.manifests import JSON


def version(resource: CustomResource) -> JSON:
    """The one version of a definition."""
    (found,) = resource.manifest()["spec"]["versions"]
    return dict(found)


def at(resource: CustomResource, path: str) -> JSON:
    """The schema of a field; ``[]`` steps into a list."""
    node = version(resource)["schema"]["openAPIV3Schema"]
    for step in path.split("."):
        node = node["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            node = node["items"]
    return dict(node)


def told(schema: JSON) -> JSON:
    """A schema without its description."""
    return {key: value for key, value in schema.items() if key != "description"}


@pytest.mark.parametrize("resource", [DISAGGREGATEDSET, ROLESCALER], ids=str)
def test_the_file_holds_the_manifest(resource: CustomResource) -> None:
    """The YAML file says exactly what the models say, and is small enough for `kubectl apply`."""
    text = (generate.ROOT / generate.crd_file(resource)).read_text(encoding="utf-8")
    assert yaml.safe_load(text) == resource.manifest()
    assert len(yaml.dump(resource.manifest(), default_flow_style=True, width=10**9)) < 256 * 1024


def test_spec_2_names() -> None:
    """Kinds, plurals and short names are the contract's."""
    assert DISAGGREGATEDSET.manifest()["spec"]["names"] == {
        "kind": "DisaggregatedSet",
        "listKind": "DisaggregatedSetList",
        "plural": "disaggregatedsets",
        "singular": "disaggregatedset",
    }
    assert ROLESCALER.manifest()["spec"]["names"] == {
        "kind": "DisaggregatedSetRoleScaler",
        "listKind": "DisaggregatedSetRoleScalerList",
        "plural": "disaggregatedsetrolescalers",
        "singular": "disaggregatedsetrolescaler",
        "shortNames": ["dsrs"],
    }


def test_spec_2_subresources_and_columns() -> None:
    """The set has a status only; the scaler has a scale that autoscalers find, and three columns."""
    assert version(DISAGGREGATEDSET)["subresources"] == {"status": {}}
    assert "additionalPrinterColumns" not in version(DISAGGREGATEDSET)
    assert version(ROLESCALER)["subresources"] == {
        "status": {},
        "scale": {
            "labelSelectorPath": ".status.selector",
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
        },
    }
    columns = [
        (each["name"], each["type"], each["jsonPath"]) for each in version(ROLESCALER)["additionalPrinterColumns"]
    ]
    assert columns == [
        ("Desired", "integer", ".spec.replicas"),
        ("Current", "integer", ".status.replicas"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]


def test_spec_2_1_the_rule_about_replicas() -> None:
    """Zero for all Static roles or for none of them, in the reference's words."""
    static = "self.roles.filter(r, !has(r.scaling) || r.scaling.mode != 'External')"
    assert at(DISAGGREGATEDSET, "spec")["x-kubernetes-validations"] == [
        {
            "rule": f"{static}.all(r, !has(r.spec.replicas) || r.spec.replicas == 0) || "
            f"{static}.all(r, has(r.spec.replicas) && r.spec.replicas > 0)",
            "message": "replicas must be zero for all non-External roles or non-zero for all non-External roles",
        }
    ]


FIELDS: dict[str, JSON] = {
    "spec.slices": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": 1},
    "spec.roles[].name": {
        "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    },
    "spec.roles[].scaling.mode": {"type": "string", "enum": ["Static", "External"], "default": "Static"},
    "spec.placementPolicy.type": {
        "type": "string", "enum": ["None", "ExclusiveSlice", "ExclusiveTopology"], "default": "None",
    },
    "spec.placementPolicy.topology": {"type": "string"},
    "spec.roles[].spec.replicas": {
        "type": "integer", "format": "int32", "minimum": 0, "maximum": 1000000, "default": 1,
    },
    "status.observedGeneration": {"type": "integer", "format": "int64"},
    "status.roleStatuses[].readyReplicas": {"type": "integer", "format": "int32"},
}  # fmt: skip


@pytest.mark.parametrize("path", FIELDS)
def test_spec_2_1_fields(path: str) -> None:
    """Type, limits and default of each field."""
    assert told(at(DISAGGREGATEDSET, path)) == FIELDS[path]


def test_spec_2_1_keyed_lists_and_required_members() -> None:
    """Roles and statuses are maps by name, conditions by type; a set needs two to ten roles."""
    roles = at(DISAGGREGATEDSET, "spec.roles")
    assert (roles["minItems"], roles["maxItems"]) == (2, 10)
    for path, key in (("spec.roles", "name"), ("status.roleStatuses", "name"), ("status.conditions", "type")):
        found = at(DISAGGREGATEDSET, path)
        assert (found["x-kubernetes-list-type"], found["x-kubernetes-list-map-keys"]) == ("map", [key])
    assert version(DISAGGREGATEDSET)["schema"]["openAPIV3Schema"]["required"] == ["spec"]
    assert at(DISAGGREGATEDSET, "spec")["required"] == ["roles"]
    assert at(DISAGGREGATEDSET, "spec.roles[]")["required"] == ["name"]
    assert at(DISAGGREGATEDSET, "spec.roles[].spec")["required"] == ["leaderWorkerTemplate"]


def test_spec_2_1_a_role_holds_a_whole_leaderworkerset() -> None:
    """A role's spec is described exactly as the spec of a LeaderWorkerSet, pod templates and all."""
    assert told(at(DISAGGREGATEDSET, "spec.roles[].spec")) == told(at(LEADERWORKERSET, "spec"))


def test_spec_2_3_the_scaler() -> None:
    """Wanted replicas are required, not negative, and 0 unless told."""
    assert told(at(ROLESCALER, "spec.replicas")) == {"type": "integer", "format": "int32", "minimum": 0, "default": 0}
    assert at(ROLESCALER, "spec")["required"] == ["replicas"]
    assert "required" not in version(ROLESCALER)["schema"]["openAPIV3Schema"]
    assert sorted(at(ROLESCALER, "status")["properties"]) == [
        "conditions", "observedGeneration", "replicas", "selector",
    ]  # fmt: skip

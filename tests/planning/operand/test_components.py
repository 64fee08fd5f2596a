"""Components of `config/`: which an installation has, and what its objects are with several of them (OD-28)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from lws.api.operand import names
from lws.api.operand.types import CERT_MANAGER, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.planning.operand.assets import Asset, assets
from lws.planning.operand.components import by_name, combined
from lws.planning.operand.desired import Desired, desired
from lws.planning.operand.facts import Facts

FACTS = Facts("home", "home", "uid", image="lws:1", version="1")
ROLE = ("ClusterRole", names.MANAGER_ROLE)
DEPLOYMENT = ("Deployment", names.DEPLOYMENT)


def with_component(name: str, key: tuple[str, str], change: Any) -> tuple[Asset, ...]:
    """The assets with one more component, which changes an object."""
    found = []
    for each in assets():
        if each.key == key and not each.component:
            manifest = copy.deepcopy(each.manifest)
            change(manifest)
            found += [replace(each, without=each.without | {name}), replace(each, manifest=manifest, component=name)]
        else:
            found.append(each)
    return tuple(found)


def wanted(spec: JSON, facts: Facts = FACTS, objects: tuple[Asset, ...] | None = None) -> Desired:
    """What a spec asks for."""
    return desired(LeaderWorkerSetOperatorSpec.model_validate(spec), facts, objects or assets())


def groups(found: Desired) -> set[str]:
    """The API groups that the operand has rights in."""
    role = found.get(*ROLE)
    assert role is not None
    return {group for rule in role["rules"] for group in rule["apiGroups"]}


def gang(provider: str) -> JSON:
    """A spec that asks for gangs."""
    return {"operand": {"configuration": {"gangScheduling": {"schedulerProvider": provider}}}}


def test_an_installation_has_no_right_of_a_component_that_nobody_asked_for() -> None:
    """Without gang scheduling there is no right and no feature gate for it."""
    found = wanted({})
    assert groups(found).isdisjoint({"scheduling.volcano.sh", "scheduling.k8s.io"})
    assert "featureGates" not in found.config
    assert found.invalid == ""


@pytest.mark.parametrize(
    ("provider", "has", "lacks"),
    [
        ("volcano", "scheduling.volcano.sh", "scheduling.k8s.io"),
        ("kubernetes", "scheduling.k8s.io", "scheduling.volcano.sh"),
    ],
)
def test_a_provider_of_gangs_brings_its_rights_alone(provider: str, has: str, lacks: str) -> None:
    """The rights are the provider's, with either kind of certificates, and the file names it."""
    for certificates in ("Internal", CERT_MANAGER):
        found = wanted(gang(provider), replace(FACTS, certificates=certificates))
        assert has in groups(found)
        assert lacks not in groups(found)
        assert found.config["gangSchedulingManagement"] == {"schedulerProvider": provider}
        assert found.config["internalCertManagement"] == {"enable": certificates == "Internal"}
        assert ("featureGates" in found.config) == (provider == "kubernetes")


def test_a_component_is_chosen_by_its_name() -> None:
    """What no other member chooses is off until it is named; then what it and others change is there together."""

    def more(role: JSON) -> None:
        role["rules"].append({"apiGroups": ["example"], "resources": ["things"], "verbs": ["get"]})

    objects = with_component("extra", ROLE, more)
    assert "example" not in groups(wanted({}, objects=objects))
    spec = gang("volcano")
    spec["operand"]["components"] = ["extra"]
    found = wanted(spec, objects=objects)
    assert {"example", "scheduling.volcano.sh"} <= groups(found)
    assert found.invalid == ""


def test_two_components_change_one_deployment() -> None:
    """Of a Deployment that cert-manager's certificates change too, both changes are kept."""

    def more(deployment: JSON) -> None:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        container["env"] = [*container.get("env", ()), {"name": "EXTRA", "value": "1"}]

    objects = with_component("extra", DEPLOYMENT, more)
    found = wanted({"operand": {"components": ["extra"]}}, replace(FACTS, certificates=CERT_MANAGER), objects)
    deployment = found.get(*DEPLOYMENT)
    assert deployment is not None
    pod = deployment["spec"]["template"]["spec"]
    assert {"name": "EXTRA", "value": "1"} in pod["containers"][0]["env"]
    assert names.SERVING_SECRET in {(each.get("secret") or {}).get("secretName") for each in pod["volumes"]}


def test_components_that_cannot_be_chosen_are_named() -> None:
    """A name that there is not, and one that another member chooses, say where they stand and what to do."""
    objects = with_component("extra", ROLE, lambda role: None)
    choices = ", ".join(by_name(objects))
    assert "extra" in choices
    assert wanted({"operand": {"components": ["extra", "exta"]}}, objects=objects).invalid == (
        f"spec.operand.components[1]: this release has no component exta; choose among {choices}, or remove it"
    )
    assert wanted({"operand": {"components": ["volcano"]}}).invalid == (
        "spec.operand.components[0]: volcano is chosen by"
        " spec.operand.configuration.gangScheduling.schedulerProvider; set that instead"
    )


@pytest.mark.parametrize(
    ("forms", "result"),
    [
        ([{"a": 1, "b": [1, 2]}], {"a": 1, "b": [1, 2]}),
        ([{"a": 2, "b": [1, 2]}, {"a": 1, "b": [1, 2, 3]}], {"a": 2, "b": [1, 2, 3]}),
        ([{"b": [1, 2]}, {"a": 1, "b": [2]}], {"b": [2]}),
        ([{"a": 2, "b": [1, 2]}, {"a": 3, "b": [1, 2]}], {"a": 3, "b": [1, 2]}),
        ([{"a": 1, "b": [1, 2], "c": 1}, {"a": 1, "b": [1, 2], "d": 1}], {"a": 1, "b": [1, 2], "c": 1, "d": 1}),
    ],
)
def test_changes_are_put_together(forms: list[JSON], result: JSON) -> None:
    """What one form adds, changes or drops is so in the result; of two changes of one value the later holds."""
    assert combined({"a": 1, "b": [1, 2]}, forms) == result

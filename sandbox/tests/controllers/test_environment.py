"""What containers find in their environment."""

from __future__ import annotations

import pytest
from sandbox.tests.controllers.builders import node, pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.environment import environment, expand, field

EXPANSIONS = [
    ("$(A)", "1"),
    ("x-$(A)-$(B)", "x-1-2"),
    ("$(C)", "$(C)"),
    ("$$(A)", "$(A)"),
    ("$A", "$A"),
    ("$(A", "$(A"),
    ("$$$(A)", "$1"),
]


@pytest.mark.parametrize(("text", "value"), EXPANSIONS)
def test_references_are_filled_in(text: str, value: str) -> None:
    """Known names are filled in, unknown ones stay, and two dollar signs are one."""
    assert expand(text, {"A": "1", "B": "2"}) == value


def _pod() -> JSON:
    made = pod("p", labels={"app": "x"}, nodeName="n", serviceAccountName="default")
    made["metadata"]["annotations"] = {"note": "y"}
    made["status"] = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "hostIP": "10.1.0.1"}
    return made


FIELDS = [
    ("metadata.name", "p"),
    ("metadata.namespace", "ns"),
    ("metadata.uid", "uid-p"),
    ("metadata.labels['app']", "x"),
    ("metadata.annotations['note']", "y"),
    ("metadata.labels['none']", ""),
    ("spec.nodeName", "n"),
    ("spec.serviceAccountName", "default"),
    ("status.podIP", "10.0.0.1"),
    ("status.podIPs", "10.0.0.1,fd00::1"),
    ("status.hostIP", "10.1.0.1"),
    ("metadata.labels", 'app="x"'),
]


@pytest.mark.parametrize(("path", "value"), FIELDS)
def test_fields_of_the_pod_are_given(path: str, value: str) -> None:
    """The downward API gives names, labels, annotations and addresses."""
    assert field(_pod(), path) == value


RESOURCES = [
    ("limits.cpu", "1", "2"),
    ("limits.cpu", "1m", "1500"),
    ("requests.memory", "1Mi", "512"),
    ("limits.memory", "1Gi", "8"),
    ("requests.ephemeral-storage", "1", "0"),
]


@pytest.mark.parametrize(("resource", "divisor", "value"), RESOURCES)
def test_resources_are_given_in_units_of_the_divisor(resource: str, divisor: str, value: str) -> None:
    """Values are rounded up; limits that are not set are the node's."""
    container: JSON = {"name": "main", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "512Mi"}}}
    container["env"] = [{"name": "R", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}]
    made = _pod()
    made["spec"]["containers"] = [container]
    assert environment(made, container, node("n"), lambda _kind, _name: None) == {"R": value}


def test_values_of_maps_and_secrets_come_before_later_entries() -> None:
    """Sources are taken in, prefixed; entries may refer to what came before them, and a missing key gives nothing."""
    values = {("ConfigMap", "m"): {"A": "1"}, ("Secret", "s"): {"token": "t"}}
    container: JSON = {
        "name": "main",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
        "env": [
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": True}}},
            {"name": "ALL", "value": "$(P_A)/$(TOKEN)"},
        ],
    }
    found = environment(_pod(), container, None, lambda kind, name: values.get((kind, name)))
    assert found == {"P_A": "1", "TOKEN": "t", "ALL": "1/t"}

"""What the operator is installed by, and what it installs: one source, one rendering (operator 5.1, 5.13; A56)."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml
from hack import bundle
from hack.kustomization import render
from hack.operand_objects import CONFIG

import lws
from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from tests.manifests.render import OVERLAYS, ROOT, kustomize

KUBERNETES = "1.36.0"
# What OLM takes of a bundle besides the ClusterServiceVersion.
OLM_KINDS = {"CustomResourceDefinition", "Service", "ClusterRole", "ClusterServiceVersion"}
OPERATOR, OPERAND = "registry.example/operator@sha256:a", "registry.example/operand@sha256:b"


@pytest.mark.parametrize("overlay", [*OVERLAYS, "operator/default", "operator/namespace"])
def test_our_rendering_is_that_of_kustomize(overlay: str) -> None:
    """The objects that are generated from config/ are, one by one, those that kustomize renders of it."""
    ours = {(each["kind"], each["metadata"]["name"]): each for each in render(CONFIG / overlay)}
    assert ours == kustomize(overlay)


def test_the_operator_is_valid_and_restricted() -> None:
    """Every object of config/operator/default is valid, and the operator's pod fits Pod Security restricted."""
    objects = render(CONFIG / "operator/default")
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES, strict=each["kind"] != "CustomResourceDefinition")
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    assert "control-plane" not in template["metadata"]["labels"]  # the reference's e2e tests count by it
    pod = template["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", sorted(bundle.files({})))
def test_the_bundle_is_up_to_date(name: str) -> None:
    """What is checked in is what make bundle writes."""
    assert (ROOT / name).read_text(encoding="utf-8") == bundle.files({})[name], "run make bundle"


def test_a56_the_bundle_is_what_is_rendered_with_two_images() -> None:
    """A56: rights and Deployment of the bundle are those of the rendering; no image is named but the two given ones."""
    files = bundle.files({"OPERATOR_IMAGE": OPERATOR, "OPERAND_IMAGE": OPERAND})
    objects = {(each["kind"], each["metadata"]["name"]): each for each in render(CONFIG / "operator/default")}
    manifests = [yaml.safe_load(text) for name, text in files.items() if name.startswith("bundle/manifests/")]
    assert {each["kind"] for each in manifests} == OLM_KINDS
    (csv,) = [each for each in manifests if each["kind"] == "ClusterServiceVersion"]
    install = csv["spec"]["install"]["spec"]
    for permissions, kind in (("clusterPermissions", "ClusterRole"), ("permissions", "Role")):
        (given,) = install[permissions]
        assert given["rules"] == objects[kind, names.OPERATOR_DEPLOYMENT]["rules"]
    (deployment,) = install["deployments"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert images(csv) == {OPERATOR, OPERAND}
    assert container["image"] == OPERATOR
    rendered = objects["Deployment", names.OPERATOR_DEPLOYMENT]["spec"]
    (unset,) = images(rendered)
    container["image"] = operand_of(container)["value"] = unset
    assert deployment["spec"] == rendered
    assert csv["metadata"]["name"] == "leader-worker-set.v1.1.0"
    modes = {each["type"]: each["supported"] for each in csv["spec"]["installModes"]}
    assert modes == {"OwnNamespace": True, "SingleNamespace": False, "MultiNamespace": False, "AllNamespaces": True}
    labels = yaml.safe_load(files["bundle/metadata/annotations.yaml"])["annotations"]
    lines = [
        line.removeprefix("LABEL ") for line in files["bundle.Dockerfile"].splitlines() if line.startswith("LABEL")
    ]
    assert dict(line.split("=", 1) for line in lines) == labels


def operand_of(container: JSON) -> JSON:
    """The variable that names the operand's image."""
    found: JSON = next(each for each in container["env"] if each["name"] == "RELATED_IMAGE_OPERAND_IMAGE")
    return found


@pytest.mark.parametrize("folder", ["default", "operator/default"])
def test_no_registry_has_an_image_that_nobody_set(folder: str) -> None:
    """Unedited manifests name one image of a host that cannot be; one line names another, for the operand as well."""
    (deployment,) = [each for each in render(CONFIG / folder) if each["kind"] == "Deployment"]
    assert images(deployment) == {f"image-not-set.invalid/lws-controller:v{lws.__version__}"}
    named = [each for each in deployment["spec"]["template"]["spec"]["containers"] if "env" in each]
    assert all(operand_of(each)["value"] == each["image"] for each in named if folder == "operator/default")


def test_no_registry_has_a_bundle_that_nobody_set() -> None:
    """The same holds of the bundle that the catalog names, and of every image in the bundle."""
    files = bundle.files({})
    documents = [each for name in files if name.endswith(".yaml") for each in yaml.safe_load_all(files[name])]
    ours = {each for each in images(documents) if "scorecard" not in each}
    assert {each.partition("/")[0] for each in ours} == {"image-not-set.invalid"}


def images(node: Any) -> set[str]:
    """Every value of a member that names an image."""
    if isinstance(node, dict):
        found = {value for key, value in node.items() if key in ("image", "containerImage") and isinstance(value, str)}
        return found.union(*(images(value) for value in node.values()))
    return set().union(*(images(each) for each in node)) if isinstance(node, list) else set()

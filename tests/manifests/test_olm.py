"""The bundle passes what ``operator-sdk`` checks of it, and each rule finds a seeded fault (A56)."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hack import bundle

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from tests.manifests.olm import METADATA, faults, parsed
from tests.manifests.render import ROOT

CSV: Final = f"bundle/manifests/{bundle.PACKAGE}.clusterserviceversion.yaml"
CRD: Final = "bundle/manifests/leaderworkersetoperators.operator.openshift.io.customresourcedefinition.yaml"
LABELS: Final = "bundle/metadata/annotations.yaml"
ANNOTATIONS: Final = ("metadata", "annotations")
SCORECARD: Final = "bundle/tests/scorecard/config.yaml"


@cache
@cache
def made() -> dict[str, str]:
    """The bundle as it is checked in."""
    return bundle.files({})


def test_a56_the_bundle_is_clean() -> None:
    """A56: not one fault or warning of validators and scorecard, with images by digest and as it is checked in."""
    assert faults(made()) == []
    digests = {"OPERATOR_IMAGE": f"registry.example/a@sha256:{'a' * 64}", "OPERAND_IMAGE": f"b@sha256:{'b' * 64}"}
    assert faults(bundle.files(digests)) == []


def test_the_page_subscribes_to_what_is_in_the_catalog(tmp_path: Path) -> None:
    """Its commands write bundle and catalog with the images named there, and its objects name package and channel."""
    page = (ROOT / "docs/operator/openshift.md").read_text(encoding="utf-8")
    commands, objects = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[0] for kind in ("console", "yaml"))
    first, *_ = commands.splitlines()
    environ = dict(each.split("=") for each in first.removesuffix(" make bundle").split(" "))
    assert first.endswith(" make bundle")
    files = bundle.files(environ)
    assert faults(files) == []
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog/basic-template.yaml").write_text(files["catalog/basic-template.yaml"])
    (edit,) = [each for each in commands.splitlines() if each.startswith("sed ")]
    subprocess.run(shlex.split(edit), cwd=tmp_path, check=True)
    catalog = [*yaml.safe_load_all((tmp_path / "catalog/basic-template.yaml").read_text())]
    (image,) = [each["image"] for each in catalog if each["schema"] == "olm.bundle"]
    assert f"-t {image} ." in commands
    given = {each["kind"]: each for each in yaml.safe_load_all(objects)}
    spec = given["Subscription"]["spec"]
    channels = {each["name"] for each in catalog if each["schema"] == "olm.channel"}
    assert (spec["name"], spec["channel"] in channels) == (bundle.PACKAGE, True)
    source = given["CatalogSource"]["metadata"]
    assert (spec["source"], spec["sourceNamespace"]) == (source["name"], source["namespace"])
    (home,) = given["OperatorGroup"]["spec"]["targetNamespaces"]
    named = {given[kind]["metadata"]["namespace"] for kind in ("OperatorGroup", "Subscription")}
    assert {home, *named, given["Namespace"]["metadata"]["name"]} == {names.OPERATOR_NAMESPACE}


def at(*path: str | int, to: Any = None) -> Callable[[JSON], None]:
    """Give a member another value; without one, take it away."""

    def change(document: JSON) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


def example(**changes: Any) -> Callable[[JSON], None]:
    """Change members of the one sample."""
    sample = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": names.SINGLETON}}
    text = json.dumps([{**sample, "spec": {"logLevel": "Debug"}, **changes}])
    return at(*ANNOTATIONS, "alm-examples", to=text)


OWNED: Final = ("spec", "customresourcedefinitions", "owned", 0)
INSTALL: Final = ("spec", "install", "spec")
POD: Final = (*INSTALL, "deployments", 0, "spec", "template", "spec")
SEEDED: Final = {
    "no channel": (LABELS, at("annotations", f"{METADATA}.bundle.channels.v1", to="weekly"), "channel"),
    "other format": (LABELS, at("annotations", f"{METADATA}.bundle.mediatype.v1", to="helm"), "mediatype"),
    "kind": (CRD, at("kind", to="NetworkPolicy"), "NetworkPolicy"),
    "name": (CSV, at("metadata", "name", to="other.v1"), "metadata.name"),
    "version": (CSV, at("spec", "version", to="1.1"), "version"),
    "Kubernetes": (CSV, at("spec", "minKubeVersion"), "minKubeVersion"),
    "replaced": (CSV, at("spec", "replaces", to="leader-worker-set-1.0.0"), "replaces"),
    "owned version": (CSV, at(*OWNED, "version", to="v2"), "owned"),
    "no resources": (CSV, at(*OWNED, "resources", to=[]), "resources"),
    "no words of a kind": (CSV, at(*OWNED, "description"), "description"),
    "modes": (CSV, at("spec", "installModes", 0), "installModes"),
    "example of another kind": (CSV, example(kind="Other"), "Other is not owned"),
    "example without spec": (CSV, example(spec={}), "has no spec"),
    "example that is refused": (CSV, example(spec={"logLevel": "Loud"}), "spec.logLevel"),
    "example that is pruned": (CSV, example(spec={"level": 1}), "spec.level is in no schema"),
    "begun with another": (
        CSV,
        at(*ANNOTATIONS, "operatorframework.io/initialization-resource", to='{"apiVersion":"v1","kind":"X"}'),
        "X is not owned",
    ),
    "spec descriptor": (CSV, at(*OWNED, "specDescriptors", 0), "specDescriptors"),
    "status descriptor": (CSV, at(*OWNED, "statusDescriptors", 0, "path", to="nothing"), "statusDescriptors"),
    "descriptor without words": (CSV, at(*OWNED, "specDescriptors", 0, "description", to=""), "lacks words"),
    "no description": (CSV, at("spec", "description", to=""), "description"),
    "no provider": (CSV, at("spec", "provider", to={"url": "https://x"}), "provider"),
    "no maintainer": (CSV, at("spec", "maintainers", to=[]), "maintainers"),
    "no address": (CSV, at("spec", "maintainers", 0, "email", to="nobody"), "maintainers"),
    "no link": (CSV, at("spec", "links", to=[{"name": "x", "url": "x"}]), "links"),
    "capabilities": (CSV, at(*ANNOTATIONS, "capabilities", to="All"), "capabilities"),
    "categories": (CSV, at(*ANNOTATIONS, "categories", to="Storage, AI"), "AI is none"),
    "tile": (CSV, at(*ANNOTATIONS, "description", to="x" * 136), "tile"),
    "no icon": (CSV, at("spec", "icon"), "icon"),
    "icon of another type": (CSV, at("spec", "icon", 0, "mediatype", to="image/webp"), "icon"),
    "icon that is none": (CSV, at("spec", "icon", 0, "base64data", to="PHN2Zz4="), "icon"),
    "no requests": (CSV, at(*POD, "containers", 0, "resources", "requests", "cpu"), "does not request"),
    "no rights": (CSV, at(*POD, "serviceAccountName", to="default"), "has no rights"),
    "unrelated image": (CSV, at("spec", "relatedImages", to=[]), "relatedImages"),
    "wildcard": (CSV, at(*INSTALL, "permissions", 0, "rules", 0, "verbs", to=["*"]), "wildcard"),
    "webhooks": (CSV, at("spec", "webhookdefinitions", to=[{}]), "webhookdefinitions"),
    "scorecard": (SCORECARD, at("stages", 0, "tests", 0), "basic-check-spec"),
}


@pytest.mark.parametrize("fault", SEEDED)
def test_each_rule_finds_its_fault(fault: str) -> None:
    """A bundle with one thing wrong is told what it is."""
    name, change, words = SEEDED[fault]
    document = copy.deepcopy(parsed(made()[name]))
    change(document)
    found = faults({**made(), name: json.dumps(document)})
    assert [each for each in found if words in each], found

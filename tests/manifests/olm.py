"""What ``operator-sdk bundle validate`` and the scorecard would say of a bundle (operator 5.13, A56).

The rules of the default validators, of suite ``operatorframework``, and of the scorecard's suites ``basic`` and
``olm``, as far as they read the bundle alone. A warning of theirs counts as a fault.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final
from xml.etree import ElementTree

import yaml

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema.schema import Schema

SEMVER: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
KINDS: Final = frozenset(
    "ClusterRole ClusterRoleBinding ClusterServiceVersion ConfigMap ConsoleCLIDownload ConsoleLink ConsolePlugin"
    " ConsoleQuickStart ConsoleYAMLSample CustomResourceDefinition PodDisruptionBudget PriorityClass PrometheusRule"
    " Role RoleBinding Secret Service ServiceAccount ServiceMonitor VerticalPodAutoscaler".split()
)
CAPABILITIES: Final = ("Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot")
CATEGORIES: Final = (
    *("AI/Machine Learning", "Application Runtime", "Big Data", "Cloud Provider", "Database", "Developer Tools"),
    *("Development Tools", "Drivers And Plugins", "Integration & Delivery", "Logging & Tracing", "Monitoring"),
    *("Modernization & Migration", "Networking", "Observability", "OpenShift Optional", "Security", "Storage"),
    "Streaming & Messaging",
)
PICTURES: Final = ("image/gif", "image/jpeg", "image/png", "image/svg+xml")
MODES: Final = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
TESTS: Final = {
    "basic": {"basic-check-spec"},
    "olm": {
        *("olm-bundle-validation", "olm-crds-have-validation", "olm-crds-have-resources"),
        *("olm-spec-descriptors", "olm-status-descriptors"),
    },
}
LARGEST: Final = 1 << 20  # bytes of a bundle, compressed: it has to fit into one ConfigMap
TILE: Final = 135  # characters of the short description that are shown
METADATA: Final = "operators.operatorframework.io"


@cache
def parsed(text: str) -> Any:
    """A document, which is not to be changed."""
    return yaml.load(text, yaml.CSafeLoader)


@dataclass(frozen=True)
class Bundle:
    """A bundle's files, by path."""

    files: Mapping[str, str]

    @cached_property
    def manifests(self) -> list[JSON]:
        """Its manifests."""
        return [parsed(text) for name, text in self.files.items() if name.startswith("bundle/manifests/")]

    @cached_property
    def csv(self) -> JSON:
        """Its ClusterServiceVersion."""
        return self.of_kind("ClusterServiceVersion")[0]

    @property
    def spec(self) -> JSON:
        """That one's spec."""
        spec: JSON = self.csv["spec"]
        return spec

    @property
    def annotations(self) -> JSON:
        """That one's annotations."""
        found: JSON = self.csv["metadata"]["annotations"]
        return found

    @property
    def owned(self) -> list[JSON]:
        """What it says of the kinds that it owns."""
        found: list[JSON] = self.spec["customresourcedefinitions"]["owned"]
        return found

    @cached_property
    def labels(self) -> JSON:
        """What its metadata says."""
        found: JSON = parsed(self.files["bundle/metadata/annotations.yaml"])["annotations"]
        return found

    @cached_property
    def examples(self) -> list[JSON]:
        """Its sample objects, and the one to begin with."""
        listed = json.loads(self.annotations["alm-examples"])
        return [*listed, json.loads(self.annotations["operatorframework.io/initialization-resource"])]

    def of_kind(self, kind: str) -> list[JSON]:
        """Its manifests of a kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def schema(self, api_version: str, kind: str) -> JSON | None:
        """The OpenAPI schema of a version of a kind that it defines."""
        for each in self.of_kind("CustomResourceDefinition"):
            for version in each["spec"]["versions"]:
                named = (f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"])
                if named == (api_version, kind):
                    found: JSON = version["schema"]["openAPIV3Schema"]
                    return found
        return None


Rule = Callable[[Bundle], Iterator[str]]


def format_faults(bundle: Bundle) -> Iterator[str]:
    """Metadata, kinds, size (``validate``'s bundle format)."""
    wanted = {"mediatype.v1": "registry+v1", "manifests.v1": "manifests/", "metadata.v1": "metadata/"}
    for name, value in wanted.items():
        if bundle.labels.get(f"{METADATA}.bundle.{name}") != value:
            yield f"metadata: {name} is not {value}"
    channels = bundle.labels[f"{METADATA}.bundle.channels.v1"].split(",")
    if bundle.labels[f"{METADATA}.bundle.channel.default.v1"] not in channels:
        yield "metadata: the default channel is not one of the channels"
    for each in channels:
        if not each.startswith(("candidate", "fast", "stable")):
            yield f"metadata: channel {each} does not follow the convention"
    if len(bundle.of_kind("ClusterServiceVersion")) != 1:
        yield "manifests: not one ClusterServiceVersion"
    known = [(each["kind"], each["metadata"]["name"]) for each in bundle.manifests]
    if len(set(known)) != len(known):
        yield "manifests: an object is there twice"
    for kind, name in known:
        if kind not in KINDS:
            yield f"manifests: {kind} {name} is of a kind that OLM does not take"
    texts = "".join(text for name, text in bundle.files.items() if name.startswith("bundle/manifests/"))
    if len(gzip.compress(texts.encode())) > LARGEST:
        yield "manifests: too large for a ConfigMap"


def name_faults(bundle: Bundle) -> Iterator[str]:
    """Names and versions."""
    package, version = bundle.labels[f"{METADATA}.bundle.package.v1"], bundle.spec["version"]
    if not SEMVER.fullmatch(version):
        yield f"version: {version} is no semantic version"
    if bundle.csv["metadata"]["name"] != f"{package}.v{version}":
        yield "metadata.name: not the package and the version"
    if not SEMVER.fullmatch(bundle.spec.get("minKubeVersion", "")):
        yield "minKubeVersion: no semantic version"
    replaced = bundle.spec.get("replaces", f"{package}.v0.0.0")
    if not re.fullmatch(rf"{re.escape(package)}\.v{SEMVER.pattern}", replaced):
        yield "replaces: not the name of a release"


def owned_faults(bundle: Bundle) -> Iterator[str]:
    """Kinds that are owned are those that are defined, and are described (``olm-crds-have-resources``)."""
    said = {(each["name"], each["version"], each["kind"]) for each in bundle.owned}
    defined = {
        (each["metadata"]["name"], served["name"], each["spec"]["names"]["kind"])
        for each in bundle.of_kind("CustomResourceDefinition")
        for served in each["spec"]["versions"]
    }
    for name, version, _ in said ^ defined:
        yield f"owned: {name} {version} is owned or defined, but not both"
    for each in bundle.owned:
        for member in ("displayName", "description", "resources"):
            if not each.get(member):
                yield f"owned: {each['name']} has no {member}"


def mode_faults(bundle: Bundle) -> Iterator[str]:
    """Install modes."""
    modes = [each["type"] for each in bundle.spec["installModes"]]
    if sorted(modes) != sorted(MODES):
        yield "installModes: each of the four is to be there once"
    if not any(each["supported"] for each in bundle.spec["installModes"]):
        yield "installModes: none is supported"
    if bundle.spec.get("webhookdefinitions"):
        yield "webhookdefinitions: the operator makes them"


def example_faults(bundle: Bundle) -> Iterator[str]:
    """Samples: of every owned kind, with a spec, and as its schema has it (``basic-check-spec``, ``…-validation``)."""
    shown = {(each["apiVersion"], each["kind"]) for each in bundle.examples}
    for each in bundle.owned:
        if (f"{each['name'].partition('.')[2]}/{each['version']}", each["kind"]) not in shown:
            yield f"alm-examples: none of {each['kind']}"
    for each in bundle.examples:
        schema = bundle.schema(each["apiVersion"], each["kind"])
        if schema is None:
            yield f"alm-examples: {each['kind']} is not owned"
            continue
        if not each.get("spec"):
            yield f"alm-examples: {each['kind']} has no spec"
        structural = Schema.of_custom(each["apiVersion"], each["kind"], schema)
        yield from (f"alm-examples: {cause.field} {cause.message}" for cause in structural.validate(each))
        yield from (f"alm-examples: {path} is in no schema" for path in structural.prune(json.loads(json.dumps(each))))


def descriptor_faults(bundle: Bundle) -> Iterator[str]:
    """Every member has its descriptor, and no other has one (``olm-spec-descriptors``, ``olm-status-descriptors``)."""
    for each in bundle.owned:
        schema = bundle.schema(f"{each['name'].partition('.')[2]}/{each['version']}", each["kind"]) or {}
        for section in ("spec", "status"):
            there = set(schema.get("properties", {}).get(section, {}).get("properties", {}))
            told = {found["path"]: found for found in each.get(f"{section}Descriptors", ())}
            for name in sorted(there ^ told.keys()):
                yield f"{section}Descriptors: {name} is described or defined, but not both"
            for name, found in told.items():
                if not (found.get("displayName") and found.get("description")):
                    yield f"{section}Descriptors: {name} lacks words"


def shown_faults(bundle: Bundle) -> Iterator[str]:
    """What catalogs show (``operatorhub``)."""
    spec = bundle.spec
    for member in ("displayName", "description", "keywords", "maturity"):
        if not spec.get(member):
            yield f"{member}: missing"
    if not spec.get("provider", {}).get("name"):
        yield "provider: no name"
    for each in spec.get("maintainers") or [{}]:
        if not each.get("name") or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", each.get("email", "")):
            yield "maintainers: one has no name or no address"
    for each in spec.get("links") or [{}]:
        if not each.get("name") or not each.get("url", "").startswith("https://"):
            yield "links: one has no name or no address"
    if bundle.annotations.get("capabilities") not in CAPABILITIES:
        yield "capabilities: none of the levels"
    for each in bundle.annotations.get("categories", "").split(","):
        if each.strip() not in CATEGORIES:
            yield f"categories: {each} is none"
    if not 0 < len(bundle.annotations.get("description", "")) <= TILE:
        yield "annotation description: missing, or longer than a tile"


def icon_faults(bundle: Bundle) -> Iterator[str]:
    """One picture, which is one."""
    icons = bundle.spec.get("icon") or ()
    if len(icons) != 1:
        yield "icon: not one"
    for each in icons:
        if each["mediatype"] not in PICTURES:
            yield f"icon: {each['mediatype']} is not shown"
        if each["mediatype"] == "image/svg+xml":
            try:
                ElementTree.fromstring(base64.b64decode(each["base64data"], validate=True))
            except (ValueError, ElementTree.ParseError) as error:
                yield f"icon: {error}"


def install_faults(bundle: Bundle) -> Iterator[str]:
    """Deployments: requests, images that mirrors are told of, accounts that get rights, and these without wildcards."""
    install = bundle.spec["install"]
    if install["strategy"] != "deployment" or not install["spec"]["deployments"]:
        yield "install: no Deployment"
    related = {each["image"] for each in bundle.spec.get("relatedImages", ())}
    permissions = [*install["spec"].get("permissions", ()), *install["spec"].get("clusterPermissions", ())]
    accounts = {each["serviceAccountName"] for each in permissions}
    for deployment in install["spec"]["deployments"]:
        pod = deployment["spec"]["template"]["spec"]
        if pod["serviceAccountName"] not in accounts:
            yield f"install: {deployment['name']} has no rights"
        for each in pod["containers"]:
            if not {"cpu", "memory"} <= each.get("resources", {}).get("requests", {}).keys():
                yield f"install: container {each['name']} does not request cpu and memory"
        named = set(_values(pod, "image")) | {bundle.annotations.get("containerImage")}
        yield from (f"relatedImages: {image} is not there" for image in named - related)
    for each in permissions:
        for rule in each["rules"]:
            if any("*" in rule.get(part, ()) for part in ("verbs", "resources", "apiGroups")):
                yield "install: a wildcard is granted"
    if accounts & {each["metadata"]["name"] for each in bundle.of_kind("ServiceAccount")}:
        yield "manifests: the account is there twice"


def scorecard_faults(bundle: Bundle) -> Iterator[str]:
    """The scorecard's configuration has every test of the two suites."""
    found = parsed(bundle.files["bundle/tests/scorecard/config.yaml"])
    tests = [each for stage in found["stages"] for each in stage["tests"]]
    for suite, wanted in TESTS.items():
        there = {each["entrypoint"][1] for each in tests if each["labels"]["suite"] == suite}
        for name in sorted(wanted ^ there):
            yield f"scorecard: {name} is not one of suite {suite}, or is left out"


def _values(node: Any, member: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == member and isinstance(value, str):
                yield value
            yield from _values(value, member)
    elif isinstance(node, list):
        for each in node:
            yield from _values(each, member)


RULES: Final[tuple[Rule, ...]] = (
    *(format_faults, name_faults, owned_faults, mode_faults, example_faults, descriptor_faults),
    *(shown_faults, icon_faults, install_faults, scorecard_faults),
)


def faults(files: Mapping[str, str]) -> list[str]:
    """What is wrong with a bundle; nothing if it would pass."""
    bundle = Bundle(files)
    return [fault for rule in RULES for fault in rule(bundle)]

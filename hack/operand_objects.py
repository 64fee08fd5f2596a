"""The objects that the operator applies, out of `config/`, as package data of `lws.planning.operand.assets`.

`config/default` is rendered alone and with each component on top. An object that a component changes stands there in
both forms, and one that it takes away says so; the operator chooses by the components that it wants. Secrets are left
out, for the operand fills them, and so are Namespaces, the roles for people (operator 5.6), and the policies file,
which is theirs and optional.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from hack.kustomization import render as kustomize
from lws.apimachinery import resources
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource

CONFIG: Final = Path(__file__).resolve().parent.parent / "config"
NOT_APPLIED: Final = ("Secret", "Namespace")
NOT_CHOSEN: Final = ("forensics",)  # components that the operator has no member for: no right of its own for them
OF_PEOPLE: Final = ("ConfigMap", "lws-policies")  # the operator would undo what they write into it
RESOURCES: Final = {each.kind: each for each in vars(resources).values() if isinstance(each, Resource)}


def render(config: Path = CONFIG) -> str:
    """The package data: a JSON array with one entry on each line."""
    lines = [json.dumps(each, sort_keys=True, separators=(",", ":")) for each in entries(config)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def entries(config: Path) -> Iterator[JSON]:
    """Each object with the component that brings it, or those that take it away or change it."""
    people = {_key(each) for each in user_roles(config)}
    base = {_key(each): each for each in kustomize(config / "default") if _applied(each) and _key(each) not in people}
    changed: dict[tuple[str, str], list[str]] = {}
    brought = []
    for component in components(config):
        rendered = (each for each in _with_component(config, component) if _applied(each))
        found = {_key(each): each for each in rendered if _key(each) not in people}
        for key in [key for key in base if found.get(key) != base[key]]:
            changed.setdefault(key, []).append(component)
        brought += [(component, each) for key, each in found.items() if base.get(key) != each]
    for key, manifest in base.items():
        yield _entry(manifest, without=changed.get(key, []))
    for component, manifest in brought:
        yield _entry(manifest, component=component)


def user_roles(config: Path = CONFIG) -> list[JSON]:
    """Cluster roles for people: those that nothing in `config/` binds."""
    base = kustomize(config / "default")
    every = [*base, *(each for name in components(config) for each in _with_component(config, name))]
    bound = {
        each["roleRef"]["name"] for each in every if "roleRef" in each and each["roleRef"]["kind"] == "ClusterRole"
    }
    return [each for each in base if each["kind"] == "ClusterRole" and each["metadata"]["name"] not in bound]


def components(config: Path) -> list[str]:
    """Folders of `config/` that are components, by name."""
    return [
        path.parent.name
        for path in sorted(config.glob("*/kustomization.yaml"))
        if yaml.safe_load(path.read_text(encoding="utf-8")).get("kind") == "Component"
        and path.parent.name not in NOT_CHOSEN
    ]


def _with_component(config: Path, component: str) -> list[JSON]:
    with tempfile.TemporaryDirectory() as folder:
        text = {"resources": [str(config / "default")], "components": [str(config / component)]}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
        return kustomize(Path(folder))


def _applied(manifest: JSON) -> bool:
    return manifest["kind"] not in NOT_APPLIED and _key(manifest) != OF_PEOPLE


def _key(manifest: JSON) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _entry(manifest: JSON, *, component: str = "", without: list[str] | None = None) -> JSON:
    resource = RESOURCES.get(manifest["kind"])
    if resource is None or resource.api_version != manifest["apiVersion"]:
        name = f"{manifest['apiVersion']} {manifest['kind']}"
        raise ValueError(f"config/ has a {name}: declare its resource in lws.apimachinery.resources")
    entry: JSON = {"manifest": manifest, "plural": resource.plural, "namespaced": resource.namespaced}
    entry |= {"component": component} if component else {}
    return entry | ({"without": without} if without else {})

"""The one reader of the published Kubernetes schemas.

Source: the package ``kubernetes-validate``, which carries the OpenAPI definitions of a Kubernetes release. It marks
every optional field as nullable and pins ``apiVersion`` and ``kind`` with enums; both are taken out here, so that what
comes out is the schema as Kubernetes publishes it. The defaults that Kubernetes declares on fields are not in that
package; the few of them are listed below.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from sandbox.hack import gotypes

from lws.apimachinery.manifests import JSON

RELEASE = "v1.36.0"
CORE = "io.k8s.api.core.v1"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
EMBEDDED_METADATA: JSON = {
    "type": "object",
    "properties": {
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "name": {"type": "string"},
        "namespace": {"type": "string"},
    },
}

# Declared with `+default` in the Go types of Kubernetes: (definition, field) -> value.
DEFAULTS: Mapping[tuple[str, str], Any] = {
    (f"{CORE}.ContainerPort", "protocol"): "TCP",
    (f"{CORE}.ServicePort", "protocol"): "TCP",
    (f"{CORE}.GRPCAction", "service"): "",
    (f"{CORE}.LocalObjectReference", "name"): "",
    (f"{CORE}.ConfigMapKeySelector", "name"): "",
    (f"{CORE}.SecretKeySelector", "name"): "",
    (f"{CORE}.ConfigMapEnvSource", "name"): "",
    (f"{CORE}.SecretEnvSource", "name"): "",
    (f"{CORE}.ConfigMapVolumeSource", "name"): "",
    (f"{CORE}.ConfigMapProjection", "name"): "",
    (f"{CORE}.SecretProjection", "name"): "",
    (f"{CORE}.FileKeySelector", "optional"): False,
    (f"{CORE}.AzureDiskVolumeSource", "fsType"): "ext4",
    (f"{CORE}.AzureDiskVolumeSource", "readOnly"): False,
    (f"{CORE}.ISCSIVolumeSource", "iscsiInterface"): "default",
    (f"{CORE}.RBDVolumeSource", "keyring"): "/etc/ceph/keyring",
    (f"{CORE}.RBDVolumeSource", "pool"): "rbd",
    (f"{CORE}.RBDVolumeSource", "user"): "admin",
    (f"{CORE}.ScaleIOVolumeSource", "fsType"): "xfs",
    (f"{CORE}.ScaleIOVolumeSource", "storageMode"): "ThinProvisioned",
}
_KEPT = (
    "type",
    "format",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
_PATCH = ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key")

# API groups whose kinds the sandbox may serve or answer with.
GROUPS = (
    "",
    "admission.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
)
VERSIONS = ("v1", "v2")
_LIBRARY_DEFINITIONS = (f"{META}.DeleteOptions", f"{META}.Status", f"{META}.APIResourceList", f"{META}.APIGroupList")


@functools.cache
def definitions() -> Mapping[str, JSON]:
    """Every definition of the release, by its full name such as ``io.k8s.api.core.v1.Pod``, as the package has it."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{RELEASE}-local"
    loaded: JSON = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    found: dict[str, JSON] = loaded["$defs"]
    return found


def definition(name: str) -> JSON:
    """One definition with its references kept (``{"$ref": name}``), without descriptions, as Kubernetes means it."""
    return _clean(name, definitions()[name])


def _clean(owner: str, node: Mapping[str, Any]) -> JSON:
    if "$ref" in node:
        marks = {key: node[key] for key in (*_PATCH, "x-kubernetes-map-type") if key in node}
        return {"$ref": node["$ref"].rpartition("/")[2], **marks}
    if "oneOf" in node:
        return {"x-kubernetes-int-or-string": True, **({"format": "quantity"} if owner == QUANTITY else {})}
    clean: JSON = {key: node[key] for key in (*_KEPT, *_PATCH) if key in node}
    if isinstance(clean.get("type"), list):
        clean["type"] = clean["type"][0]
    if "items" in node:
        clean["items"] = _clean("", node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        clean["additionalProperties"] = _clean("", node["additionalProperties"])
    if "properties" in node:
        clean["properties"] = {field: _property(owner, field, value) for field, value in node["properties"].items()}
    return clean


def _property(owner: str, field: str, node: Mapping[str, Any]) -> JSON:
    clean = _clean("", node)
    if (owner, field) in DEFAULTS:
        clean["default"] = DEFAULTS[owner, field]
    return clean


def structural(
    name: str, *, replace: Mapping[str, JSON] | None = None, descriptions: bool = False, embedded: bool = True
) -> JSON:
    """A definition as the structural schema of a CustomResourceDefinition, every reference resolved.

    Lists keep their types and keys, int-or-string fields and quantities their ``anyOf`` and pattern, fields their
    defaults; patch strategies, which a structural schema does not know, are left out.

    Args:
        name: full name of the definition.
        replace: schemas to be put in place of definitions, by full name.
        descriptions: keep the descriptions.
        embedded: metadata inside it keeps only what controllers' templates may hold (spec 2.5).

    Raises:
        RecursionError: the definition contains itself.
    """
    replaced = dict(replace or {})
    if embedded:
        replaced.setdefault(f"{META}.ObjectMeta", EMBEDDED_METADATA)
    return _resolve({"$ref": name}, replaced, descriptions)


def _resolve(node: Mapping[str, Any], replace: Mapping[str, JSON], descriptions: bool) -> JSON:
    resolved: JSON = {}
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        resolved = _definition_inline(name, replace, descriptions)
    for key in _KEPT:
        if key in node:
            resolved[key] = node[key]
    if isinstance(resolved.get("type"), list):
        resolved["type"] = resolved["type"][0]
    if "items" in node:
        resolved["items"] = _resolve(node["items"], replace, descriptions)
    if isinstance(node.get("additionalProperties"), dict):
        resolved["additionalProperties"] = _resolve(node["additionalProperties"], replace, descriptions)
    if descriptions and "description" in node:
        resolved["description"] = node["description"]
    return resolved


def _definition_inline(name: str, replace: Mapping[str, JSON], descriptions: bool) -> JSON:
    if name in replace:
        copied: JSON = json.loads(json.dumps(replace[name]))
        return copied
    if name in (INT_OR_STRING, QUANTITY):
        inline: JSON = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        return inline | ({"pattern": QUANTITY_PATTERN} if name == QUANTITY else {})
    node = definitions()[name]
    resolved = _resolve(node, replace, descriptions)
    if "properties" in node:
        resolved["properties"] = {
            field: _property_inline(name, field, value, replace, descriptions)
            for field, value in node["properties"].items()
        }
    elif resolved.get("type") == "object" and "additionalProperties" not in resolved:
        resolved["x-kubernetes-preserve-unknown-fields"] = True
    return resolved


def _property_inline(owner: str, field: str, node: Mapping[str, Any], replace: Mapping[str, JSON], texts: bool) -> JSON:
    resolved = _resolve(node, replace, texts)
    if (owner, field) in DEFAULTS:
        resolved["default"] = DEFAULTS[owner, field]
    return resolved


def kinds() -> dict[str, str]:
    """``apiVersion/Kind`` (``v1/Pod``, ``apps/v1/StatefulSet``) of every packaged kind, with its definition's name."""
    found: dict[str, str] = {}
    for name, node in definitions().items():
        for entry in node.get("x-kubernetes-group-version-kind", ()):
            if entry["group"] not in GROUPS or entry["version"] not in VERSIONS or len(_entries(node)) > 1:
                continue
            group = f"{entry['group']}/" if entry["group"] else ""
            found[f"{group}{entry['version']}/{entry['kind']}"] = name
    return dict(sorted(found.items()))


def _entries(node: Mapping[str, Any]) -> list[Any]:
    entries: list[Any] = node["x-kubernetes-group-version-kind"]
    return entries


def closure(names: Iterable[str]) -> list[str]:
    """The named definitions and all that they refer to, sorted."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting.extend(_references(definition(name)))
    return sorted(seen)


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in _references(value)]


def packaged() -> tuple[JSON, JSON]:
    """What the sandbox carries: schemas without descriptions, and descriptions by definition and field.

    The description of a definition itself stands under the empty field name.
    """
    names = packaged_names()
    facts = gotypes.load()
    schemas: JSON = {
        "release": RELEASE,
        "kinds": kinds(),
        "definitions": {name: _with_facts(definition(name), facts.get(name, {})) for name in names},
    }
    texts: JSON = {name: _texts(definitions()[name]) for name in names}
    return schemas, texts


def packaged_names() -> list[str]:
    """Full names of the definitions that the sandbox carries."""
    return closure([*kinds().values(), *_LIBRARY_DEFINITIONS])


def _with_facts(node: JSON, facts: Mapping[str, str]) -> JSON:
    """Fields in the order of the Go type, each with its fact as ``x-go`` where it is not what its schema suggests."""
    order = {field: place for place, field in enumerate(facts)}
    if "properties" in node:
        node["properties"] = dict(sorted(node["properties"].items(), key=lambda item: order.get(item[0], -1)))
    for field, value in node.get("properties", {}).items():
        fact = facts.get(field, "")
        listed = value.get("type") in ("array", "string") or "additionalProperties" in value
        if fact and fact != ("o" if listed else "p"):
            value["x-go"] = fact
    return node


def _texts(node: Mapping[str, Any]) -> dict[str, str]:
    fields = {"": node, **node.get("properties", {})}
    return {field: value["description"] for field, value in fields.items() if "description" in value}


def rendered() -> dict[str, str]:
    """The sandbox's package data by file name; the same input always gives the same text."""
    schemas, texts = packaged()
    return {"definitions.json": _lines(schemas), "descriptions.json": _lines(texts)}


def write_packaged(root: Path) -> list[Path]:
    """Write the sandbox's package data below the project's root."""
    folder = root / "src" / "lws" / "sandbox" / "schema" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in rendered().items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written


def _lines(content: JSON) -> str:
    """JSON with one definition a line, so that a change of release reads as a diff."""

    def render(value: Any, depth: int) -> str:
        if depth == 0 or not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        rows = ",\n".join(f"{json.dumps(key)}:{render(item, depth - 1)}" for key, item in value.items())
        return "{\n" + rows + "\n}"

    return render(content, 2) + "\n"

"""Writes the field numbers of Kubernetes' protobuf messages, from the ``generated.proto`` files of k8s.io.

Usage: ``python -m sandbox.hack.protobuf API_DIR APIMACHINERY_DIR EXTENSIONS_DIR``, three checkouts of the published
sources (k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver). Numbers never change meaning, so the file is
made anew only when a kind or field is added.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lws_sandbox.builtinresources import builtins
from lws_sandbox.schema import builtin

OUT = Path(__file__).parents[1] / "src/lws_sandbox/data/protobuf.json"
FIELD = re.compile(r"^\s*(optional|repeated|map<(\w+),\s*([.\w]+)>)\s*([.\w]*)\s*(\w+)\s*=\s*(\d+);")
MAP = re.compile(r"^\s*map<(\w+),\s*([.\w]+)>\s+(\w+)\s*=\s*(\d+);")
SCALARS = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "bytes": "y", "double": "d"}
ROOTS = {
    "k8s.io.api.core.v1.Binding",
    "k8s.io.api.policy.v1.Eviction",
    "k8s.io.api.autoscaling.v1.Scale",
    "k8s.io.api.authentication.v1.TokenRequest",
    "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions",
}
SPECIAL = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "intstr",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Duration": "duration",
    "k8s.io.api.authentication.v1.ExtraValue": "strings",
    "k8s.io.api.authorization.v1.ExtraValue": "strings",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "json",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "json",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": "json",
}


def messages(directory: Path) -> Iterator[tuple[str, dict[int, list[str]]]]:
    """Every message of a checkout: its full name and its fields by number."""
    for path in sorted(directory.rglob("generated.proto")):
        package, name, fields = "", "", dict[int, list[str]]()
        for line in path.read_text().splitlines():
            if line.startswith("package "):
                package = line.split()[1].rstrip(";")
            elif line.startswith("message "):
                name, fields = f"{package}.{line.split()[1]}", {}
            elif line.startswith("}") and name:
                yield name, fields
                name = ""
            elif name:
                _field(line, package, fields)


def _field(line: str, package: str, fields: dict[int, list[str]]) -> None:
    if found := MAP.match(line):
        fields[int(found[4])] = [found[3], "map", _type(found[2], package)]
    elif (found := FIELD.match(line)) and found[4]:
        fields[int(found[6])] = [found[5], "list" if found[1] == "repeated" else "", _type(found[4], package)]


def _type(text: str, package: str) -> str:
    if text in SCALARS:
        return SCALARS[text]
    full = text[1:] if text.startswith(".") else f"{package}.{text}"
    return SPECIAL.get(full, full)


def main(directories: list[str]) -> None:
    """Write the file: messages that served kinds reach."""
    known = {name: fields for directory in directories for name, fields in messages(Path(directory))}
    reached: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    queue = sorted(ROOTS & known.keys())
    for found in builtins():
        resource = found.resource
        definition = builtin.definition_of(resource.api_version, resource.kind)
        name = (definition or "").replace("io.k8s.", "k8s.io.", 1)
        name = name.replace("k8s.io.apiextensions-apiserver", "k8s.io.apiextensions_apiserver")
        if name in known:
            kinds[f"{resource.api_version}/{resource.kind}"] = name
            queue.append(name)
    while queue:
        name = queue.pop()
        if name in reached:
            continue
        reached[name] = {str(number): _inlined(name, field, known) for number, field in sorted(known[name].items())}
        queue += [field[2] for field in known[name].values() if field[2] in known]
    for name in ROOTS & known.keys():
        group, version, kind = name.rsplit(".", 3)[-3:]
        prefix = "v1" if group in ("core", "meta") else f"{_groups().get(group, group)}/{version}"
        kinds[f"{prefix}/{kind}"] = name
    OUT.parent.mkdir(exist_ok=True)
    text = json.dumps({"kinds": kinds, "messages": reached}, sort_keys=True, separators=(",", ":"))
    OUT.write_text(text + "\n")


def _groups() -> dict[str, str]:
    return {"authentication": "authentication.k8s.io", "authorization": "authorization.k8s.io"}


def _inlined(name: str, field: list[str], known: dict[str, Any]) -> list[str]:
    """Structs that Go embeds are members of their own in protobuf, and none in JSON."""
    definition = builtin.definitions().get(_open_api(name))
    if definition is None or field[2] not in known or field[1]:
        return field
    properties = definition.get("properties") or {}
    inner = {found[0] for found in known[field[2]].values()}
    embedded = field[0] not in properties and inner <= properties.keys()
    return [field[0], "inline", field[2]] if embedded else field


def _open_api(name: str) -> str:
    return name.replace("k8s.io.", "io.k8s.", 1).replace("apiextensions_apiserver", "apiextensions-apiserver")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Facts about the Go types of Kubernetes that its published schemas leave out.

What a real server answers has passed through Go structs, so an empty value stays or goes by the field's Go type and
JSON tag, and a message about a wrong value names the Go type. Neither is in the published schemas.

``python -m sandbox.hack.gotypes API APIMACHINERY APIEXTENSIONS`` reads checkouts of ``k8s.io/api``,
``k8s.io/apimachinery`` and ``k8s.io/apiextensions-apiserver`` and writes ``go_fields.json``, which
`sandbox.hack.schemas` folds into the packaged schemas. Fields stand in the order of the Go type, in which a server
writes them.

One fact is a letter, then the Go type where the schema does not give it away:

- ``o``: omitted when empty (zero, false, "", empty list or map);
- ``p``: a pointer, omitted when null;
- ``s``: a struct by value, always there, so that it reads ``{}`` when empty, or ``null`` for a time;
- ``z``: a struct by value, omitted when empty;
- ``a``: always there, zero or null when empty.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent / "go_fields.json"
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^type (\w+) ((?:\[\]|map\[\w+\])?[\w.]+)(?:\s*//.*)?$", re.MULTILINE)
_FIELD = re.compile(r'^\t(?:\w+\s+)?(\S+)\s+`(?:[^`]* )?json:"([^"]*)"', re.MULTILINE)
_SCALARS = {"string", "bool", "int", "int32", "int64", "float64", "uint8", "byte"}
_IMPORTS = {"metav1": "v1", "corev1": "v1"}

Facts = dict[str, dict[str, str]]


def folder_of(definition: str, roots: Mapping[str, Path]) -> Path | None:
    """The folder of the Go package that declares a definition such as ``io.k8s.api.core.v1.Pod``."""
    package = definition.rpartition(".")[0]
    for prefix, root in roots.items():
        if package.startswith(prefix):
            return root / package.removeprefix(prefix).lstrip(".").replace(".", "/")
    return None


class Package:
    """The structs and named types of one Go package, read from its sources by their layout."""

    def __init__(self, folder: Path) -> None:
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.go")) if _wanted(path.name))
        text = re.sub(r"^\s*//.*\n", "", text, flags=re.MULTILINE)
        self.version = folder.name
        self.structs = {match[1]: match[2] for match in _STRUCT.finditer(text)}
        self.named = {match[1]: match[2] for match in _NAMED.finditer(text)}

    def facts(self, struct: str) -> Iterator[tuple[str, str]]:
        """The JSON name and the fact of each field that is not inlined from elsewhere."""
        for match in _FIELD.finditer(self.structs.get(struct, "")):
            go_type, tag = match[1], match[2].split(",")
            if not tag[0]:  # inlined
                yield from self.facts(go_type.lstrip("*"))
                continue
            yield tag[0], self._letter(go_type, tag[1:]) + self._spelled(go_type)

    def _letter(self, go_type: str, options: list[str]) -> str:
        base = self.named.get(go_type, go_type)
        by_value_struct = base not in _SCALARS and not base.startswith(("*", "[]", "map["))
        by_value_struct = by_value_struct and not (go_type in self.named and self.named[go_type] in _SCALARS)
        if go_type.startswith("*"):
            return "p" if "omitempty" in options or "omitzero" in options else "a"
        if by_value_struct and self._is_struct(go_type):
            return "z" if "omitzero" in options else "s"
        return "o" if "omitempty" in options or "omitzero" in options else "a"

    def _is_struct(self, go_type: str) -> bool:
        if "." in go_type:
            return go_type.rpartition(".")[2] not in _FOREIGN_SCALARS
        return go_type in self.structs

    def _spelled(self, go_type: str) -> str:
        """The Go type of a named scalar as errors print it; the schema gives all other types away."""
        bare = go_type.lstrip("*")
        qualifier, _, name = bare.rpartition(".")
        if qualifier:
            return f"v1.{name}" if name in _FOREIGN_SCALARS else ""
        return f"{self.version}.{bare}" if self.named.get(bare) in _SCALARS else ""


_FOREIGN_SCALARS = {
    "UID",
    "ConditionStatus",
    "LabelSelectorOperator",
    "DeletionPropagation",
    "ResourceName",
    "Protocol",
    "NodeSelectorOperator",
    "NodeName",
    "StatusReason",
    "CauseType",
    "ManagedFieldsOperationType",
    "PersistentVolumeAccessMode",
    "ResourceList",
}


def _wanted(name: str) -> bool:
    return not name.endswith("_test.go") and not name.startswith(("zz_generated", "generated"))


def collect(names: list[str], roots: Mapping[str, Path]) -> Facts:
    """The facts of the named definitions; those of packages that are not there are left out."""
    packages: dict[Path, Package] = {}
    facts: Facts = {}
    for name in names:
        folder = folder_of(name, roots)
        if folder is None or not folder.is_dir():
            continue
        package = packages.setdefault(folder, Package(folder)) if folder not in packages else packages[folder]
        facts[name] = dict(package.facts(name.rpartition(".")[2]))
    return {name: fields for name, fields in facts.items() if fields}


def load() -> dict[str, Any]:
    """What was written."""
    loaded: dict[str, Any] = json.loads(OUTPUT.read_text(encoding="utf-8"))
    return loaded


def main(arguments: list[str]) -> None:
    """Read the checkouts and write the file."""
    from sandbox.hack import schemas

    api, machinery, extensions = (Path(argument) for argument in arguments)
    roots = {
        "io.k8s.apiextensions-apiserver": extensions,
        "io.k8s.apimachinery": machinery,
        "io.k8s.api": api,
    }
    facts = collect(schemas.packaged_names(), roots)
    rows = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(fields, separators=(',', ':'))}" for name, fields in facts.items()
    )
    OUTPUT.write_text("{\n" + rows + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

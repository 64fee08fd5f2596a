"""The schema of what ``kubectl lws -o json`` prints, out of the documents that the plugin makes."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lws.cli.kubectl import documents
from lws.cli.kubectl.plan import documents as plan

TITLE = "What kubectl lws prints with -o json, and as YAML with -o yaml"


def kinds() -> dict[str, type[documents.Document]]:
    """The documents by their kind."""
    found = [
        each
        for each in (*vars(documents).values(), *vars(plan).values())
        if isinstance(each, type) and issubclass(each, documents.Document) and not each.__subclasses__()
    ]
    return {str(each.__struct_config__.tag): each for each in found}


def schema() -> dict[str, Any]:
    """A JSON schema that accepts every document, by its ``kind``, and nothing else."""
    made = kinds()
    _, components = msgspec.json.schema_components(list(made.values()), ref_template="#/$defs/{name}")
    defs = {name: _closed(definition) for name, definition in sorted(components.items())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in sorted(made)],
        "$defs": defs,
    }


def _closed(definition: dict[str, Any]) -> dict[str, Any]:
    """Every member is always there, and no other one is."""
    if "properties" not in definition:
        return definition
    return {**definition, "required": sorted(definition["properties"]), "additionalProperties": False}


def render() -> str:
    """The schema as it is kept in ``docs/``."""
    return json.dumps(schema(), indent=1) + "\n"

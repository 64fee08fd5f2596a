"""What is wrong with a definition, in the words of a real server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sandbox.tests.crd.extended import definition, spec_of, version

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd import definitionrules
from lws_sandbox.crd.definition import DefinitionStrategy
from lws_sandbox.status import Cause

STRING = {"type": "string"}
SCHEMA = "spec.validation.openAPIV3Schema"
PRESERVE = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
COLUMN_TYPES = "must be one of boolean,date,integer,number,string"
NO_FIELD = "is an invalid path: does not refer to a valid field"
ROOT = f"{SCHEMA}.properties[spec].properties[a]"


def complete(crd: JSON) -> JSON:
    """A definition with its defaults, as validation sees it."""
    strategy = DefinitionStrategy(lambda _new, _old: None)
    strategy.default(crd)
    crd["status"] = {"storedVersions": [each["name"] for each in crd["spec"]["versions"] if each["storage"]]}
    return crd


def told(causes: list[Cause]) -> list[str]:
    """Causes as a message tells them."""
    return [cause.text for cause in causes]


def test_a_good_definition() -> None:
    """Nothing is wrong with it."""
    assert definitionrules.validate_new(complete(definition())) == []


FRAMES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"metadata": {"name": "other.example.org"}},
        ['metadata.name: Invalid value: "other.example.org": must be spec.names.plural+"."+spec.group'],
    ),
    ({"scope": "Galactic"}, ['spec.scope: Unsupported value: "Galactic": supported values: "Cluster", "Namespaced"']),
    ({"scope": ""}, ["spec.scope: Required value"]),
    (
        {"names": {"listKind": "Thing"}},
        ['spec.names.listKind: Invalid value: "Thing": kind and listKind may not be the same'],
    ),
    (
        {"conversion": {"strategy": "Odd"}},
        ['spec.conversion.strategy: Unsupported value: "Odd": supported values: "None", "Webhook"'],
    ),
    (
        {"conversion": {"strategy": "Webhook"}},
        [
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
            "spec.conversion.conversionReviewVersions: Required value",
        ],
    ),
    (
        {"preserveUnknownFields": True},
        [
            f"spec.preserveUnknownFields: Invalid value: true: {PRESERVE}",
        ],
    ),
]


@pytest.mark.parametrize(("edit", "texts"), FRAMES)
def test_frames(edit: JSON, texts: list[str]) -> None:
    """Names, scope and conversion have their rules."""
    crd = complete(definition())
    for member, value in edit.items():
        target = crd if member == "metadata" else crd["spec"]
        target[member] = {**target[member], **value} if isinstance(value, dict) else value
    assert told(definitionrules.validate_new(crd)) == texts


def test_versions() -> None:
    """Version names differ, and exactly one version stores."""
    twice = told(definitionrules.validate_new(complete(definition("things", version("v1"), version("v1")))))
    assert any(text.endswith("must contain unique version names") for text in twice)
    assert any(text.endswith("must have exactly one version marked as storage version") for text in twice)


SCHEMAS: list[tuple[JSON, str]] = [
    ({}, f"{ROOT}.type: Required value: must not be empty for specified object fields"),
    ({"type": "array"}, f"{ROOT}.items: Required value: must be specified"),
    (
        {**STRING, "default": 1},
        f'{ROOT}.default: Invalid value: "integer":  in body must be of type string: "integer"',
    ),
    (
        {**STRING, "enum": ["x"], "default": "y"},
        f'{ROOT}.default: Unsupported value: "y": supported values: "x"',
    ),
    (
        {"type": "array", "items": STRING, "x-kubernetes-list-type": "odd"},
        f'{ROOT}.x-kubernetes-list-type: Unsupported value: "odd": supported values: "atomic", "set", "map"',
    ),
    (
        {"type": "object", "x-kubernetes-list-type": "set"},
        f'{ROOT}.type: Invalid value: "object": must be array if x-kubernetes-list-type is specified',
    ),
    (
        {**STRING, "x-kubernetes-validations": [{"rule": "self.x"}]},
        f"{ROOT}.x-kubernetes-validations[0].rule: Invalid value: ",
    ),
    (
        {**STRING, "uniqueItems": True},
        f"{ROOT}.uniqueItems: Forbidden: uniqueItems cannot be set to true since",
    ),
    ({**STRING, "$ref": "#/x"}, f"{ROOT}.$ref: Forbidden: $ref is not supported"),
]


@pytest.mark.parametrize(("schema", "text"), SCHEMAS)
def test_schemas(schema: JSON, text: str) -> None:
    """Schemas are structural; what is not is told with its path."""
    crd = complete(definition("things", version(schema=spec_of(a=schema))))
    found = told(definitionrules.validate_new(crd))
    assert any(each.startswith(text) for each in found), found


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"subresources": {"scale": {"specReplicasPath": ".x", "statusReplicasPath": ".status.n"}}},
            'spec.subresources.scale.specReplicasPath: Invalid value: ".x": should be a json path under .spec',
        ),
        (
            {"additionalPrinterColumns": [{"name": "N", "type": "thing", "jsonPath": ".spec.n"}]},
            f'spec.additionalPrinterColumns[0].type: Invalid value: "thing": {COLUMN_TYPES}',
        ),
        (
            {"selectableFields": [{"jsonPath": ".spec.b"}]},
            f'spec.selectableFields[0].jsonPath: Invalid value: ".spec.b": {NO_FIELD}',
        ),
        (
            {"deprecationWarning": "x"},
            'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
        ),
    ],
)
def test_surfaces(members: JSON, text: str) -> None:
    """Scale paths, columns, selectable fields and warnings have their rules."""
    crd = complete(definition("things", version(schema=spec_of(a=STRING), **members)))
    assert told(definitionrules.validate_new(crd)) == [text]


def test_what_an_established_definition_cannot_change() -> None:
    """Group and plural never change, scope and kind not once it is established."""
    old = complete(definition())
    new = copy.deepcopy(old)
    new["spec"]["scope"], new["spec"]["names"]["kind"] = "Cluster", "Other"
    assert told(definitionrules.validate_change(new, old)) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert told(definitionrules.validate_change(new, old)) == [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Other": field is immutable',
    ]
    new = copy.deepcopy(old)
    new["spec"]["group"] = "example.com"
    assert 'spec.group: Invalid value: "example.com": field is immutable' in told(
        definitionrules.validate_change(new, old)
    )


def test_unknown_formats_warn_when_they_come_in() -> None:
    """A format that nobody knows is told once."""
    strategy = DefinitionStrategy(lambda _new, _old: None)
    crd = definition(
        "things", version(schema=spec_of(a={**STRING, "format": "recipe"}, b={**STRING, "format": "date"}))
    )
    assert strategy.warnings(crd, None) == ['unrecognized format "recipe"']
    assert strategy.warnings(crd, crd) == []

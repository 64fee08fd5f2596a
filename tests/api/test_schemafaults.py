"""What is wrong with an object by its definition's schema, without an API server."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.operand.crd import LEADERWORKERSETOPERATOR
from lws.api.schemafaults import faults

(VERSION,) = LEADERWORKERSETOPERATOR.manifest()["spec"]["versions"]
SPEC = VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ([], "spec must be of type object, not []"),
        ({"operand": {"replicas": "many"}}, "spec.operand.replicas must be of type integer, not 'many'"),
        ({"operand": {"replicas": True}}, "spec.operand.replicas must be of type integer, not True"),
        ({"operand": {"replicas": 9}}, "spec.operand.replicas must be at most 5, not 9"),
        ({"operand": {"components": ["A"]}}, "spec.operand.components[0] must match "),
        ({"certificates": {"mode": "Foo"}}, "must be one of 'Auto', 'CertManager', 'Internal', not 'Foo'"),
        ({"certificates": {"issuerRef": {}}}, "spec.certificates.issuerRef.name is required"),
        ({"rolout": {}}, "spec has no member rolout; it has certificates, "),
    ],
)
def test_what_an_api_server_would_refuse_is_told(spec: Any, sentence: str) -> None:
    """One sentence names the member, and what it may be."""
    (told,) = faults(SPEC, spec, "spec")
    assert sentence in told


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"operand": None, "unsupportedConfigOverrides": {"any": {"thing": 1}}},
        {"nodePlacement": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}},
        {"operand": {"resources": {"limits": {"memory": "1Gi", "cpu": 1}}}},
    ],
)
def test_what_it_would_take_is_right(spec: Any) -> None:
    """Null members, free-form sections, maps and quantities of either kind are nothing wrong."""
    assert [*faults(SPEC, spec, "spec")] == []

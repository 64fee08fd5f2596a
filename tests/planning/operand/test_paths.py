"""Which field of the operator's object is to be corrected (operator 5.2)."""

from __future__ import annotations

import pytest

from lws.apimachinery.manifests import JSON
from lws.planning.operand.paths import of_configuration


@pytest.mark.parametrize(
    ("problem", "overrides", "field"),
    [
        ("tls.cipherSuites: 'TLS_FOO' is not supported", {}, "spec.tls"),
        ("tls.cipherSuites: 'TLS_FOO' is not supported", {"tls": {}}, "spec.unsupportedConfigOverrides"),
        ("unknown field 'bogus'", {"bogus": 1}, "spec.unsupportedConfigOverrides"),
        ("clientConnection.burst must be at least 1", {}, "spec.operand.configuration.clientConnection"),
    ],
)
def test_what_made_the_configuration_invalid_is_named(problem: str, overrides: JSON, field: str) -> None:
    """A section that the overrides do not touch came from the member of the spec that stands for it."""
    assert of_configuration(problem, overrides) == field

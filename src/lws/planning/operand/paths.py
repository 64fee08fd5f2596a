"""From a field of an applied object to the field of the LeaderWorkerSetOperator that decides it (operator 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from lws.apimachinery.manifests import JSON

_POD: Final = "spec.template.spec."
_PATHS: Final = (
    (re.compile(r"^spec\.template\.spec\.(nodeSelector|tolerations|affinity)"), r"spec.nodePlacement.\1"),
    (re.compile(r"^spec\.template\.spec\.containers\[\d+\]\.resources"), "spec.operand.resources"),
    (re.compile(r"^spec\.template\.spec\.(priorityClassName|imagePullSecrets)"), r"spec.operand.\1"),
    (re.compile(r"^spec\.replicas"), "spec.operand.replicas"),
)

_SECTIONS: Final = {"tls": "spec.tls", "clientConnection": "spec.operand.configuration.clientConnection"}


def source(field: str) -> str:
    """The field that decides a field of the Deployment; the Deployment's own where none does."""
    for pattern, replacement in _PATHS:
        if pattern.match(field):
            return pattern.sub(replacement, field)
    return field


def refusal(causes: Iterable[JSON], message: str) -> str:
    """What the API server says of an invalid Deployment, in terms of the LeaderWorkerSetOperator."""
    told = [f"{source(each['field'])}: {each.get('message')}" for each in causes if each.get("field")]
    return "; ".join(told) or message


def of_configuration(problem: str, overrides: JSON) -> str:
    """The field of the LeaderWorkerSetOperator that made the configuration file invalid: its own, or the overrides."""
    for section, field in _SECTIONS.items():
        if f"{section}." in problem and section not in overrides:
            return field
    return "spec.unsupportedConfigOverrides"

"""Network policies: defaults, what is refused, how they are shown."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.kinds.written import NOW, made, refused, strategy

from lws.apimachinery.manifests import JSON

POLICIES = strategy("networkpolicies", "networking.k8s.io")


def policy(**spec: Any) -> JSON:
    """A policy for some pods."""
    return {"spec": {"podSelector": {"matchLabels": {"app": "a"}}, **spec}}


def test_directions_and_protocols_are_filled_in() -> None:
    """Ingress is always meant, egress where there are rules for it; ports are of TCP."""
    found = made(POLICIES, policy(ingress=[{"ports": [{"port": 80}]}]))
    assert found["spec"]["policyTypes"] == ["Ingress"]
    assert found["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 80}]}]
    assert made(POLICIES, policy(egress=[{}]))["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made(POLICIES, policy(egress=[{}], policyTypes=["Egress"]))["spec"]["policyTypes"] == ["Egress"]


REFUSED: list[tuple[JSON, str]] = [
    ({"ingress": [{"ports": [{"port": 0}]}]}, "spec.ingress[0].ports[0].port"),
    ({"ingress": [{"ports": [{"port": 80, "protocol": "ICMP"}]}]}, "spec.ingress[0].ports[0].protocol"),
    ({"egress": [{"ports": [{"port": 80, "endPort": 79}]}]}, "spec.egress[0].ports[0].endPort"),
    ({"egress": [{"ports": [{"endPort": 79}]}]}, "spec.egress[0].ports[0].endPort"),
    ({"egress": [{"ports": [{"port": "web", "endPort": 79}]}]}, "spec.egress[0].ports[0].endPort"),
    ({"ingress": [{"from": [{}]}]}, "spec.ingress[0].from[0]"),
    ({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0"}, "podSelector": {}}]}]}, "spec.egress[0].to[0]"),
    ({"egress": [{"to": [{"ipBlock": {"cidr": "300.0.0.0/8"}}]}]}, "spec.egress[0].to[0].ipBlock.cidr"),
    ({"egress": [{"to": [{"ipBlock": {"cidr": ""}}]}]}, "spec.egress[0].to[0].ipBlock.cidr"),
    (
        {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]},
        "spec.egress[0].to[0].ipBlock.except[0]",
    ),
    (
        {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/16"]}}]}]},
        "spec.egress[0].to[0].ipBlock.except[0]",
    ),
    ({"ingress": [{"from": [{"podSelector": {"matchLabels": {"a b": "c"}}}]}]}, "spec.ingress[0].from[0].podSelector"),
    ({"policyTypes": ["Sideways"]}, "spec.policyTypes[0]"),
    ({"policyTypes": ["Ingress", "Egress", "Ingress"]}, "spec.policyTypes"),
]


@pytest.mark.parametrize(("spec", "field"), REFUSED)
def test_what_makes_no_sense_is_refused(spec: JSON, field: str) -> None:
    """The refusal names the field."""
    assert [cause for cause in refused(POLICIES, policy(**spec)) if field in cause]


def test_the_table_shows_whom_a_policy_is_for() -> None:
    """The selector stands beside the name; an empty one is for all pods."""
    policies = [made(POLICIES, policy()), made(POLICIES, {"spec": {}})]
    assert [POLICIES.row(each, NOW)[1] for each in policies] == ["app=a", "<none>"]

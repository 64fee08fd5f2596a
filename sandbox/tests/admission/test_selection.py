"""Which webhooks are asked: rules, scopes, selectors."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.admission.worlds import (
    NAMESPACES,
    NODES,
    World,
    config_map,
    configuration,
    hook,
    refusal,
    review,
    rule,
)

from lws.apimachinery.manifests import JSON
from tests.virtual import virtual_time


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (rule(), True),
        (rule(operations=["CREATE"]), True),
        (rule(operations=["UPDATE", "DELETE"]), False),
        (rule(apiGroups=["*"]), True),
        (rule(apiGroups=["apps"]), False),
        (rule(apiVersions=["*"]), True),
        (rule(apiVersions=["v2"]), False),
        (rule(resources=["secrets", "configmaps"]), True),
        (rule(resources=["configmaps/*"]), True),
        (rule(resources=["configmaps/status"]), False),
        (rule(resources=["*/*"]), True),
        (rule(resources=["*/status"]), False),
        (rule(scope="Namespaced"), True),
        (rule(scope="Cluster"), False),
        (rule(scope="*"), True),
    ],
)
def test_rules(found: JSON, asked: bool) -> None:
    """A rule takes a write by operation, group, version, resource and scope."""
    _check_asked(hook("check", rules=[found]), review(config_map()), asked)


@pytest.mark.parametrize(
    ("found", "subresource", "asked"),
    [
        (["configmaps"], "status", False),
        (["configmaps/status"], "status", True),
        (["configmaps/*"], "status", True),
        (["*"], "status", False),
        (["*/status"], "status", True),
        (["*/*"], "status", True),
    ],
)
def test_rules_for_subresources(found: list[str], subresource: str, asked: bool) -> None:
    """Subresources are asked about only where rules name them."""
    given = review(config_map(), config_map(), subresource=subresource)
    _check_asked(hook("check", rules=[rule(resources=found)]), given, asked)


@pytest.mark.parametrize(
    ("scope", "strategy", "namespace", "asked"),
    [
        ("Cluster", NODES, "", True),
        ("Namespaced", NODES, "", False),
        ("Cluster", NAMESPACES, "a", True),
        ("Namespaced", NAMESPACES, "a", False),
    ],
)
def test_scope(scope: str, strategy: Any, namespace: str, asked: bool) -> None:
    """Namespaces are cluster-scoped, although a review of one carries its own name as namespace."""
    given = review(config_map(), strategy=strategy, namespace=namespace)
    _check_asked(hook("check", rules=[rule(scope=scope)]), given, asked)


@virtual_time
async def _ask(found: JSON, given: Any, expected: bool, namespaces: dict[str, JSON] | None = None) -> None:
    world = World()
    world.namespaces.update(namespaces or {})
    world.validating = [configuration("c", found)]
    await world.admission.validate(given)
    assert bool(world.asked) is expected


def _check_asked(found: JSON, given: Any, expected: bool, namespaces: dict[str, JSON] | None = None) -> None:
    _ask(found, given, expected, namespaces)


LABELLED: JSON = {"metadata": {"name": "a", "labels": {"watched": "yes"}}}
PLAIN: JSON = {"metadata": {"name": "a"}}
WATCHED: JSON = {"matchLabels": {"watched": "yes"}}


@pytest.mark.parametrize(
    ("obj", "old", "asked"),
    [
        (PLAIN, None, False),
        (LABELLED, None, True),
        (PLAIN, LABELLED, True),
        (LABELLED, PLAIN, True),
        (PLAIN, PLAIN, False),
        (None, LABELLED, True),
        (None, PLAIN, False),
    ],
)
def test_object_selector(obj: JSON | None, old: JSON | None, asked: bool) -> None:
    """It looks at the new object and at the old one; either will do."""
    _check_asked(hook("check", objectSelector=WATCHED), review(obj, old), asked)


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        ({"matchExpressions": [{"key": "watched", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "watched", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "watched", "operator": "In", "values": ["no", "yes"]}]}, True),
        ({"matchExpressions": [{"key": "watched", "operator": "NotIn", "values": ["yes"]}]}, False),
        ({"matchLabels": {"watched": "no"}}, False),
        ({}, True),
    ],
)
def test_namespace_selector(selector: JSON, asked: bool) -> None:
    """It looks at the labels of the stored namespace."""
    _check_asked(hook("check", namespaceSelector=selector), review(config_map()), asked, {"n": LABELLED})


@pytest.mark.parametrize(("obj", "asked"), [(LABELLED, True), (PLAIN, False)])
def test_namespace_selector_on_a_namespace(obj: JSON, asked: bool) -> None:
    """The creation of a namespace is judged by its own labels, its deletion by those that are stored."""
    found = hook("check", namespaceSelector=WATCHED, rules=[rule(resources=["namespaces"])])
    _check_asked(found, review(obj, strategy=NAMESPACES, namespace="a"), asked)
    _check_asked(found, review(None, obj, strategy=NAMESPACES, namespace="a"), asked, {"a": obj})


def test_namespace_selector_and_cluster_scope() -> None:
    """An object without a namespace is never exempted by it."""
    found = hook("check", namespaceSelector=WATCHED, rules=[rule(resources=["nodes"])])
    _check_asked(found, review(PLAIN, strategy=NODES, namespace=""), True)


@virtual_time
async def test_namespace_is_gone() -> None:
    """A namespace that is not there is a 404, but only for a webhook whose rules take the write."""
    world = World()
    world.namespaces = {}
    world.validating = [configuration("c", hook("other", namespaceSelector=WATCHED, rules=[rule(apiGroups=["x"])]))]
    await world.admission.validate(review(config_map()))
    world.validating = [configuration("c", hook("check", namespaceSelector=WATCHED), version="2")]
    error = await refusal(world)
    assert (error.code, error.message) == (404, 'namespaces "n" not found')


@virtual_time
async def test_configurations_are_exempt() -> None:
    """Nobody is asked about webhook configurations, so that a broken webhook can be mended."""
    world = World()
    world.validating = [configuration("c", hook("check", rules=[rule(apiGroups=["*"], apiVersions=["*"])]))]
    kind = ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration")
    await world.admission.validate(review(PLAIN, kind=kind))
    await world.admission.mutate(review(PLAIN, kind=kind))
    assert world.asked == []

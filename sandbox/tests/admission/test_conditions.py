"""Match conditions in CEL."""

from __future__ import annotations

import pytest
from sandbox.tests.admission.worlds import World, config_map, configuration, hook, patch, review

from lws.apimachinery.manifests import JSON
from lws_sandbox.admission.conditions import ConditionError, evaluate
from lws_sandbox.status import StatusError
from tests.virtual import virtual_time

OBJECT: JSON = {"metadata": {"name": "abc", "labels": {"a": "b"}}, "spec": {"n": 3}}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("object.metadata.name.startsWith('a')", True),
        ("object.metadata.name in ['x', 'y']", False),
        ("has(object.data) && object.data.x == 'y'", False),
        ("'a' in object.metadata.labels", True),
        ("oldObject == null || object.spec.n > oldObject.spec.n", True),
        ("object.spec.n + 1 == 4", True),
        ("request.userInfo.username == 'somebody'", False),
        ("request.userInfo.groups.exists(g, g == 'system:masters')", True),
        ("request.operation == 'CREATE' && !request.dryRun", True),
        ("object.metadata.name.matches('^a.c$')", True),
    ],
)
def test_expressions(expression: str, holds: bool) -> None:
    """They see object, oldObject and request."""
    request = {
        "userInfo": {"username": "admin", "groups": ["system:masters"]},
        "operation": "CREATE",
        "dryRun": False,
    }
    assert evaluate((("only", expression),), {"object": OBJECT, "oldObject": None, "request": request}) is holds


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("object.data.missing == 'x'", "no such key: data"),
        ("object.metadata.labels['zz'] == 'b'", "no such key: zz"),
        ("object.spec.n + 'a' == 'x'", "no such overload"),
        ("object.spec.n / 0 == 1", "division by zero"),
        ("nothing.x == 1", "undeclared reference to 'nothing'"),
        ("object.spec.n", "cel expression does not evaluate to bool"),
    ],
)
def test_errors(expression: str, why: str) -> None:
    """What cannot be evaluated is told with the expression and the cause."""
    with pytest.raises(ConditionError) as caught:
        evaluate((("only", expression),), {"object": OBJECT})
    assert str(caught.value) == f"expression '{expression}' resulted in error: {why}"


def test_false_beats_an_error() -> None:
    """One condition that is false decides, although another one failed before it."""
    conditions = (("fails", "object.none == 1"), ("false", "object.spec.n == 4"))
    assert evaluate(conditions, {"object": OBJECT}) is False


def test_several_errors() -> None:
    """Several errors are listed."""
    conditions = (("one", "object.x == 1"), ("two", "object.y == 1"), ("true", "true"))
    with pytest.raises(ConditionError) as caught:
        evaluate(conditions, {"object": OBJECT})
    assert str(caught.value) == (
        "[expression 'object.x == 1' resulted in error: no such key: x, "
        "expression 'object.y == 1' resulted in error: no such key: y]"
    )


@virtual_time
async def test_an_error_is_forbidden_or_skips() -> None:
    """An error refuses with 403; where failures are ignored, the webhook is not asked."""
    conditions = [{"name": "only", "expression": "object.data.missing == 'x'"}]
    world = World()
    world.validating = [configuration("c", hook("check", matchConditions=conditions))]
    with pytest.raises(StatusError) as caught:
        await world.admission.validate(review(config_map()))
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    assert caught.value.message == (
        "configmaps \"a\" is forbidden: expression 'object.data.missing == 'x'' resulted in error: no such key: data"
    )
    world.validating = [
        configuration("c", hook("check", matchConditions=conditions, failurePolicy="Ignore"), version="2")
    ]
    await world.admission.validate(review(config_map()))
    assert world.asked == []


@virtual_time
async def test_conditions_see_earlier_patches() -> None:
    """A condition decides on the object as earlier webhooks left it."""
    conditions = [{"name": "only", "expression": "has(object.data) && object.data.k == 'v'"}]
    world = World()
    world.mutating = [configuration("c", hook("one"), hook("two", matchConditions=conditions))]
    await world.admission.mutate(review(config_map()))
    assert world.paths == ["one"]
    world.answer("one", patch({"op": "add", "path": "/data", "value": {"k": "v"}}))
    await world.admission.mutate(review(config_map()))
    assert world.paths == ["one", "one", "two"]

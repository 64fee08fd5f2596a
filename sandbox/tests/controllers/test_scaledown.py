"""The order in which a ReplicaSet deletes pods."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.controllers.builders import NOW, at

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import name_of
from lws_sandbox.controllers.scaledown import DELETION_COST, by_deletion_order, deletion_cost


def _pod(name: str, *, node: str = "n", phase: str = "Running", ready: float | None = 1000, **more: Any) -> JSON:
    """A pod that is ready for so many seconds, or not."""
    status: JSON = {"phase": phase, "containerStatuses": [{"restartCount": more.get("restarts", 0)}]}
    if ready is not None:
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": at(-ready)}]
    metadata: JSON = {"name": name, "uid": name, "creationTimestamp": at(-more.get("age", 2000))}
    if "cost" in more:
        metadata["annotations"] = {DELETION_COST: more["cost"]}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


ORDERS: list[tuple[JSON, JSON]] = [
    (_pod("z", node=""), _pod("a", phase="Pending", ready=None)),
    (_pod("z", phase="Pending", ready=None), _pod("a", ready=None)),
    (_pod("z", ready=None, cost="9"), _pod("a", cost="-9")),
    (_pod("z", cost="-1"), _pod("a")),
    (_pod("z", ready=10), _pod("a", ready=1000)),
    (_pod("z", restarts=2), _pod("a", restarts=1)),
    (_pod("z", age=10), _pod("a", age=1000)),
    (_pod("a", ready=1000), _pod("z", ready=1001)),
]


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_the_pod_that_is_worth_less_goes_first(first: JSON, second: JSON) -> None:
    """Each rule decides where those before it do not; times of one magnitude are equal and leave it to the UID."""
    assert [name_of(pod) for pod in by_deletion_order([second, first], NOW)] == [name_of(first), name_of(second)]


def test_a_node_with_many_pods_gives_one_up_first() -> None:
    """Pods of one set are spread by deleting where they are dense."""
    pods = [_pod("a", node="one"), _pod("y", node="two"), _pod("z", node="two")]
    assert name_of(by_deletion_order(pods, NOW)[0]) in ("y", "z")


@pytest.mark.parametrize(
    ("text", "cost"), [("5", 5), ("-5", -5), ("", 0), ("cheap", 0), ("1e3", 0), ("9" * 5000, 0), ("2147483648", 0)]
)
def test_a_cost_is_a_number_of_32_bits(text: str, cost: int) -> None:
    """What is none counts as 0."""
    assert deletion_cost(_pod("a", cost=text)) == cost

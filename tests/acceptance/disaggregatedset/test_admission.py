"""What admission stores and refuses: defaults and rules of the schema, texts of the webhook (disaggregatedset 2, 3)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.errors import ForbiddenError, InvalidError
from tests.acceptance.disaggregatedset.site import site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import external, paced, pause, role

Row = tuple[list[JSON], JSON, str]
PAIR = [role("a"), role("b")]
Q = "spec.roles[0].spec.rolloutStrategy.rollingUpdateConfiguration"
UNCHECKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
EXCLUSIVE = {"type": "ExclusiveSlice", "topology": "zone"}


def first(**more: Any) -> list[JSON]:
    """Two roles, the first of them with these members."""
    return [role("a", **more), role("b")]


SCHEMA: dict[str, Row] = {
    "replicas": (
        [role("a", 0), role("b")],
        {},
        "spec: Invalid value: replicas must be zero for all non-External roles or non-zero for all non-External roles",
    ),
    "one role": ([role("a")], {}, "spec.roles: Invalid value: 1: spec.roles in body should have at least 2 items"),
    "twins": ([role("a"), role("a")], {}, 'spec.roles[1]: Duplicate value: {"name":"a"}'),
    "name": (
        [role("A"), role("b")],
        {},
        (
            'spec.roles[0].name: Invalid value: "A": spec.roles[0].name in body should match '
            "'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
        ),
    ),
    "no slice": (
        PAIR,
        {"slices": 0},
        "spec.slices: Invalid value: 0: spec.slices in body should be greater than or equal to 1",
    ),
    "slices": (
        PAIR,
        {"slices": 101},
        "spec.slices: Invalid value: 101: spec.slices in body should be less than or equal to 100",
    ),
    "mode": (
        first(scaling={"mode": "Auto"}),
        {},
        f'[spec.roles[0].scaling.mode: Unsupported value: "Auto": supported values: "Static", "External", {UNCHECKED}]',
    ),
    "policy": (
        PAIR,
        {"placementPolicy": {"type": "Spread"}},
        (
            '[spec.placementPolicy.type: Unsupported value: "Spread": supported values: '
            f'"None", "ExclusiveSlice", "ExclusiveTopology", {UNCHECKED}]'
        ),
    ),
}
WEBHOOK: dict[str, Row] = {
    "2": (
        first(rolloutStrategy=paced(partition=1)),
        {},
        (
            f"{Q}.partition: Forbidden: partition is not supported by DisaggregatedSet; rolling updates are managed "
            "across roles by the DisaggregatedSet controller"
        ),
    ),
    "3 and 5": (
        first(rolloutStrategy=paced(maxUnavailable=-2, maxSurge=-1)),
        {},
        (
            f"[{Q}.maxUnavailable: Invalid value: -2: must be greater than or equal to 0, "
            f"{Q}.maxSurge: Invalid value: -1: must be greater than or equal to 0]"
        ),
    ),
    "4": (
        first(rolloutStrategy=paced(maxUnavailable="150%")),
        {},
        f'{Q}.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
    ),
    "7": (
        first(rolloutStrategy=paced(maxUnavailable="25%")),
        {},
        f'{Q}.maxUnavailable: Invalid value: "25%": must not be 0 when `maxSurge` is 0',
    ),
    "9": (
        [external("a"), role("b")],
        {"slices": 2},
        (
            "spec.slices: Forbidden: spec.slices > 1 is not supported while any role has scaling.mode: External "
            "(alpha restriction)"
        ),
    ),
    "11": (
        PAIR,
        {"placementPolicy": {"type": "ExclusiveSlice"}},
        "spec.placementPolicy.topology: Required value: topology is required when type is not None",
    ),
    "12": (
        first(metadata={"annotations": {"leaderworkerset.sigs.k8s.io/exclusive-topology": "zone"}}),
        {"placementPolicy": EXCLUSIVE},
        (
            'spec.roles[0]: Forbidden: the "leaderworkerset.sigs.k8s.io/exclusive-topology" annotation must not be '
            "combined with a non-None spec.placementPolicy.type (ExclusiveSlice)"
        ),
    ),
}


@pytest.mark.parametrize("case", SCHEMA)
@on_every_stage
async def test_the_schema_refuses(case: str) -> None:
    """What breaks the schema or its rule is refused with 422, in the API server's words."""
    made, spec, text = SCHEMA[case]
    async with site(begin=False) as found:
        with pytest.raises(InvalidError) as refused:
            await found.create(*made, **spec)
        assert str(refused.value) == f'DisaggregatedSet.disaggregatedset.x-k8s.io "x" is invalid: {text}'


@pytest.mark.parametrize("row", WEBHOOK)
@on_every_stage
async def test_the_webhook_refuses(row: str) -> None:
    """Each rule of 3.2 that the schema lets through is refused with 403, in its exact words."""
    made, spec, text = WEBHOOK[row]
    async with site(begin=False) as found:
        with pytest.raises(ForbiddenError) as refused:
            await found.create(*made, **spec)
        assert refused.value.status == 403
        assert str(refused.value) == f'admission webhook "vdisaggregatedset.kb.io" denied the request: {text}'


@on_every_stage
async def test_defaults() -> None:
    """The schema fills in what 2.1 says and nothing else: a role without a strategy stays without one."""
    async with site(begin=False) as found:
        paces: JSON = {"type": "RollingUpdate", "rollingUpdateConfiguration": {}}
        live = await found.create(
            role("a", None, scaling={}),
            role("b", None, rolloutStrategy=paces, template=pause()),
            placementPolicy={},
        )
        spec = live["spec"]
        assert (spec["slices"], spec["placementPolicy"]) == (1, {"type": "None"})
        bare, paced_role = spec["roles"]
        assert bare["scaling"] == {"mode": "Static"}
        assert "scaling" not in paced_role
        assert bare["spec"] == {
            "replicas": 1,
            "startupPolicy": "LeaderCreated",
            "groupIdentity": "Ordinal",
            "groupReplacementPolicy": "PostTermination",
            "leaderWorkerTemplate": {**pause(), "restartPolicy": "RecreateGroupOnPodRestart", "size": 1},
        }
        assert paced_role["spec"]["rolloutStrategy"] == {
            "type": "RollingUpdate",
            "rollingUpdateConfiguration": {"partition": 0, "maxUnavailable": 1, "maxSurge": 0},
        }

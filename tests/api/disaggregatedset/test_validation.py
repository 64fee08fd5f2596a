"""Validation at admission, rule by rule, byte for byte (disaggregatedset 3.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.disaggregatedset.validation import validate, warnings
from lws.api.rules import aggregate
from lws.apimachinery.manifests import JSON
from tests.api.disaggregatedset.making import external, manifest, paced, pause, role

PACE = "spec.rolloutStrategy.rollingUpdateConfiguration"
NEGATIVE = "must be greater than or equal to 0"
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
PARTITION = (
    "partition is not supported by DisaggregatedSet; rolling updates are managed across roles by the DisaggregatedSet "
    "controller"
)
SLICES = (
    "spec.slices: Forbidden: spec.slices > 1 is not supported while any role has scaling.mode: External (alpha "
    "restriction)"
)


def test_a_plain_set_is_admitted() -> None:
    """Two roles without anything else are admitted in silence."""
    assert (validate(manifest()), warnings(manifest(), None)) == ([], [])


@pytest.mark.parametrize(
    ("strategy", "replicas", "expected"),
    [
        (
            {"type": "Recreate"},
            1,
            ('spec.rolloutStrategy.type: Unsupported value: "Recreate": supported values: "RollingUpdate", ""'),
        ),
        (paced(partition=1), 4, f"{PACE}.partition: Forbidden: {PARTITION}"),
        (paced(partition=0), 4, None),
        (paced(maxUnavailable=-2), 4, f"{PACE}.maxUnavailable: Invalid value: -2: {NEGATIVE}"),
        (paced(maxUnavailable="x"), 4, f'{PACE}.maxUnavailable: Invalid value: "x": {PERCENT}'),
        (
            paced(maxUnavailable="150%"),
            4,
            f'{PACE}.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
        ),
        (paced(maxSurge="150%"), 4, f'{PACE}.maxSurge: Invalid value: "150%": must not be greater than 100%'),
        (
            paced(maxUnavailable=0, maxSurge=0),
            4,
            (f"{PACE}.maxUnavailable: Invalid value: 0: must not be 0 when `maxSurge` is 0"),
        ),
        (
            paced(maxUnavailable="20%", maxSurge=0),
            4,
            (f'{PACE}.maxUnavailable: Invalid value: "20%": must not be 0 when `maxSurge` is 0'),
        ),
        (paced(maxUnavailable="25%", maxSurge=0), 4, None),
        (paced(maxUnavailable=0, maxSurge="1%"), 4, None),
        (paced(maxUnavailable=0, maxSurge=0), 0, None),
        (paced(maxUnavailable=-2), 0, None),
        (paced(), None, None),
    ],
)
def test_rules_1_to_7(strategy: JSON, replicas: int | None, expected: str | None) -> None:
    """The rollout strategy of a role: type, partition, and a budget that lets something move."""
    found = validate(manifest(role("a"), role("b", replicas, rolloutStrategy=strategy)))
    assert found == ([] if expected is None else [f"spec.roles[1].{expected}"])


def test_rule_7_judges_the_ignored_count() -> None:
    """Of an External role too, whose count of one is ignored."""
    found = validate(manifest(external("a", rolloutStrategy=paced(maxUnavailable="50%", maxSurge=0)), role("b")))
    assert found == [f'spec.roles[0].{PACE}.maxUnavailable: Invalid value: "50%": must not be 0 when `maxSurge` is 0']


def test_spec_3_1_several_entries() -> None:
    """Several entries come in the order of the rules and in brackets."""
    found = validate(manifest(role("a"), role("b", rolloutStrategy=paced(maxUnavailable=-2, maxSurge=-1))))
    assert aggregate(found) == (
        f"[spec.roles[1].{PACE}.maxUnavailable: Invalid value: -2: {NEGATIVE}, "
        f"spec.roles[1].{PACE}.maxSurge: Invalid value: -1: {NEGATIVE}]"
    )


def test_rule_8_length_of_the_scaler_name() -> None:
    """A scaler's name may have 253 characters."""
    name = "n" * 250
    expected = (
        f'spec.roles[0].name: Invalid value: "ab": would produce scaler name "{name}-ab" exceeding 253 characters'
    )
    assert expected not in validate(manifest(external("ab"), role("b"), name=name[1:]))
    assert validate(manifest(external("ab"), role("b"), name="n" * 251))[0] == expected.replace(name, "n" * 251)


def test_rule_9_no_slices_beside_a_scaler() -> None:
    """Several slices need every role Static."""
    assert validate(manifest(external("a"), role("b"), slices=2)) == [SLICES]
    assert validate(manifest(external("a"), role("b"), slices=1)) == []


@pytest.mark.parametrize(
    ("length", "slices", "expected"),
    [(40, 1, None), (40, 10, None), (41, 1, (64, 47)), (40, 11, (64, 46)), (41, 11, (65, 46))],
)
def test_rule_10_length_of_the_service_name(length: int, slices: int, expected: tuple[int, int] | None) -> None:
    """The longest Service name has 63 characters; the refusal tells how long both names may be together."""
    found = validate(manifest(role("prefill"), role("decode"), name="n" * length, slices=slices))
    if expected is None:
        assert found == []
        return
    assert found[0] == (
        f'spec.roles[0].name: Invalid value: "prefill": the generated service name ({expected[0]} chars) would exceed '
        "the DNS-1035 limit of 63 characters; reduce the DisaggregatedSet name and/or role name (combined limit: "
        f"{expected[1]} characters)"
    )


@pytest.mark.parametrize("kind", ["ExclusiveSlice", "ExclusiveTopology"])
def test_rule_11_a_policy_needs_its_topology(kind: str) -> None:
    """A placement policy names the node label."""
    assert validate(manifest(placementPolicy={"type": kind})) == [
        "spec.placementPolicy.topology: Required value: topology is required when type is not None"
    ]
    assert validate(manifest(placementPolicy={"type": kind, "topology": "zone"})) == []
    assert validate(manifest(placementPolicy={"type": "None"})) == []


GROUP, SUBGROUP = (
    "leaderworkerset.sigs.k8s.io/" + key for key in ("exclusive-topology", "subgroup-exclusive-topology")
)


@pytest.mark.parametrize(
    ("annotated", "key"),
    [
        ({"metadata": {"annotations": {SUBGROUP: "", GROUP: "zone"}}}, GROUP),
        ({"metadata": {"labels": {GROUP: "zone"}}}, None),
        ({"template": pause() | {"leaderTemplate": {"metadata": {"annotations": {SUBGROUP: "zone"}}}}}, SUBGROUP),
        ({"template": {"workerTemplate": {"metadata": {"annotations": {GROUP: "zone"}}}}}, GROUP),
    ],
)
def test_rule_12_no_placement_of_its_own(annotated: JSON, key: str | None) -> None:
    """A role that places its groups by annotation does not go with a policy; the first key found is named."""
    policy = {"type": "ExclusiveSlice", "topology": "zone"}
    found = validate(manifest(role("a"), role("b", **annotated), placementPolicy=policy))
    why = "annotation must not be combined with a non-None spec.placementPolicy.type (ExclusiveSlice)"
    assert found == ([] if key is None else [f'spec.roles[1]: Forbidden: the "{key}" {why}'])
    assert validate(manifest(role("a"), role("b", **annotated))) == []


def test_a_warning_of_ignored_replicas() -> None:
    """An External role's own count is ignored, and the warning names the scaler."""
    assert warnings(manifest(external("prefill", 4), role("b"), name="a"), None) == [
        (
            'role "prefill" sets scaling.mode: External and spec.replicas: 4 — spec.replicas is ignored; drive '
            'replicas via DisaggregatedSetRoleScaler "a-prefill" instead'
        )
    ]


@pytest.mark.parametrize(
    ("length", "replicas", "size", "warned"),
    [(33, 1, 1, False), (34, 1, 1, True), (31, 1, 2, False), (32, 1, 2, True), (30, 11, 2, False), (31, 11, 2, True)],
)
def test_dd_29_names_without_pods(length: int, replicas: int, size: int, warned: bool) -> None:
    """A name is warned of, and not refused, if the pods of a child could not be created."""
    obj = manifest(role("prefill", replicas, template=pause(size=size)), role("b"), name="n" * length)
    assert validate(obj) == []
    found = warnings(obj, None)
    assert bool(found) is warned
    if warned:
        assert f"with this role metadata.name must not exceed {length - 1} characters" in found[0]


def test_dd_29_names_without_children() -> None:
    """A name that no LeaderWorkerSet may begin with is warned of."""
    (found,) = warnings(manifest(name="1a"), None)
    assert found.startswith("metadata.name: no LeaderWorkerSet can be created for this name: a DNS-1035 label must ")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}, ["spec.roles[0].spec.networkConfig"]),
        ({"startupPolicy": "LeaderReady"}, ["spec.roles[0].spec.startupPolicy"]),
        ({"metadata": {"labels": {"a": "b"}}}, ["spec.roles[0].metadata"]),
        ({"replicas": 3}, []),
        ({"startupPolicy": "LeaderReady", "template": pause("3.10")}, []),
    ],
)
def test_dd_30_edits_that_wait(changed: JSON, expected: list[str]) -> None:
    """An edit that reaches no child before the next revision says so, unless there is one."""
    old = manifest(role("prefill"), role("decode"))
    new = manifest(role("prefill", **{"replicas": 1, **changed}), role("decode"))
    assert warnings(new, old) == [f"{path}: takes effect with the next revision" for path in expected]


def test_dd_30_placement_waits() -> None:
    """A changed placement policy waits too."""
    new = manifest(placementPolicy={"type": "ExclusiveSlice", "topology": "zone"})
    assert warnings(new, manifest()) == ["spec.placementPolicy: takes effect with the next revision"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "5%", "External"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "spec",
                    "roles",
                    "name",
                    "scaling",
                    "mode",
                    "metadata",
                    "annotations",
                    "rolloutStrategy",
                    "type",
                    "rollingUpdateConfiguration",
                    "maxSurge",
                    "replicas",
                    "placementPolicy",
                    "leaderWorkerTemplate",
                    "slices",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["spec", "metadata"]), JUNK), st.dictionaries(st.just("spec"), JUNK))
@settings(deadline=None, max_examples=200)
def test_any_json_is_judged(obj: dict[str, Any], old: dict[str, Any]) -> None:
    """No object makes the rules fail; what has a wrong type is left to the schema."""
    assert all(isinstance(each, str) for each in (*validate(obj), *warnings(obj, old)))

"""Validation at admission, rule by rule, byte for byte (spec 3.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.leaderworkerset import validation
from lws.api.leaderworkerset.validation import validate_create, validate_update
from lws.api.rules import aggregate
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import manifest, paced, pod_template

PACE = "spec.rolloutStrategy.rollingUpdateConfiguration"
UNAVAILABLE = f"{PACE}.maxUnavailable"
SURGE = f"{PACE}.maxSurge"
SUBGROUP = "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize"
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
NEGATIVE = "must be greater than or equal to 0"
BOTH_ZERO = "must not be 0 when `maxSurge` is 0"


def subgroups(size: int, subgroup: int | None, kind: str | None = None) -> JSON:
    """A template with subgroups."""
    policy = {"subGroupSize": subgroup, "subGroupPolicyType": kind}
    return {"size": size, "subGroupPolicy": {key: value for key, value in policy.items() if value is not None}}


def both(obj: JSON) -> list[str]:
    """The entries of a rule that holds on create and on update alike."""
    created = validate_create(obj)
    assert validate_update(obj, obj) == created
    return created


def test_a_good_object_is_admitted() -> None:
    """A complete object has no entries and no warnings."""
    assert both(manifest()) == []
    assert validation.warnings(manifest(), None) == []
    assert validation.warnings(manifest(), manifest()) == []
    assert aggregate([]) == ""


@pytest.mark.parametrize(
    ("metadata", "entries"),
    [
        ({"namespace": ""}, ["metadata.namespace: Required value"]),
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        (
            {"labels": {"bad key": "v"}},
            [
                (
                    'metadata.labels: Invalid value: "bad key": name part must consist of alphanumeric characters, '
                    "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
                    "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
                )
            ],
        ),
        (
            {"labels": {"k": "bad value"}},
            [
                (
                    'metadata.labels: Invalid value: "bad value": a valid label must be an empty string or consist of '
                    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
                    "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                )
            ],
        ),
        (
            {"labels": {"k" * 64: "v" * 64}},
            [
                f'metadata.labels: Invalid value: "{"k" * 64}": name part must be no more than 63 bytes',
                f'metadata.labels: Invalid value: "{"v" * 64}": must be no more than 63 bytes',
            ],
        ),
        ({"annotations": {"UPPER/is-fine-here": "any value"}}, []),
        ({"annotations": {"k": "v" * 262143}}, []),
        ({"annotations": {"k": "v" * 262144}}, ["metadata.annotations: Too long: may not be more than 262144 bytes"]),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
        ),
        (
            {"ownerReferences": [{"apiVersion": "a/b/c", "kind": "K", "name": "n", "uid": "u"}]},
            ['metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty'],
        ),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "n", "uid": "u"}]},
            [
                (
                    'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"n","uid":"u"}: '
                    "/v1, Kind=Event is disallowed from being an owner"
                )
            ],
        ),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "controller": True},
                    {"apiVersion": "v1", "kind": "B", "name": "b", "uid": "w", "controller": True},
                ]
            },
            [
                (
                    'metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"A","name":"a","uid":"u",'
                    '"controller":true},{"apiVersion":"v1","kind":"B","name":"b","uid":"w","controller":true}]: Only '
                    'one reference can have Controller set to true. Found "true" in references for A/a and B/b'
                )
            ],
        ),
        (
            {"finalizers": ["foregroundDeletion", "orphan"]},
            [
                (
                    'metadata.finalizers: Invalid value: ["foregroundDeletion","orphan"]: finalizer orphan and '
                    "foregroundDeletion cannot be both set"
                )
            ],
        ),
        (
            {"finalizers": ["/a"]},
            ['metadata.finalizers: Invalid value: "/a": prefix part must be non-empty'],
        ),
        ({"generation": -1}, [f"metadata.generation: Invalid value: -1: {NEGATIVE}"]),
    ],
)
def test_spec_3_2_rule_1_metadata(metadata: JSON, entries: list[str]) -> None:
    """The standard rules of metadata, in their standard texts."""
    assert both(manifest(metadata=metadata)) == entries


@pytest.mark.parametrize("name", ["1a", "A", "a.b", "a-", "-a", "a_b", "a\n", "å"])
def test_spec_3_2_rule_2_name(name: str) -> None:
    """A name is a DNS-1035 label."""
    shown = name.replace("\n", "\\n")
    assert both(manifest(metadata={"name": name})) == [f'metadata.name: Invalid value: "{shown}": {DNS_1035}']


def test_spec_3_2_rule_2_length() -> None:
    """A name has at most 63 characters; one that is too long and malformed breaks two rules."""
    assert both(manifest(metadata={"name": "a" * 63})) == []
    long = "a" * 64
    assert both(manifest(metadata={"name": long})) == [
        f'metadata.name: Invalid value: "{long}": must be no more than 63 characters'
    ]
    assert len(both(manifest(metadata={"name": "A" * 64}))) == 2


def test_spec_3_2_rule_2_generate_name() -> None:
    """A generateName may end in one dash, and nothing else is tolerated."""
    assert both(manifest(metadata={"generateName": "abc-"})) == []
    assert both(manifest(metadata={"generateName": "Abc-"})) == [
        f'metadata.generateName: Invalid value: "Abc-": {DNS_1035}'
    ]


@pytest.mark.parametrize(
    ("spec", "template", "entries"),
    [
        ({"replicas": 0}, {}, []),
        ({"replicas": -1}, {}, ["spec.replicas: Invalid value: -1: replicas must be equal or greater than 0"]),
        ({"replicas": 1000000}, {}, []),
        (
            {"replicas": 1000001},
            {},
            ["spec.replicas: Invalid value: 1000001: replicas must be equal or less than 1000000"],
        ),
        (
            {},
            {"size": 0},
            ["spec.leaderWorkerTemplate.size: Invalid value: 0: size must be equal or greater than 1"],
        ),
        ({"replicas": 1}, {"size": 2147483647}, []),
        (
            {"replicas": 2},
            {"size": 1073741824},
            ["spec.replicas: Invalid value: 2: the product of replicas and worker replicas must not exceed 2147483647"],
        ),
    ],
)
def test_spec_3_2_rules_3_to_6_numbers(spec: JSON, template: JSON, entries: list[str]) -> None:
    """Replicas, size and their product stay in their limits."""
    assert both(manifest(template=template, **spec)) == entries


@pytest.mark.parametrize(
    ("configuration", "entries"),
    [
        ({"maxUnavailable": "5"}, [(UNAVAILABLE, '"5"', PERCENT), (UNAVAILABLE, '"5"', "invalid value")]),
        ({"maxUnavailable": -1}, [(UNAVAILABLE, "-1", NEGATIVE)]),
        ({"maxUnavailable": "200%"}, [(UNAVAILABLE, '"200%"', "must not be greater than 100%")]),
        ({"maxUnavailable": "100%"}, []),
        ({"maxSurge": "1%x"}, [(SURGE, '"1%x"', PERCENT), (SURGE, '"1%x"', "invalid value")]),
        ({"maxSurge": -2}, [(SURGE, "-2", NEGATIVE)]),
        ({"maxSurge": "101%"}, [(SURGE, '"101%"', "must not be greater than 100%")]),
        ({"partition": -1}, [(f"{PACE}.partition", "-1", NEGATIVE)]),
        ({"partition": 99}, []),
        (
            {"maxUnavailable": "<5%"},
            [(UNAVAILABLE, r'"\u003c5%"', PERCENT), (UNAVAILABLE, r'"\u003c5%"', "invalid value")],
        ),
        (
            {"maxUnavailable": "99999999999999999999%"},
            [
                (UNAVAILABLE, '"99999999999999999999%"', "must not be greater than 100%"),
                (UNAVAILABLE, '"99999999999999999999%"', "invalid value"),
            ],
        ),
        ({"maxUnavailable": "-5%", "maxSurge": 0}, [(UNAVAILABLE, '"-5%"', PERCENT)]),
    ],
)
def test_spec_3_2_rules_7_to_12_pace(configuration: JSON, entries: list[tuple[str, str, str]]) -> None:
    """Budgets are non-negative integers or percentages up to 100, partitions are not negative."""
    spec = paced(**{"maxUnavailable": 1, "maxSurge": 1, "partition": 0, **configuration})
    assert both(manifest(replicas=4, rolloutStrategy=spec)) == [
        f"{path}: Invalid value: {value}: {why}" for path, value, why in entries
    ]


@pytest.mark.parametrize("text", ["1_0%", "１０%", "10%\n", "\n10%", "10%%", "%", "", "0x1%", "1.5%", "٣%", "+5%"])
@pytest.mark.parametrize("member", ["maxUnavailable", "maxSurge"])
def test_spec_3_2_rule_7_is_anchored_and_ascii(text: str, member: str) -> None:
    """Only ASCII digits and one percent sign make a percentage, as Go's anchored expression has it."""
    pace = {"maxUnavailable": 1, "maxSurge": 1, member: text}
    first = both(manifest(rolloutStrategy=paced(**pace)))[0]
    assert first.startswith(f"{PACE}.{member}: Invalid value: ")
    assert first.endswith(PERCENT)


def test_spec_3_2_rule_12_order() -> None:
    """Values that cannot be scaled are told after the partition: maxUnavailable, then maxSurge."""
    spec = paced(maxUnavailable="a", maxSurge="b", partition=-1)
    paths = [entry.split(": ")[0] for entry in both(manifest(rolloutStrategy=spec))]
    assert paths == [UNAVAILABLE, SURGE, f"{PACE}.partition", UNAVAILABLE, SURGE, UNAVAILABLE]


@pytest.mark.parametrize(
    ("replicas", "unavailable", "surge", "refused"),
    [
        (2, 0, 0, True),
        (2, "25%", 0, True),
        (2, "0%", "0%", True),
        (4, "25%", 0, False),
        (2, 0, "1%", False),
        (0, 0, 0, False),
        (0, "25%", "25%", False),
        (2, 10, 0, False),
        (2, 0, 10, False),
    ],
)
def test_spec_3_2_rule_13_something_must_move(replicas: int, unavailable: Any, surge: Any, refused: bool) -> None:
    """Both budgets may resolve to zero only without replicas; budgets above replicas are fine."""
    spec = paced(maxUnavailable=unavailable, maxSurge=surge, partition=0)
    value = f'"{unavailable}"' if isinstance(unavailable, str) else unavailable
    expected = [f"{UNAVAILABLE}: Invalid value: {value}: {BOTH_ZERO}"] if refused else []
    assert both(manifest(replicas=replicas, rolloutStrategy=spec)) == expected


@pytest.mark.parametrize(
    ("size", "subgroup", "kind", "details"),
    [
        (8, 4, None, []),
        (9, 4, None, []),
        (9, 4, "LeaderExcluded", []),
        (2, 2, None, []),
        (4, -2, None, ["subGroupSize must be equal or greater than 1"]),
        (4, 0, None, ["subGroupSize must be equal or greater than 1"]),
        (4, 0, "LeaderExcluded", ["subGroupSize must be equal or greater than 1"]),
        (7, 4, None, ["size or size - 1 must be divisible by subGroupSize"]),
        (
            2,
            3,
            None,
            ["size or size - 1 must be divisible by subGroupSize", "subGroupSize cannot be larger than size"],
        ),
        (1, 2, "LeaderWorker", ["subGroupSize cannot be larger than size"]),
        (8, 4, "LeaderExcluded", ["size-1 must be divisible by subGroupSize when using LeaderExcluded"]),
    ],
)
def test_spec_3_2_rules_14_to_17_subgroups(size: int, subgroup: int, kind: str | None, details: list[str]) -> None:
    """Subgroups divide the group, or the group without its leader; zero breaks rule 14 alone (CD-18)."""
    entries = both(manifest(template=subgroups(size, subgroup, kind)))
    assert entries == [f"{SUBGROUP}: Invalid value: {subgroup}: {detail}" for detail in details]


def test_spec_3_2_example() -> None:
    """The example of spec 3.2, aggregated."""
    assert aggregate(validate_create(manifest(template=subgroups(2, 3)))) == (
        "[spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3: size or size - 1 must be divisible "
        "by subGroupSize, spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3: subGroupSize cannot "
        "be larger than size]"
    )


@pytest.mark.parametrize("value", ["", "rack", 'a"b'])
def test_spec_3_2_rule_18_annotation_without_subgroups(value: str) -> None:
    """The subgroup topology annotation needs subgroups, whatever its value."""
    key = "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology"
    metadata = {"annotations": {key: value}}
    shown = '"' + value.replace('"', '\\"') + '"'
    assert both(manifest(metadata=metadata)) == [
        (
            f"metadata.annotations.{key}: Invalid value: {shown}: cannot have subgroup-exclusive-topology without "
            "subGroupSize set"
        )
    ]
    assert both(manifest(metadata=metadata, template=subgroups(2, 2))) == []


@pytest.mark.parametrize(
    ("old", "new", "entry"),
    [
        (subgroups(4, 2), subgroups(4, 4), "4: field is immutable"),
        ({"size": 4}, subgroups(4, 2), "2: cannot enable subGroupSize after the lws is already created"),
        (subgroups(4, 2), {"size": 4}, "2: cannot remove subGroupSize after enabled"),
        (subgroups(4, 2), subgroups(8, 2), None),
        (subgroups(4, 2), subgroups(5, 2, "LeaderExcluded"), None),
        ({"size": 4}, {"size": 3}, None),
    ],
)
def test_spec_3_2_rules_19_to_21_subgroups_stay(old: JSON, new: JSON, entry: str | None) -> None:
    """The subgroup size cannot change, appear or disappear."""
    entries = validate_update(manifest(template=new), manifest(template=old))
    assert entries == ([f"{SUBGROUP}: Invalid value: {entry}"] if entry else [])


@pytest.mark.parametrize(("old", "shown"), [({"subdomainPolicy": "Shared"}, '"Shared"'), (None, "null"), ({}, "null")])
def test_spec_3_2_rule_22_subdomain_policy(old: JSON | None, shown: str) -> None:
    """A configuration cannot lose its policy; the old value is printed, or null (CD-18)."""
    new = manifest(networkConfig={"subdomainPolicy": None})
    assert validate_update(new, manifest(networkConfig=old)) == [
        f"spec.networkConfig.subdomainPolicy: Invalid value: {shown}: cannot set subdomainPolicy as null"
    ]
    assert validate_create(new) == []


@pytest.mark.parametrize(
    "change",
    [
        {"template": {"size": 3}},
        {"template": {"workerTemplate": pod_template(hostname="x")}},
        {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}},
        {"startupPolicy": "LeaderReady"},
        {"replicas": 9},
    ],
)
def test_spec_3_2_accepted_on_purpose(change: JSON) -> None:
    """Any change of size, templates, subdomain policy, startup policy and replicas is admitted."""
    assert validate_update(manifest(**change), manifest()) == []


@pytest.mark.parametrize(
    ("obj", "entry"),
    [
        ({"spec": None}, "spec.leaderWorkerTemplate: Required value"),
        ({"spec": {"leaderWorkerTemplate": None}}, "spec.leaderWorkerTemplate: Required value"),
        ({"spec": {"leaderWorkerTemplate": {}}}, "spec.leaderWorkerTemplate.workerTemplate: Required value"),
        (
            {"spec": {"leaderWorkerTemplate": {"workerTemplate": {}}}},
            "spec.leaderWorkerTemplate.workerTemplate.spec.containers: Required value",
        ),
        (
            {"spec": {"leaderWorkerTemplate": {"workerTemplate": pod_template(), "leaderTemplate": {}}}},
            "spec.leaderWorkerTemplate.leaderTemplate.spec.containers: Required value",
        ),
    ],
)
def test_cd_18_no_template_is_refused_politely(obj: JSON, entry: str) -> None:
    """An object without a template is refused with a reason."""
    assert both({**manifest(), **obj}) == [entry]


@pytest.mark.parametrize("name", ["workerTemplate", "leaderTemplate"])
def test_cd_113_no_containers_are_refused(name: str) -> None:
    """A template with an empty list of containers, which the schema lets pass, is refused with a reason."""
    obj = manifest()
    obj["spec"]["leaderWorkerTemplate"][name] = {"spec": {"containers": []}}
    assert both(obj) == [f"spec.leaderWorkerTemplate.{name}.spec.containers: Required value"]


def test_cd_18_absent_fields_count_with_their_defaults() -> None:
    """Absent size, replicas, configuration and network, now or before, are no fault."""
    bare = manifest()
    bare["spec"] = {"leaderWorkerTemplate": {"workerTemplate": pod_template()}}
    assert both(bare) == []
    assert both({**bare, "spec": {**bare["spec"], "rolloutStrategy": {"type": "Foreign"}}}) == []


def test_cd_18_absent_subgroup_size_is_required() -> None:
    """A subgroup policy without a size is refused; one that was stored without counts as none."""
    without = manifest(template={"size": 4, "subGroupPolicy": {"subGroupPolicyType": "LeaderWorker"}})
    assert both(without) == [f"{SUBGROUP}: Required value: subGroupSize is required"]
    assert validate_update(manifest(template={"size": 4}), without) == []
    assert validate_update(manifest(template=subgroups(4, 2)), without) == [
        f"{SUBGROUP}: Invalid value: 2: cannot enable subGroupSize after the lws is already created"
    ]


def test_cd_27_claim_templates_that_change_are_warned_of() -> None:
    """An edit of the claim templates is admitted with a warning; the same in other words is none."""
    claims = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}]
    same = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1024Mi"}}}}]
    old = manifest(template={"volumeClaimTemplates": claims})
    assert validate_update(manifest(), old) == []
    (warning,) = validation.warnings(manifest(), old)
    assert "volumeClaimTemplates" in warning
    assert validation.warnings(manifest(template={"volumeClaimTemplates": same}), old) == []


@pytest.mark.parametrize("annotation", ["exclusive-topology", "subgroup-exclusive-topology"])
@pytest.mark.parametrize(
    ("key", "warned"),
    [
        ("my rack!!", True),
        ("x" * 80, True),
        ("a/b/c", True),
        ("rack", False),
        ("topology.kubernetes.io/zone", False),
        ("", False),
    ],
)
def test_cd_41_topologies_that_are_no_label_keys_are_warned_of(annotation: str, key: str, warned: bool) -> None:
    """A topology that no node can have is admitted with a warning when it is set or changed, not ever after."""
    name = f"leaderworkerset.sigs.k8s.io/{annotation}"
    obj = manifest(metadata={"annotations": {name: key}}, template=subgroups(4, 2))
    assert validate_create(obj) == []
    found = validation.warnings(obj, None)
    assert bool(found) is warned
    assert all(warning.startswith(f"metadata.annotations[{name}]: ") and "\n" not in warning for warning in found)
    assert bool(validation.warnings(obj, manifest(template=subgroups(4, 2)))) is warned
    assert validation.warnings(obj, obj) == []


def test_cd_42_a_size_that_grows_under_kueue_is_warned_of() -> None:
    """Only growing, and only with Kueue's label, takes groups down for good."""
    queued = {"labels": {"kueue.x-k8s.io/queue-name": "q"}}
    small, large = (manifest(metadata=queued, template={"size": size}) for size in (2, 3))
    (warning,) = validation.warnings(large, small)
    assert "Finished (OutOfSync)" in warning
    assert validation.warnings(small, large) == []
    assert validation.warnings(manifest(template={"size": 3}), manifest(template={"size": 2})) == []


@pytest.mark.parametrize(("surge", "queue", "warned"), [("50%", "q", True), (1, "q", False), ("50%", "", False)])
def test_cd_90_a_percentage_of_surge_under_kueue_is_warned_of(surge: int | str, queue: str, warned: bool) -> None:
    """Kueue reads it as none: said when it is written, not with every later edit."""
    metadata = {"labels": {"kueue.x-k8s.io/queue-name": queue}}
    rollout = {"rollingUpdateConfiguration": {"maxSurge": surge}}
    obj, before = (manifest(metadata=metadata, rolloutStrategy=each) for each in (rollout, {}))
    assert validate_create(obj) == []
    for old in (None, before):
        assert [each.partition(":")[0].endswith(".maxSurge") for each in validation.warnings(obj, old)] == [
            True
        ] * warned
    assert validation.warnings(obj, obj) == []


@pytest.mark.parametrize(
    ("length", "replicas", "warned"), [(50, 1, False), (50, 11, True), (51, 1, True), (63, 0, True)]
)
def test_spec_1_6_long_names_are_warned_of(length: int, replicas: int, warned: bool) -> None:
    """A name that leaves no room for the worker pods' labels is admitted with a warning."""
    obj = manifest(metadata={"name": "a" * length}, replicas=replicas)
    assert validate_create(obj) == []
    assert bool(validation.warnings(obj, None)) is warned
    assert bool(validation.warnings(obj, obj)) is warned


@pytest.mark.parametrize(("chosen", "warned"), [("true", True), ("false", False)])
def test_spec_1_6_the_extra_group_of_a_move_needs_room_for_its_index(chosen: str, warned: bool) -> None:
    """Resilience 6.3: index R counts where groups are moved off nodes; with 10 groups it has a digit more."""
    metadata = {"name": "a" * 50, "annotations": {"ext.leaderworkerset.sigs.k8s.io/evacuate": chosen}}
    assert bool(validation.warnings(manifest(metadata=metadata, replicas=10), None)) is warned


@pytest.mark.parametrize(("surge", "size", "warned"), [(0, 2, False), (1, 2, True), ("5%", 2, True), (1, 1, False)])
def test_spec_1_6_surge_needs_room_for_its_index(surge: int | str, size: int, warned: bool) -> None:
    """Index R - 1 + S counts, on the update that sets the surge too; a group of one pod has no worker to name."""
    obj = manifest(
        metadata={"name": "a" * 50},
        replicas=10,
        template={"size": size},
        rolloutStrategy={"rollingUpdateConfiguration": {"maxSurge": surge}},
    )
    assert bool(validation.warnings(obj, manifest(metadata={"name": "a" * 50}, replicas=10))) is warned


def test_aggregate_drops_duplicates() -> None:
    """Exact duplicates are dropped, and a single entry stands without brackets."""
    assert aggregate(["a", "a"]) == "a"
    assert aggregate(["a", "b", "a"]) == "[a, b]"


LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text("a1%-", max_size=3), st.just([]), st.just({})
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": LEAVES,
        "networkConfig": st.one_of(LEAVES, st.fixed_dictionaries({"subdomainPolicy": LEAVES})),
        "rolloutStrategy": st.one_of(
            LEAVES,
            st.fixed_dictionaries(
                {
                    "rollingUpdateConfiguration": st.one_of(
                        LEAVES,
                        st.fixed_dictionaries({"maxUnavailable": LEAVES, "maxSurge": LEAVES, "partition": LEAVES}),
                    )
                }
            ),
        ),
        "leaderWorkerTemplate": st.one_of(
            LEAVES,
            st.fixed_dictionaries(
                {
                    "size": LEAVES,
                    "workerTemplate": st.one_of(LEAVES, st.just(pod_template())),
                    "subGroupPolicy": st.one_of(LEAVES, st.fixed_dictionaries({"subGroupSize": LEAVES})),
                    "volumeClaimTemplates": LEAVES,
                }
            ),
        ),
    },
)


@settings(deadline=None)
@given(SPECS, SPECS, LEAVES, LEAVES)
def test_validation_is_total(new: JSON, old: JSON, labels: Any, finalizers: Any) -> None:
    """No object, however odd, makes validation raise."""
    odd = {"metadata": {"name": finalizers, "labels": labels, "finalizers": finalizers, "ownerReferences": labels}}
    validate_create(odd)
    obj, before = {**manifest(), "spec": new}, {**manifest(), "spec": old}
    validate_create(obj)
    validate_update(obj, before)
    validation.warnings(obj, before)


@pytest.mark.parametrize(
    ("policy", "limit", "admitted"),
    [("", 0, True), (None, 1, True), ("RecreateGroupAfterStart", 0, True), ("None", 1, False), ("Default", 0, False)],
)
def test_n34_row_23_limits_need_a_policy_that_recreates(policy: str | None, limit: int, *, admitted: bool) -> None:
    """A budget of restarts is refused where no group is ever recreated."""
    section = {"maxGroupRestarts": limit, **({} if policy is None else {"restartPolicy": policy})}
    refused = (
        f"spec.leaderWorkerTemplate.maxGroupRestarts: Invalid value: {limit}: "
        "maxGroupRestarts is only supported when restartPolicy recreates the group"
    )
    assert both(manifest(template=section)) == ([] if admitted else [refused])

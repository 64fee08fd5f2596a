"""LeaderWorkerSets that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lws.api.leaderworkerset import labels as keys
from lws.apimachinery.manifests import JSON
from lws.webhook.handlers import VALIDATE_LEADERWORKERSET
from tests.webhook.catalogue.case import ABSENT, Case, edited
from tests.webhook.reviews import encode, lws, review

SUBGROUP = "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: "
UNAVAILABLE = "spec.rolloutStrategy.rollingUpdateConfiguration.maxUnavailable: Invalid value: "
SURGE = "spec.rolloutStrategy.rollingUpdateConfiguration.maxSurge: Invalid value: "
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character"
)


def refused_sets() -> Iterator[Case]:
    """LeaderWorkerSets that break a rule of spec 3.2, hostile number forms among them."""
    percents = [
        "1_0%",
        "１%",
        "10%\n",
        "%",
        "10",
        "-1%",
        "1.5%",
        " 10%",
        "10 %",
        "10%%",
        "0x1%",
        "+5%",
        "٣%",
        "1e2%",
        "",
    ]
    for form in percents:
        shown = json.dumps(form, ensure_ascii=False)
        yield _rollout("maxUnavailable", form, f"{UNAVAILABLE}{shown}: {PERCENT}")
        yield _rollout("maxSurge", form, f"{SURGE}{shown}: {PERCENT}")
    yield _rollout("maxUnavailable", "101%", f'{UNAVAILABLE}"101%": must not be greater than 100%')
    yield _rollout("maxUnavailable", "9" * 400 + "%", "must not be greater than 100%")
    yield _rollout("maxUnavailable", -1, f"{UNAVAILABLE}-1: must be greater than or equal to 0")
    yield _rollout("maxSurge", -1, f"{SURGE}-1: must be greater than or equal to 0")
    yield _rollout("maxUnavailable", 0, f"{UNAVAILABLE}0: must not be 0 when `maxSurge` is 0")
    yield _rollout("maxUnavailable", "25%", f'{UNAVAILABLE}"25%": must not be 0 when `maxSurge` is 0')
    yield _rollout("partition", -1, "partition: Invalid value: -1: must be greater than or equal to 0")
    rows: list[tuple[str, Any, str]] = [
        ("spec.replicas", -1, "spec.replicas: Invalid value: -1: replicas must be equal or greater than 0"),
        ("spec.replicas", 1_000_001, "Invalid value: 1000001: replicas must be equal or less than 1000000"),
        ("spec.leaderWorkerTemplate.size", 0, "size must be equal or greater than 1"),
        ("spec.leaderWorkerTemplate.size", 2**31 - 1, "the product of replicas and worker replicas must not exceed"),
        ("spec.leaderWorkerTemplate.size", 10**30, "the product of replicas and worker replicas must not exceed"),
        ("spec.leaderWorkerTemplate.subGroupPolicy", {}, f"{SUBGROUP}Required value"),
        ("spec.leaderWorkerTemplate.subGroupPolicy", {"subGroupSize": 0},
         f"{SUBGROUP}Invalid value: 0: subGroupSize must be equal or greater than 1"),
        ("spec.leaderWorkerTemplate.subGroupPolicy", {"subGroupSize": 3}, "size or size - 1 must be divisible"),
        ("spec.leaderWorkerTemplate.subGroupPolicy", {"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"},
         "size-1 must be divisible by subGroupSize when using LeaderExcluded"),
        ("metadata.name", "1m", DNS_1035),
        ("metadata.name", "a.b", DNS_1035),
        ("metadata.name", "Abc", DNS_1035),
        ("metadata.name", "m\n", DNS_1035),
        ("metadata.name", "ｍ", DNS_1035),
        ("metadata.name", "a" * 64, "must be no more than 63 characters"),
        ("metadata.name", ABSENT, "Required value"),
        ("metadata.namespace", ABSENT, "metadata.namespace: Required value"),
        ("metadata.labels", {"a b": "c"}, "metadata.labels: Invalid value: "),
        ("metadata.labels", {"a": "x" * 64}, "must be no more than 63"),
        ("metadata.annotations", {"A/b/c": "x"}, "metadata.annotations: Invalid value: "),
        ("metadata.annotations", {"a": "x" * (256 << 10)}, "metadata.annotations: Too long"),
        ("metadata.annotations", {keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "x"},
         "cannot have subgroup-exclusive-topology without subGroupSize set"),
        ("metadata.finalizers", ["bad finalizer"], "metadata.finalizers"),
        ("spec", ABSENT, "spec.leaderWorkerTemplate"),
        ("spec", None, "spec.leaderWorkerTemplate"),
        ("spec", {}, "spec.leaderWorkerTemplate"),
    ]  # fmt: skip
    for place, value, words in rows:
        yield _set(
            f"{place} {'absent' if value is ABSENT else json.dumps(value)[:40]}", edited(lws(), place, value), words
        )
    plain, grouped = lws(template={"size": 4}), lws(template={"size": 4, "subGroupPolicy": {"subGroupSize": 2}})
    other = lws(template={"size": 4, "subGroupPolicy": {"subGroupSize": 4}})
    for about, new, old, words in (
        ("changed", other, grouped, f"{SUBGROUP}Invalid value: 4: field is immutable"),
        ("added", grouped, plain, "cannot enable subGroupSize after the lws is already created"),
        ("removed", plain, grouped, "cannot remove subGroupSize after enabled"),
    ):
        body = encode(review(new, old, operation="UPDATE"))
        yield Case(f"refused set: subgroups {about}", VALIDATE_LEADERWORKERSET, body, 200, 403, words)


def _rollout(member: str, value: Any, words: str) -> Case:
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0, member: value},
    }
    return _set(f"{member} {json.dumps(value)[:40]}", lws(rolloutStrategy=strategy), words)


def _set(about: str, manifest: JSON, words: str) -> Case:
    return Case(f"refused set: {about}", VALIDATE_LEADERWORKERSET, encode(review(manifest)), 200, 403, words)

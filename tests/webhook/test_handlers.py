"""The endpoints on good reviews, and refusals by rule."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Collection
from typing import Any

import jsonpatch
import pytest

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.pods import mutate_pod
from lws.apimachinery.manifests import JSON
from lws.webhook import AdmissionHandlers
from lws.webhook.handlers import (
    MUTATE_LEADERWORKERSET,
    MUTATE_POD,
    VALIDATE_DISAGGREGATEDSET,
    VALIDATE_LEADERWORKERSET,
    VALIDATE_POD,
)
from tests.api.disaggregatedset.making import external, role
from tests.api.disaggregatedset.making import manifest as disaggregated
from tests.webhook.reviews import UID, encode, lws, patch_of, pod, review


def ask(path: str, body: Any, *, gang: Collection[str] = ()) -> JSON:
    """The response to a review; its envelope is checked."""
    status, answer = AdmissionHandlers(gang=gang).handle_review(path, encode(body))
    envelope = json.loads(answer)
    assert status == 200
    assert (envelope["apiVersion"], envelope["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: JSON = envelope["response"]
    assert response["uid"] == UID
    return response


def test_3_paths() -> None:
    """The paths of the API contract are served, and no other."""
    assert AdmissionHandlers().paths == {
        "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "/validate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "/mutate--v1-pod",
        "/validate--v1-pod",
        "/validate-disaggregatedset-x-k8s-io-v1-disaggregatedset",
    }


def test_3_1_defaulting_touches_nothing_else() -> None:
    """What is missing is filled in, and applying the patch changes nothing else."""
    given = lws()
    patch = patch_of(ask(MUTATE_LEADERWORKERSET, review(given)))
    expected = copy.deepcopy(given)
    expected["spec"]["rolloutStrategy"] = {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"partition": 0, "maxUnavailable": 1, "maxSurge": 0},
    }
    expected["spec"]["networkConfig"] = {"subdomainPolicy": "Shared"}
    expected["spec"] |= {"groupIdentity": "Ordinal", "groupReplacementPolicy": "PostTermination"}
    assert jsonpatch.apply_patch(given, patch) == expected


def test_3_1_complete_object_is_not_patched() -> None:
    """An object that lacks nothing is allowed without a patch."""
    given = lws(
        rolloutStrategy={"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": 1}},
        networkConfig={"subdomainPolicy": "UniquePerReplica"},
        groupIdentity="Hash",
        groupReplacementPolicy="Immediate",
    )
    assert ask(MUTATE_LEADERWORKERSET, review(given)) == {"uid": UID, "allowed": True}


def test_3_2_refusal() -> None:
    """A broken rule refuses with 403 Forbidden and the rule's message."""
    given = lws(template={"size": 2, "subGroupPolicy": {"subGroupSize": 3}})
    path = "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3"
    assert ask(VALIDATE_LEADERWORKERSET, review(given)) == {
        "uid": UID,
        "allowed": False,
        "status": {
            "code": 403,
            "reason": "Forbidden",
            "message": f"[{path}: size or size - 1 must be divisible by subGroupSize, "
            f"{path}: subGroupSize cannot be larger than size]",
        },
    }


def test_3_2_update_rules() -> None:
    """An update is judged against the old object."""
    old = lws(template={"size": 4, "subGroupPolicy": {"subGroupSize": 2}})
    new = lws(template={"size": 4, "subGroupPolicy": {"subGroupSize": 4}})
    response = ask(VALIDATE_LEADERWORKERSET, review(new, old, operation="UPDATE"))
    assert response["status"]["message"].endswith("Invalid value: 4: field is immutable")
    assert ask(VALIDATE_LEADERWORKERSET, review(old, old, operation="UPDATE"))["allowed"] is True


def test_cd_27_warning() -> None:
    """An edit of claim templates is allowed with a warning."""
    old, new = lws(), lws(template={"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]})
    response = ask(VALIDATE_LEADERWORKERSET, review(new, old, operation="UPDATE"))
    assert response["allowed"] is True
    assert "volumeClaimTemplates" in response["warnings"][0]


@pytest.mark.parametrize("path", [MUTATE_LEADERWORKERSET, VALIDATE_LEADERWORKERSET, MUTATE_POD, VALIDATE_POD])
def test_deletion_is_never_refused(path: str) -> None:
    """A deletion is allowed at every endpoint, though its object is null."""
    old = pod() if "pod" in path else lws(replicas=-1)
    assert ask(path, review(None, old, operation="DELETE")) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize("gang", [("volcano",), ()])
@pytest.mark.parametrize("given", [pod(), pod("m-0-1", worker_index=None)])
def test_4_pod_mutation(given: JSON, gang: Collection[str]) -> None:
    """A pod's patch gives exactly the pod that the rules make."""
    given["metadata"]["labels"].setdefault(keys.GROUP_INDEX, "0")
    patch = patch_of(ask(MUTATE_POD, review(given), gang=gang))
    assert jsonpatch.apply_patch(given, patch) == mutate_pod(given, gang=gang)
    touched = ("/metadata/labels/", "/metadata/annotations/", "/spec/containers/0/env")
    assert all(operation["path"].startswith(touched) for operation in patch)


def test_4_foreign_pod_is_not_patched() -> None:
    """A pod without the set's label passes without a patch."""
    given = pod()
    del given["metadata"]["labels"][keys.NAME]
    assert ask(MUTATE_POD, review(given)) == {"uid": UID, "allowed": True}


def test_4_refused_pod() -> None:
    """A pod whose place cannot be told is refused with 403 and the text of spec 4."""
    given = pod()
    del given["metadata"]["annotations"][keys.SIZE]
    assert ask(MUTATE_POD, review(given))["status"] == {
        "code": 403,
        "reason": "Forbidden",
        "message": "size annotation is unexpectedly missing for pod m-0",
    }


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_4_validation_of_pods_always_allows(operation: str) -> None:
    """The validating pod hook allows everything."""
    assert ask(VALIDATE_POD, review(pod(), pod(), operation=operation)) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize("operation", ["UPDATE", "CONNECT"])
def test_4_pods_are_mutated_at_creation_only(operation: str) -> None:
    """Other operations pass without a patch."""
    assert ask(MUTATE_POD, review(pod(), pod(), operation=operation)) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize("path", [MUTATE_LEADERWORKERSET, VALIDATE_LEADERWORKERSET, MUTATE_POD, VALIDATE_POD])
def test_subresources_pass(path: str) -> None:
    """A subresource sent by a wider rule than ours is allowed untouched."""
    about = pod() if "pod" in path else lws(replicas=-1)
    given = review(about, about, operation="UPDATE", subResource="status")
    assert ask(path, given) == {"uid": UID, "allowed": True}


def test_a_fault_of_ours_refuses_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in a rule refuses that object with a plain sentence; no traceback, no 5xx."""

    def broken(_: JSON) -> list[JSON]:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("lws.webhook.handlers.default_leaderworkerset", broken)
    response = ask(MUTATE_LEADERWORKERSET, review(lws()))
    assert response["status"] == {
        "code": 400,
        "reason": "BadRequest",
        "message": "the object could not be judged: ZeroDivisionError",
    }


def test_disaggregatedsets_are_judged() -> None:
    """A refusal has the rule's words and comes with the warnings; an update is compared for them."""
    refused = review(disaggregated(external("prefill", 4), role("decode"), name="a", slices=2))
    assert ask(VALIDATE_DISAGGREGATEDSET, refused) == {
        "uid": UID,
        "allowed": False,
        "status": {
            "code": 403,
            "reason": "Forbidden",
            "message": "spec.slices: Forbidden: spec.slices > 1 is not supported while any role has scaling.mode: "
            "External (alpha restriction)",
        },
        "warnings": [
            (
                'role "prefill" sets scaling.mode: External and spec.replicas: 4 — spec.replicas is ignored; drive '
                'replicas via DisaggregatedSetRoleScaler "a-prefill" instead'
            )
        ],
    }
    changed = disaggregated(role("prefill", startupPolicy="LeaderReady"), role("decode"))
    assert ask(VALIDATE_DISAGGREGATEDSET, review(changed, disaggregated(), operation="UPDATE")) == {
        "uid": UID,
        "allowed": True,
        "warnings": ["spec.roles[0].spec.startupPolicy: takes effect with the next revision"],
    }


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.denials: list[tuple[str, str]] = []
        self.panics: list[str] = []

    def denied(self, webhook: str, rule: str) -> None:
        """An object was refused."""
        self.denials.append((webhook, rule))

    def panicked(self, webhook: str) -> None:
        """A handler failed."""
        self.panics.append(webhook)


def test_denials_are_told_by_the_field_that_broke_a_rule() -> None:
    """The observer hears of each refusal the field without indices, and of nothing that is allowed."""
    heard = Heard()
    handlers = AdmissionHandlers(observer=heard)
    bad = lws()
    bad["spec"]["leaderWorkerTemplate"]["size"] = 0
    for given in (lws(), bad):
        handlers.handle_review(VALIDATE_LEADERWORKERSET, encode(review(given)))
    roles = disaggregated(role("a"), role("a"))
    handlers.handle_review(VALIDATE_DISAGGREGATEDSET, encode(review(roles, kind="DisaggregatedSet")))
    assert heard.denials[0] == (VALIDATE_LEADERWORKERSET, "spec.leaderWorkerTemplate.size")
    assert all("[" not in rule for _, rule in heard.denials)
    assert heard.panics == []


def test_what_nobody_foresaw_is_told() -> None:
    """An object that a handler fails at is refused, counted as a panic, and as a denial of its own kind."""
    heard = Heard()
    handlers = AdmissionHandlers(observer=heard)

    def fail(_question: object) -> Any:
        raise KeyError("x")

    endpoint = handlers._endpoints[VALIDATE_LEADERWORKERSET]
    handlers._endpoints[VALIDATE_LEADERWORKERSET] = dataclasses.replace(endpoint, handler=fail)
    status, _ = handlers.handle_review(VALIDATE_LEADERWORKERSET, encode(review(lws())))
    assert status == 200
    assert heard.panics == [VALIDATE_LEADERWORKERSET]
    assert heard.denials == [(VALIDATE_LEADERWORKERSET, "unexpected")]

"""Questions about rights, and what every server makes for itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sandbox.tests.auth.support import World, rule, subject, user

from lws.apimachinery.manifests import JSON
from lws_sandbox.auth.aggregation import aggregated
from lws_sandbox.auth.bootstrap import manifests
from lws_sandbox.user import ADMIN
from tests.virtual import virtual_time

JANE = user("jane")
AUTHORIZATION = "/apis/authorization.k8s.io/v1"


async def review(world: World, kind: str, who: Any = ADMIN, within: str = "", **spec: Any) -> JSON:
    """A review's answer."""
    where = f"namespaces/{within}/" if within else ""
    request = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    answer = await world.ask("POST", f"{AUTHORIZATION}/{where}{kind.lower()}s", who, request)
    found: JSON = orjson.loads(answer.body)
    return found


LIST_PODS = {"namespace": "team", "verb": "list", "resource": "pods"}


@virtual_time
async def test_subject_access_review() -> None:
    """It answers for a user with exactly the groups that it names, and gives the grant as the reason."""
    world = await World().start()
    await world.role("reader", rule("list", "pods"))
    await world.bind("reader", subject("dev", "Group"), subject("robot", "ServiceAccount"))
    answers = [
        await review(world, "SubjectAccessReview", user="jane", resourceAttributes=LIST_PODS),
        await review(world, "SubjectAccessReview", user="jane", groups=["dev"], resourceAttributes=LIST_PODS),
        await review(
            world,
            "SubjectAccessReview",
            user="system:serviceaccount:team:robot",
            resourceAttributes=LIST_PODS,
        ),
    ]
    source = 'RBAC: allowed by RoleBinding "reader/team" of Role "reader" to'
    assert [answer["status"] for answer in answers] == [
        {"allowed": False},
        {"allowed": True, "reason": f'{source} Group "dev"'},
        {"allowed": True, "reason": f'{source} ServiceAccount "robot/team"'},
    ]


@virtual_time
async def test_self_access_review() -> None:
    """Everybody who is known may ask for himself."""
    world = await World().start()
    answer = await review(world, "SelfSubjectAccessReview", JANE, resourceAttributes=LIST_PODS)
    assert answer["status"] == {"allowed": False}
    path = {"path": "/apis", "verb": "get"}
    assert (await review(world, "SelfSubjectAccessReview", JANE, nonResourceAttributes=path))["status"]["allowed"]


@virtual_time
async def test_local_access_review() -> None:
    """It is about its own namespace only, and may be granted there."""
    world = await World().start()
    await world.role("asker", rule("create", "localsubjectaccessreviews", "authorization.k8s.io"))
    await world.bind("asker", subject("jane"))
    kind = "LocalSubjectAccessReview"
    answer = await review(world, kind, JANE, "team", user="x", resourceAttributes=LIST_PODS)
    assert (answer["status"], answer["metadata"]["namespace"]) == ({"allowed": False}, "team")
    elsewhere = {**LIST_PODS, "namespace": "default"}
    refusal = await review(world, kind, JANE, "team", user="x", resourceAttributes=elsewhere)
    assert "must match metadata.namespace" in refusal["message"]
    refusal = await review(world, kind, JANE, "team", user="x", nonResourceAttributes={"path": "/x", "verb": "get"})
    assert "disallowed on this kind of request" in refusal["message"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"user": "x"}, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        ({"resourceAttributes": LIST_PODS}, "at least one of user or group must be specified"),
        (
            {"user": "x", "resourceAttributes": LIST_PODS, "nonResourceAttributes": {"path": "/", "verb": "get"}},
            "cannot be specified in combination with resourceAttributes",
        ),
    ],
)
@virtual_time
async def test_reviews_that_make_no_sense(spec: JSON, why: str) -> None:
    """A review says whom it is about and exactly one thing."""
    answer = await review(await World().start(), "SubjectAccessReview", **spec)
    assert answer["code"] == 422
    assert why in answer["message"]


@virtual_time
async def test_rules_review() -> None:
    """It lists what holds in a namespace, and says what kept other rules from being found."""
    world = await World().start()
    await world.role("reader", rule("list", "pods"))
    await world.bind("reader", subject("jane"))
    await world.bind("none", subject("jane"))
    status = (await review(world, "SelfSubjectRulesReview", JANE, namespace="team"))["status"]
    assert {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]} in status["resourceRules"]
    assert any("/apis" in found["nonResourceURLs"] for found in status["nonResourceRules"])
    assert status["evaluationError"] == 'role.rbac.authorization.k8s.io "none" not found'
    elsewhere = (await review(world, "SelfSubjectRulesReview", JANE, namespace="default"))["status"]
    assert {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]} not in elsewhere["resourceRules"]


@virtual_time
async def test_reviews_need_a_right() -> None:
    """Who may not create reviews of others is refused; nobody may ask for nobody."""
    world = await World().start()
    assert (await review(world, "SubjectAccessReview", JANE, user="x", resourceAttributes=LIST_PODS))["code"] == 403
    await world.bind("system:auth-delegator", subject("jane"), namespace="", kind="ClusterRole")
    assert "status" in await review(world, "SubjectAccessReview", JANE, user="x", resourceAttributes=LIST_PODS)


# What every server makes for itself.


def test_bootstrap_roles_are_bound_to_roles_that_exist() -> None:
    """Every binding refers to a role of the same list, and names are unique."""
    made = [(manifest["kind"], manifest["metadata"]["name"]) for _, manifest in manifests()]
    assert len(made) == len(set(made))
    for _, manifest in manifests():
        if manifest["kind"] == "ClusterRoleBinding":
            assert ("ClusterRole", manifest["roleRef"]["name"]) in made


def test_users_roles_include_each_other() -> None:
    """What view grants, edit grants too; what edit grants, admin grants too."""
    roles = [manifest for _, manifest in manifests() if manifest["kind"] == "ClusterRole"]
    by_name = {role["metadata"]["name"]: role for role in roles}
    for name in ("view", "edit", "admin"):
        by_name[name]["rules"] = aggregated(by_name[name], roles)
    assert by_name["view"]["rules"]
    for weaker, stronger in (("view", "edit"), ("edit", "admin")):
        assert all(found in by_name[stronger]["rules"] for found in by_name[weaker]["rules"])
    own = {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}, "name": "leaderworkerset-viewer"}
    added = rule("get", "leaderworkersets", "leaderworkerset.x-k8s.io")
    assert added in aggregated(by_name["view"], [*roles, {"metadata": own, "rules": [added]}])

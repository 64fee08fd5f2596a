"""Who asks, and what he may."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from sandbox.tests.auth.support import World, message, rule, subject, user

from lws_sandbox.user import ADMIN, ANONYMOUS, UserInfo
from tests.virtual import virtual_time

JANE = user("jane", "dev")
TEAM = "/api/v1/namespaces/team"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
SELF_BODY = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def body(answer: Any) -> Any:
    """The answer's JSON."""
    return orjson.loads(answer.body)


@virtual_time
async def test_administrators_may_everything() -> None:
    """The group system:masters needs no role."""
    world = await World().start()
    assert (await world.ask("GET", f"{TEAM}/pods", ADMIN)).status == 200
    assert (await world.ask("GET", "/healthz", user("x", "system:masters"))).status == 200


@virtual_time
async def test_others_may_what_they_are_granted() -> None:
    """A grant holds from when it is stored until it is removed, in its namespace only."""
    world = await World().start()
    before = await world.ask("GET", f"{TEAM}/pods", JANE)
    await world.role("reader", rule("get list", "pods"))
    await world.bind("reader", subject("jane"))
    allowed = await world.ask("GET", f"{TEAM}/pods", JANE)
    elsewhere = await world.ask("GET", "/api/v1/namespaces/default/pods", JANE)
    await world.ask("DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/team/rolebindings/reader", ADMIN)
    after = await world.ask("GET", f"{TEAM}/pods", JANE)
    assert [answer.status for answer in (before, allowed, elsewhere, after)] == [403, 200, 403, 403]
    assert message(before) == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "team"'
    )


@pytest.mark.parametrize(
    "who",
    [subject("jane"), subject("dev", "Group"), subject("system:authenticated", "Group")],
    ids=["user", "group", "everybody"],
)
@virtual_time
async def test_subjects(who: dict[str, Any]) -> None:
    """A binding holds for a user by name and for the members of a group."""
    world = await World().start()
    await world.role("reader", rule("list", "pods"))
    await world.bind("reader", who)
    assert (await world.ask("GET", f"{TEAM}/pods", JANE)).status == 200
    assert (await world.ask("GET", f"{TEAM}/pods")).status == 403


@virtual_time
async def test_cluster_roles() -> None:
    """A ClusterRole holds everywhere if it is bound for the cluster, else in the namespace of its binding."""
    world = await World().start()
    await world.role("lister", rule("list", "pods nodes"), namespace="")
    await world.bind("lister", subject("jane"), kind="ClusterRole")
    paths = (f"{TEAM}/pods", "/api/v1/pods", "/api/v1/nodes")
    found = [(await world.ask("GET", path, JANE)).status for path in paths]
    await world.bind("lister", subject("jane"), namespace="", kind="ClusterRole")
    found += [(await world.ask("GET", path, JANE)).status for path in paths]
    assert found == [200, 403, 403, 200, 200, 200]


@virtual_time
async def test_missing_role_is_told() -> None:
    """A binding of a role that is not there grants nothing, and the refusal says so."""
    world = await World().start()
    await world.bind("none", subject("jane"))
    refusal = await world.ask("GET", f"{TEAM}/pods", JANE)
    assert message(refusal).endswith('in the namespace "team": RBAC: role.rbac.authorization.k8s.io "none" not found')


@virtual_time
async def test_named_object() -> None:
    """Who may see one object may list it by its name, and nothing else."""
    world = await World().start()
    await world.role("one", rule("get list", "configmaps", resourceNames=["mine"]))
    await world.bind("one", subject("jane"))
    path = f"{TEAM}/configmaps"
    chosen = await world.ask("GET", f"{path}?fieldSelector=metadata.name=mine", JANE)
    other = await world.ask("GET", f"{path}?fieldSelector=metadata.name=other", JANE)
    excluded = await world.ask("GET", f"{path}?fieldSelector=metadata.name!=mine", JANE)
    assert [answer.status for answer in (chosen, other, excluded)] == [200, 403, 403]
    assert message(other).startswith('configmaps "other" is forbidden')


@virtual_time
async def test_public_paths_and_others() -> None:
    """Everybody may ask for health and version; metrics need a grant."""
    world = await World().start()
    await world.role("metrics", {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, namespace="")
    await world.bind("metrics", subject("jane"), namespace="", kind="ClusterRole")
    asked = [("/version", ANONYMOUS), ("/healthz", ANONYMOUS), ("/apis", ANONYMOUS), ("/apis", JANE)]
    assert [(await world.ask("GET", path, who)).status for path, who in asked] == [200, 200, 403, 200]
    assert (await world.ask("GET", "/metrics", user("joe"))).status == 403
    assert (await world.ask("GET", "/metrics", JANE)).status != 403


@virtual_time
async def test_bad_credentials() -> None:
    """A bad token or a certificate that nobody vouches for is 401; other schemes are nobody."""
    world = await World(tokens={"secret": user("joe")}).start()
    joe = await world.ask("POST", SELF, ANONYMOUS, SELF_BODY, authorization="Bearer secret")
    assert body(joe)["status"]["userInfo"]["username"] == "joe"
    for headers in ({"authorization": "Bearer wrong"}, {"authorization": "bearer a.b.c"}):
        refusal = await world.ask("GET", f"{TEAM}/pods", ANONYMOUS, None, **headers)
        assert (refusal.status, message(refusal)) == (401, "Unauthorized")
    assert (await world.ask("GET", "/version", UserInfo(""))).status == 401
    assert (await world.ask("GET", f"{TEAM}/pods", ANONYMOUS, None, authorization="Basic YTpi")).status == 403


# Service accounts.


async def account(world: World, name: str = "robot") -> dict[str, Any]:
    """A service account."""
    answer = await world.ask(
        "POST",
        f"{TEAM}/serviceaccounts",
        ADMIN,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
    )
    found: dict[str, Any] = body(answer)
    return found


async def token(world: World, name: str = "robot", **spec: Any) -> dict[str, Any]:
    """A TokenRequest's answer."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = await world.ask("POST", f"{TEAM}/serviceaccounts/{name}/token", ADMIN, request)
    found: dict[str, Any] = body(answer)
    return found


async def review(world: World, text: str, **spec: Any) -> dict[str, Any]:
    """The status of a TokenReview."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": text, **spec},
    }
    answer = await world.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", ADMIN, request)
    found: dict[str, Any] = body(answer)["status"]
    return found


@virtual_time
async def test_service_account_token() -> None:
    """A token makes its bearer the service account, with what is bound to it."""
    world = await World().start()
    robot = await account(world)
    answer = await token(world)
    bearer = {"authorization": f"Bearer {answer['status']['token']}"}
    who = body(await world.ask("POST", SELF, ANONYMOUS, SELF_BODY, **bearer))["status"]["userInfo"]
    assert who["username"] == "system:serviceaccount:team:robot"
    assert who["uid"] == robot["metadata"]["uid"]
    assert who["groups"] == ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]
    await world.role("lister", rule("list", "pods"))
    await world.bind("lister", subject("robot", "ServiceAccount"))
    assert (await world.ask("GET", f"{TEAM}/pods", ANONYMOUS, None, **bearer)).status == 200


@virtual_time
async def test_token_expires() -> None:
    """A token holds until the second in which it expires."""
    world = await World().start()
    await account(world)
    answer = await token(world, expirationSeconds=600)
    assert answer["spec"]["expirationSeconds"] == 600
    text = answer["status"]["token"]
    await asyncio.sleep(599)
    assert (await review(world, text))["authenticated"]
    await asyncio.sleep(1)
    assert await review(world, text) == {
        "user": {},
        "error": "[invalid bearer token, service account token has expired]",
    }


@virtual_time
async def test_token_ends_with_its_account() -> None:
    """A token of an account that is gone, or was made anew, does not hold."""
    world = await World().start()
    robot = await account(world)
    text = (await token(world))["status"]["token"]
    await world.ask("DELETE", f"{TEAM}/serviceaccounts/robot", ADMIN)
    gone = (await review(world, text))["error"]
    again = await account(world)
    other = (await review(world, text))["error"]
    assert gone == '[invalid bearer token, serviceaccounts "robot" not found]'
    assert robot["metadata"]["uid"] != again["metadata"]["uid"]
    assert "does not match claim" in other


@virtual_time
async def test_token_audiences() -> None:
    """A token holds for its audiences only; a review names those that it was asked about and holds for."""
    world = await World().start()
    await account(world)
    text = (await token(world, audiences=["a", "b"]))["status"]["token"]
    assert "is invalid for the target audiences" in (await review(world, text))["error"]
    assert (await review(world, text, audiences=["b", "c"]))["audiences"] == ["b"]
    refusal = await world.ask("GET", f"{TEAM}/pods", ANONYMOUS, None, authorization=f"Bearer {text}")
    assert refusal.status == 401


@virtual_time
async def test_forged_token() -> None:
    """A token whose claims or signature were changed is none."""
    world = await World().start()
    await account(world)
    head, claims, signature = (await token(world))["status"]["token"].split(".")
    other = (await token(world, audiences=["x"]))["status"]["token"].split(".")[1]
    for forged in (f"{head}.{other}.{signature}", f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims}.", "a.b"):
        assert await review(world, forged) == {"user": {}, "error": "invalid bearer token"}


@virtual_time
async def test_token_bound_to_a_pod() -> None:
    """A token that is bound to a pod tells of it, and ends with it; it must be the account's own pod."""
    world = await World().start()
    await account(world)
    await account(world, "other")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"serviceAccountName": "robot", "nodeName": "n1", "containers": [{"name": "c"}]},
    }
    uid = body(await world.ask("POST", f"{TEAM}/pods", ADMIN, pod))["metadata"]["uid"]
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
    text = (await token(world, boundObjectRef=reference))["status"]["token"]
    extra = (await review(world, text))["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [uid]
    assert extra["authentication.kubernetes.io/node-name"] == ["n1"]
    assert (await token(world, "other", boundObjectRef=reference))["reason"] == "BadRequest"
    assert (await token(world, boundObjectRef={**reference, "name": "q"}))["reason"] == "NotFound"
    assert (await token(world, boundObjectRef={**reference, "uid": "u"}))["reason"] == "Conflict"
    await world.ask("DELETE", f"{TEAM}/pods/p", ADMIN, {"gracePeriodSeconds": 0})
    assert "error" in await review(world, text)


@pytest.mark.parametrize(
    ("seconds", "why"),
    [(599, "less than 10 minutes"), (0, "less than 10 minutes"), (1 << 33, "larger than 2^32 seconds")],
)
@virtual_time
async def test_token_life_has_limits(seconds: int, why: str) -> None:
    """A token's life is neither shorter than ten minutes nor longer than 2^32 seconds."""
    world = await World().start()
    await account(world)
    assert why in (await token(world, expirationSeconds=seconds))["message"]


@virtual_time
async def test_token_requests_that_make_no_sense() -> None:
    """A token is for an account that exists, is named rightly, and is bound to something that can be looked up."""
    world = await World().start()
    await account(world)
    path = f"{TEAM}/serviceaccounts/robot/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": "x"}, "spec": {}}
    wrong = await world.ask("POST", path, ADMIN, request)
    assert (wrong.status, "must match the service account name" in message(wrong)) == (422, True)
    assert (await token(world, "nobody"))["message"] == 'serviceaccounts "nobody" not found'
    odd = {"kind": "Deployment", "apiVersion": "apps/v1", "name": "d"}
    refusal = await token(world, boundObjectRef=odd)
    assert refusal["message"] == "cannot bind token to object of type apps/v1, Kind=Deployment"


@virtual_time
async def test_tokens_are_the_same_twice() -> None:
    """With the same seed and clock the same token is made."""
    found = []
    for _ in range(2):
        world = await World().start()
        await account(world)
        found.append((await token(world))["status"]["token"])
    assert found[0] == found[1]


# Impersonation.


@virtual_time
async def test_impersonation_by_an_administrator() -> None:
    """An administrator may act as anybody; the groups follow from the kind of user."""
    world = await World().start()

    async def groups(name: str, **more: str) -> list[str]:
        answer = await world.ask("POST", SELF, ADMIN, SELF_BODY, impersonate_user=name, **more)
        if answer.status != 201:
            return [message(answer)]
        found: list[str] = body(answer)["status"]["userInfo"]["groups"]
        return found

    await world.role("self", rule("create", "selfsubjectreviews", "authentication.k8s.io"), namespace="")
    await world.bind("self", subject("system:unauthenticated", "Group"), namespace="", kind="ClusterRole")
    assert await groups("jane") == ["system:authenticated"]
    assert await groups("jane", impersonate_group="a\nb") == ["a", "b", "system:authenticated"]
    assert await groups("system:serviceaccount:team:robot") == [
        "system:serviceaccounts",
        "system:serviceaccounts:team",
        "system:authenticated",
    ]
    assert await groups("system:node:n1") == ["system:nodes", "system:authenticated"]
    assert await groups("system:anonymous") == ["system:unauthenticated"]
    assert await groups("jane", impersonate_group="system:masters") == ["system:masters", "system:authenticated"]


@virtual_time
async def test_impersonation_needs_a_right_for_each_thing() -> None:
    """User, group, uid and each extra need a right of their own; the refusal names the first that is lacking."""
    world = await World().start()
    await world.role("actor", rule("impersonate", "users", resourceNames=["jane"]), namespace="")
    await world.bind("actor", subject("joe"), namespace="", kind="ClusterRole")
    joe = user("joe")

    async def act(name: str, **more: str) -> tuple[int, str]:
        answer = await world.ask("POST", SELF, joe, SELF_BODY, impersonate_user=name, **more)
        return answer.status, body(answer).get("message", "")

    assert (await act("jane"))[0] == 201
    assert (await act("jack"))[0] == 403
    status, why = await act("jane", impersonate_group="dev")
    assert (status, "impersonate-on:user-info:create" in why) == (403, True)
    assert (await act("jane", impersonate_uid="u"))[0] == 403
    assert (await act("jane", impersonate_extra_scopes="s"))[0] == 403


@virtual_time
async def test_constrained_impersonation() -> None:
    """Who may impersonate only for certain requests may do these and no others."""
    world = await World().start()
    await world.role("reader", rule("list get", "pods"))
    await world.bind("reader", subject("jane"))
    authentication = "authentication.k8s.io"
    await world.role("who", rule("impersonate:user-info", "users", authentication), namespace="")
    await world.bind("who", subject("joe"), namespace="", kind="ClusterRole")
    await world.role("what", rule("impersonate-on:user-info:list", "pods"))
    await world.bind("what", subject("joe"))
    joe = user("joe")
    listing = await world.ask("GET", f"{TEAM}/pods", joe, None, impersonate_user="jane")
    getting = await world.ask("GET", f"{TEAM}/pods/x", joe, None, impersonate_user="jane")
    assert [listing.status, getting.status] == [200, 403]
    assert "impersonate-on:user-info:get" in message(getting)


@virtual_time
async def test_impersonation_of_nobody() -> None:
    """Groups or extras without a user make no sense."""
    world = await World().start()
    answer = await world.ask("GET", f"{TEAM}/pods", ADMIN, None, impersonate_extra_scopes="a")
    assert answer.status == 400
    assert 'Extra:map[string][]string{"scopes":[]string{"a"}}} without impersonating a user name' in message(answer)

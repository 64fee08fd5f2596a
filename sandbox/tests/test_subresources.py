"""Scale, binding, eviction, finalize: paths of their own with rules of their own."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.plain import APPLY, Plain

from tests.virtual import virtual_time

PODS = "/api/v1/namespaces/default/pods"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
SERVICES = PODS.removesuffix("pods") + "services"


def _binding(name: str, node: str = "n1") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}


def _eviction(name: str) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}


async def _pod(plain: Plain, name: str, phase: str = "Running") -> None:
    body = {"metadata": {"name": name, "labels": {"app": "x"}}, "spec": {"containers": [{"name": "c"}]}}
    assert (await plain.post(PODS, body)).status == 201
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}
    await plain.merge(f"{PODS}/{name}/status", {"status": status})


async def _budget(plain: Plain, name: str, **status: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "x"}}}}
    made = await plain.post(BUDGETS, body)
    generation = made.body["metadata"].get("generation", 0)
    await plain.merge(f"{BUDGETS}/{name}/status", {"status": {"observedGeneration": generation, **status}})


@virtual_time
async def test_a_pod_is_bound_once() -> None:
    """A binding writes the node and the condition PodScheduled; a second one is a conflict that names the node."""
    plain = await Plain().begin()
    await _pod(plain, "a", "Pending")
    assert (await plain.post(f"{PODS}/a/binding", _binding("a"))).status == 201
    bound = (await plain.get(f"{PODS}/a")).body
    assert bound["spec"]["nodeName"] == "n1"
    assert {"PodScheduled"} <= {condition["type"] for condition in bound["status"]["conditions"]}
    again = await plain.post(f"{PODS}/a/binding", _binding("a", "n2"))
    assert again.status == 409
    assert again.body["message"].endswith('pod a is already assigned to node "n1"')


@virtual_time
async def test_a_binding_may_name_its_pod_itself() -> None:
    """Posted to the collection of bindings it binds the pod of its name, under the same rules."""
    plain = await Plain().begin()
    await _pod(plain, "a", "Pending")
    bindings = "/api/v1/namespaces/default/bindings"
    assert (await plain.post(bindings, _binding("a"))).status == 201
    assert (await plain.get(f"{PODS}/a")).body["spec"]["nodeName"] == "n1"
    assert (await plain.post(bindings, _binding("a"))).status == 409
    assert (await plain.post(bindings, _binding("b"))).status == 404
    assert (await plain.post(bindings, _binding(""))).status == 400


@virtual_time
async def test_a_budget_is_spent_by_evictions() -> None:
    """As many pods go as the budget allows; the next is 429 with the budget's numbers, and stays."""
    plain = await Plain().begin()
    for name in "abc":
        await _pod(plain, name)
    await _budget(plain, "b", disruptionsAllowed=1, currentHealthy=3, desiredHealthy=2)
    assert (await plain.post(f"{PODS}/a/eviction", _eviction("a"))).status == 201
    refused = await plain.post(f"{PODS}/b/eviction", _eviction("b"))
    assert (refused.status, refused.body["reason"]) == (429, "TooManyRequests")
    assert "needs 2 healthy pods and has 3" in refused.body["details"]["causes"][0]["message"]
    assert (await plain.get(PODS)).names == ["b", "c"]
    assert set((await plain.get(f"{BUDGETS}/b")).body["status"]["disruptedPods"]) == {"a"}


@virtual_time
async def test_a_dry_eviction_spends_nothing() -> None:
    """With dryRun neither the pod nor the budget changes."""
    plain = await Plain().begin()
    await _pod(plain, "a")
    await _budget(plain, "b", disruptionsAllowed=1, currentHealthy=1, desiredHealthy=0)
    before = plain.server.storage.revision
    assert (await plain.post(f"{PODS}/a/eviction", _eviction("a"), dryRun="All")).status == 201
    assert plain.server.storage.revision == before


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_count_for_nothing_go_freely(phase: str) -> None:
    """A pod that never began or has ended is evicted whatever its budget says."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        await _pod(plain, "a", phase)
        await _budget(plain, "b", disruptionsAllowed=0)
        assert (await plain.post(f"{PODS}/a/eviction", _eviction("a"))).status == 201

    run()


@virtual_time
async def test_two_budgets_for_a_pod_are_an_error() -> None:
    """The eviction of a pod with more than one budget is refused as not supported."""
    plain = await Plain().begin()
    await _pod(plain, "a")
    await _budget(plain, "b", disruptionsAllowed=1)
    await _budget(plain, "c", disruptionsAllowed=1)
    assert (await plain.post(f"{PODS}/a/eviction", _eviction("a"))).status == 500


async def _set(plain: Plain) -> None:
    spec = {"replicas": 2, "serviceName": "s", "template": {}, "selector": {"matchLabels": {"app": "s"}}}
    assert (await plain.post(SETS, {"metadata": {"name": "s"}, "spec": spec})).status == 201


@virtual_time
async def test_scale_shows_and_writes_one_number() -> None:
    """The Scale has the object's replicas and its selector as text; writing it changes nothing else."""
    plain = await Plain().begin()
    await _set(plain)
    scale = (await plain.get(f"{SETS}/s/scale")).body
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=s")
    scaled = await plain.put(f"{SETS}/s/scale", {**scale, "spec": {"replicas": 5}})
    assert scaled.body["spec"] == {"replicas": 5}
    stale = await plain.put(f"{SETS}/s/scale", {**scale, "spec": {"replicas": 6}})
    assert stale.status == 409
    wrong = await plain.merge(f"{SETS}/s/scale", {"spec": {"replicas": -1}})
    assert (wrong.status, wrong.body["details"]["causes"][0]["field"]) == (422, "spec.replicas")


@virtual_time
async def test_whoever_scales_owns_the_replicas() -> None:
    """An apply to the scale owns spec.replicas through the subresource, and another applier conflicts."""
    plain = await Plain().begin()
    await _set(plain)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "s"}, "spec": {"replicas": 4}}
    path = f"{SETS}/s/scale"
    applied = await plain.ask("PATCH", path, scale, media=APPLY, fieldManager="scaler", force="true")
    assert applied.body["spec"] == {"replicas": 4}
    entries = (await plain.get(f"{SETS}/s")).body["metadata"]["managedFields"]
    [owned] = [entry for entry in entries if entry["manager"] == "scaler"]
    assert (owned["subresource"], owned["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
    other = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {"replicas": 9}}
    refused = await plain.ask("PATCH", f"{SETS}/s", other, media=APPLY, fieldManager="other")
    assert (refused.status, refused.body["details"]["causes"][0]["field"]) == (409, ".spec.replicas")


@virtual_time
@pytest.mark.parametrize("subresource", ["log", "exec", "attach", "portforward"])
async def test_what_needs_a_running_container_is_refused_with_the_reason(subresource: str) -> None:
    """A pod that exists has no log and takes no command, and the answer says why; one that does not is not found."""
    plain = await Plain().begin()
    await _pod(plain, "a")
    answer = await plain.get(f"{PODS}/a/{subresource}")
    assert (answer.status, answer.body["reason"]) == (501, "NotImplemented")
    assert "sandbox" in answer.body["message"]
    assert (await plain.get(f"{PODS}/b/{subresource}")).status == 404


async def _server(plain: Plain, name: str, *, ready: str = "True") -> None:
    """A pod with a named port that runs, and is ready or not."""
    container = {"name": "c", "image": "server:1", "ports": [{"name": "http", "containerPort": 8000}]}
    meta = {"name": name, "labels": {"app": "server"}}
    pod = (await plain.post(PODS, {"metadata": meta, "spec": {"containers": [container], "nodeName": "n1"}})).body
    pod["status"] = {
        "phase": "Running",
        "podIP": "10.0.9.1",
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [
            {
                "name": "c",
                "image": "server:1",
                "imageID": "",
                "ready": ready == "True",
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ],
    }
    assert (await plain.put(f"{PODS}/{name}/status", pod)).status == 200


async def _service(plain: Plain) -> str:
    spec = {"selector": {"app": "server"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}
    assert (await plain.post(SERVICES, {"metadata": {"name": "s"}, "spec": spec})).status == 201
    return f"{SERVICES}/s"


@virtual_time
async def test_a_request_reaches_a_ready_pod_behind_its_service() -> None:
    """Through a service, by its port's number, name or none, a request is answered for a ready pod, which it names."""
    plain = await Plain().begin()
    service = await _service(plain)
    await _server(plain, "a", ready="False")
    await _server(plain, "b")
    for name in ("", ":80", ":web"):
        answer = await plain.get(f"{service}{name}/proxy/v1/models")
        assert answer.status == 200, answer.body
        assert (answer.status, answer.body["pod"], answer.body["address"]) == (200, "b", "10.0.9.1:8000")
        assert answer.body["request"] == "GET /v1/models"
    posted = await plain.post(f"{service}:web/proxy/v1/completions", {"prompt": "hello"})
    assert (posted.status, posted.body["request"], posted.body["image"]) == (200, "POST /v1/completions", "server:1")


@virtual_time
async def test_a_request_reaches_a_pod_by_its_port() -> None:
    """A pod answers on a port that a running container declares, also when it is not ready, and on no other."""
    plain = await Plain().begin()
    await _server(plain, "a", ready="False")
    assert (await plain.get(f"{PODS}/a:8000/proxy/")).body["request"] == "GET /"
    assert (await plain.get(f"{PODS}/a/proxy")).status == 200
    refused = await plain.get(f"{PODS}/a:9/proxy/")
    assert (refused.status, refused.body["reason"]) == (503, "ServiceUnavailable")
    assert refused.body["message"].endswith("dial tcp 10.0.9.1:9: connect: connection refused")


@virtual_time
async def test_nobody_serves_and_the_answer_says_why() -> None:
    """Without a ready pod, or with another port or name, a service's proxy is refused in kube-apiserver's words."""
    plain = await Plain().begin()
    service = await _service(plain)
    await _server(plain, "a", ready="False")
    refused = await plain.get(f"{service}:80/proxy/")
    assert (refused.status, refused.body["message"]) == (503, 'no endpoints available for service "s"')
    other = await plain.get(f"{service}:81/proxy/")
    assert (other.status, other.body["message"]) == (503, 'no service port "81" found for service "s"')
    assert (await plain.get(f"{SERVICES}/t/proxy/")).status == 404

"""The page as it is served: the gate on real requests, live documents, actions, lost rights."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, NODES, PODS, SECRETS, STATEFULSETS
from lws.cli.kubectl.ui.caches import Caches
from lws.cli.kubectl.ui.gate import HEADERS
from lws.cli.kubectl.ui.server import assets
from lws.client.api import ApiClient
from lws.clock import SystemClock
from lws.planning.leaderworkerset.diagnosis.diagnose import PAUSED
from lws_sandbox.transport import InProcessTransport
from lws_sandbox.user import UserInfo
from tests.cli.sessions import Plugin
from tests.cli.ui.pages import leader, leader_set, manifest, served, tab


async def test_the_page_opens_with_its_token_only() -> None:
    """Without token or cookie everything is 403, also over a wrong Host, another origin and a form; with it, 200."""
    async with served() as (_, address), tab(address) as mine, tab(address) as other:
        await mine.enter()
        home = mine.base
        for path in ("/", "/sets", "/static/app.js", "/api/stream?view=sets", f"/static/app.js?token={mine.token}"):
            async with other.session.get(home + path) as answer:
                assert answer.status == 403, path
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with mine.session.get(f"{home}/static/app.js", headers=headers) as answer:
                assert answer.status == 403, headers
        async with mine.session.post(f"{home}/api/act", data={"action": "pause"}) as answer:
            assert answer.status == 403
        async with mine.session.get(f"{home}/static/app.js") as answer:
            assert (answer.status, answer.content_type) == (200, "text/javascript")
        async with mine.session.get(f"{home}/static/../gate.py") as answer:
            assert answer.status == 404
        (cookie,) = mine.session.cookie_jar
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")


async def test_a_change_reaches_every_tab_and_a_set_that_goes_is_gone() -> None:
    """Two tabs see a set appear, a pod come, and the set go, as differences; Secrets are never asked for."""
    async with served() as (client, address), tab(address) as one, tab(address) as other:
        await one.enter()
        await other.enter()
        await one.until("view=sets", lambda state: state["page"]["synced"])
        await client.create(LEADERWORKERSETS, manifest("web"))
        for each in (one, other):
            state = await each.until("view=sets", lambda state: "lws/default/web" in state)
            assert state["lws/default/web"]["want"] == 2
        said = "The leader StatefulSet web does not exist"
        state = await one.until("view=set&namespace=default&name=web", lambda state: "set" in state)
        assert state["set"]["says"][0].startswith(said)
        await client.create(PODS, leader("web", 0))
        await one.until("view=set&namespace=default&name=web", lambda state: "pod/web-0" in state)
        await client.delete(LEADERWORKERSETS, "default", "web")
        await one.until("view=set&namespace=default&name=web", lambda state: "gone" in state)
        await other.until("view=sets", lambda state: "page" in state and "lws/default/web" not in state)


async def test_text_of_the_cluster_stays_text() -> None:
    """Markup in an image arrives as the very text; no file of the page writes markup, or runs text as code."""
    evil = "<script>alert(1)</script>"
    async with served() as (client, address), tab(address) as mine:
        body = manifest("web")
        body["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["image"] = evil
        await client.create(LEADERWORKERSETS, body)
        await mine.enter()
        state = await mine.until("view=set&namespace=default&name=web", lambda state: "set" in state)
        assert state["set"]["images"] == [evil]
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)"
    )
    for name, content in assets().items():
        assert forbidden.search(content.decode()) is None, name
        assert " style=" not in content.decode(), name


def test_every_module_is_asked_for_at_once() -> None:
    """The document names every module, so none waits until another one that needs it has come."""
    page = assets()["index.html"].decode()
    modules = {name for name in assets() if name.endswith(".js")}
    assert set(re.findall(r'(?:href|src)="/static/([a-z]+\.js)"', page)) == modules


async def test_actions_are_off_unless_they_were_asked_for() -> None:
    """Without --allow-actions a write is 403, whoever asks."""
    async with served() as (client, address), tab(address) as mine:
        await client.create(LEADERWORKERSETS, manifest("web"))
        await mine.enter()
        headers = {"Origin": mine.base, "X-Lws-Ui": "1"}
        body = {"action": "pause", "namespace": "default", "name": "web"}
        for path in ("/api/preview", "/api/act"):
            async with mine.session.post(mine.base + path, json=body, headers=headers) as answer:
                assert answer.status == 403


async def test_an_action_is_shown_first_and_refused_if_the_set_changed() -> None:
    """A preview has the kubectl line and the effects; after an edit nothing is written; a status is no edit."""
    asked: dict[str, Any] = {"action": "resume", "namespace": "default", "name": "web"}
    body = manifest("web", rolloutStrategy={"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": 2}})
    body["metadata"]["annotations"] = {PAUSED: "0"}
    async with served(acting=True) as (client, address), tab(address) as mine:
        await client.create(LEADERWORKERSETS, body)
        await mine.enter()
        seen = await mine.post("/api/preview", asked)
        assert seen["line"] == "kubectl lws rollout resume web -n default"
        assert seen["effects"][:2] == [
            f"Annotation {PAUSED} is removed.",
            "rollingUpdateConfiguration.partition is set from 2 to 0.",
        ]
        await client.patch(LEADERWORKERSETS, "default", "web", {"spec": {"replicas": 3}})
        refused = await mine.post("/api/act", {**asked, "seen": seen["seen"]})
        assert "changed since this was shown" in refused["refused"]
        assert (await client.get(LEADERWORKERSETS, "default", "web"))["metadata"]["annotations"] == {PAUSED: "0"}
        again = await mine.post("/api/preview", asked)
        await client.patch(LEADERWORKERSETS, "default", "web", {"status": {"replicas": 1}}, subresource="status")
        assert (await mine.post("/api/act", {**asked, "seen": again["seen"]}))["done"] == seen["line"]
        live = await client.get(LEADERWORKERSETS, "default", "web")
        assert live["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]["partition"] == 0
        twice = await mine.post("/api/preview", asked)
        assert "is not paused" in twice["refused"]
        odd = await mine.post("/api/preview", {**asked, "action": "restart-group", "group": "0"})
        assert "no such group" in odd["refused"]


async def test_a_group_is_restarted_by_its_leader_and_not_twice() -> None:
    """The leader that was shown is deleted; another leader, or one that ends already, is not."""
    asked: dict[str, Any] = {"action": "restart-group", "namespace": "default", "name": "web", "group": 0}
    async with served(acting=True) as (client, address), tab(address) as mine:
        made = await client.create(LEADERWORKERSETS, manifest("web", replicas=1))
        await client.create(STATEFULSETS, leader_set("web", made["metadata"]["uid"]))
        await client.create(PODS, leader("web", 0))
        await mine.enter()
        seen = await mine.post("/api/preview", asked)
        assert seen["line"] == "kubectl lws restart web --group=0 -n default"
        assert seen["effects"][0] == "Pod web-0 is deleted, and with it the 1 workers of its group."
        assert (await mine.post("/api/act", {**asked, "seen": seen["seen"]}))["done"] == seen["line"]
        again = await mine.post("/api/act", {**asked, "seen": seen["seen"]})
        assert "changed" in again["refused"]


async def test_a_node_is_evacuated_as_the_command_does_and_not_if_it_changed() -> None:
    """The preview has the command's words; a node with other taints since is left alone, a heartbeat is no change."""
    asked = {"action": "evacuate", "name": "n1"}
    async with served(acting=True) as (client, address), tab(address) as mine:
        made = manifest("web")
        made["metadata"]["annotations"] = {EVACUATE: "true"}
        await client.create(LEADERWORKERSETS, made)
        await client.create(NODES, {"metadata": {"name": "n1"}})
        await client.create(PODS, leader("web", 0, nodeName="n1"))
        await mine.enter()
        seen = await mine.post("/api/preview", asked)
        assert seen["line"] == "kubectl lws evacuate n1"
        assert seen["effects"] == (await Plugin(client).run("evacuate n1 --dry-run")).splitlines()
        await client.patch(NODES, "", "n1", {"spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}})
        refused = await mine.post("/api/act", {**asked, "seen": seen["seen"]})
        assert refused["refused"] == "n1 changed since this was shown. Nothing was written: look again."
        assert not (await client.get(NODES, "", "n1"))["spec"].get("unschedulable")
        again = await mine.post("/api/preview", asked)
        await client.patch(NODES, "", "n1", {"status": {"phase": "Running"}}, subresource="status")
        assert (await mine.post("/api/act", {**asked, "seen": again["seen"]}))["done"] == seen["line"]
        assert (await client.get(NODES, "", "n1"))["spec"]["unschedulable"] is True
        state = await mine.until("view=places", lambda state: "leaving/0" in state)
        told = (await Plugin(client).run("evacuate n1 --dry-run")).splitlines()
        assert told[1:] == [state["leaving/0"]["text"]]
        odd = await mine.post("/api/preview", {**asked, "name": "n2"})
        assert odd["refused"].startswith("there is no node n2")


async def test_only_a_lost_node_is_released() -> None:
    """One that is Ready is refused, with the command's words; one that is lost is tainted, with what the line says."""
    asked = {"action": "release", "name": "n1"}
    long_ago = {"type": "Ready", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    async with served(acting=True) as (client, address), tab(address) as mine:
        await client.create(
            NODES, {"metadata": {"name": "n1"}, "status": {"conditions": [{**long_ago, "status": "True"}]}}
        )
        await client.create(PODS, leader("web", 0, nodeName="n1"))
        await mine.enter()
        refused = await mine.post("/api/preview", asked)
        assert refused["refused"].startswith("node n1 is Ready, and pods on it may run")
        lost = {"status": {"conditions": [{**long_ago, "status": "Unknown"}]}}
        await client.patch(NODES, "", "n1", lost, subresource="status")
        seen = await mine.post("/api/preview", asked)
        told = (await Plugin(client).run("release n1 --dry-run")).splitlines()
        assert (seen["line"], seen["effects"]) == ("kubectl lws release n1", [text.strip() for text in told])
        assert "nothing to rehearse" in (await mine.post("/api/plan", asked))["refused"]
        assert (await mine.post("/api/act", {**asked, "seen": seen["seen"]}))["done"] == seen["line"]
        taints = (await client.get(NODES, "", "n1"))["spec"]["taints"]
        assert "node.kubernetes.io/out-of-service" in [taint["key"] for taint in taints]
        again = await mine.post("/api/act", {**asked, "seen": seen["seen"]})
        assert "changed since this was shown" in again["refused"]


async def test_a_node_is_not_touched_without_the_right_to() -> None:
    """Who may read nodes and not write them is told so by the server, and nothing is written."""
    reader = UserInfo("reader", groups=("system:authenticated",))
    async with served(user=reader, acting=True) as (client, address), tab(address) as mine:
        await client.create(NODES, {"metadata": {"name": "n1"}})
        rules = [{"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]}]
        await client.create(CLUSTERROLES, {"metadata": {"name": "reader"}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}
        await client.create(
            CLUSTERROLEBINDINGS, {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [subject]}
        )
        await mine.enter()
        asked = {"action": "evacuate", "name": "n1"}
        seen = await mine.post("/api/preview", asked)
        refused = await mine.post("/api/act", {**asked, "seen": seen["seen"]})
        assert "forbidden" in refused["refused"].lower()
        assert not (await client.get(NODES, "", "n1")).get("spec", {}).get("unschedulable")


async def test_the_watches_of_a_page_do_not_grow_with_its_tabs() -> None:
    """Secrets are in no request, and what is asked of the API server is one watch for each kind."""
    client = ApiClient(InProcessTransport(None, UserInfo("me")), user_agent="test", field_manager=None)  # type: ignore[arg-type]
    caches = Caches(client, clock=SystemClock(), random=Random(0), namespace="")
    kinds = [str(each.kind) for each in caches.registry]
    assert str(SECRETS) not in kinds
    assert len(kinds) == len(set(kinds)) == 9


async def test_lost_rights_are_said_and_end_nothing() -> None:
    """Who may read nothing is told which right is missing; the page stays."""
    async with served(user=UserInfo("nobody", groups=("system:authenticated",))) as (_, address), tab(address) as mine:
        await mine.enter()
        state = await mine.until("view=sets", lambda state: len(state["page"]["troubles"]) >= 3)
        assert not state["page"]["synced"]
        assert any("leaderworkersets" in each and "forbidden" in each.lower() for each in state["page"]["troubles"])

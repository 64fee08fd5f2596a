"""Real kubectl against the sandbox, verb by verb."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from tests.e2e.conftest import ROOT, Cluster

NAME = "leaderworkerset.sigs.k8s.io/name"


def _lws(name: str = "web", **spec: Any) -> JSON:
    container = {"name": "main", "image": "app:1"}
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {**template, **spec.pop("template", {})}, **spec},
    }


def _statefulset(replicas: int = 2, image: str = "app:1") -> JSON:
    labels = {"app": "s"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s"},
        "spec": {
            "replicas": replicas,
            "serviceName": "s",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}},
        },
    }


def _available(cluster: Cluster, namespace: str, name: str = "web") -> None:
    cluster.kubectl("wait", f"lws/{name}", "-n", namespace, "--for=condition=Available", "--timeout=30s")


def test_get_shows_the_columns_of_the_definition(cluster: Cluster) -> None:
    """Ready, Desired, Up-to-date and Age stand in the table, under the short name."""
    header, row = cluster.kubectl("get", "lws", "-n", "default", "vllm").splitlines()
    assert header.split() == ["NAME", "READY", "DESIRED", "UP-TO-DATE", "AGE"]
    assert row.split()[:4] == ["vllm", "2", "2", "2"]


def test_get_in_other_forms(cluster: Cluster) -> None:
    """Names, JSON paths, custom columns, wide tables and selectors give what they promise."""
    pods = cluster.kubectl("get", "pods", "-n", "default", "-l", f"{NAME}=vllm", "-o", "name").split()
    assert pods == ["pod/vllm-0", "pod/vllm-0-1", "pod/vllm-1", "pod/vllm-1-1"]
    path = "{.items[*].status.phase}"
    phases = cluster.kubectl("get", "pods", "-n", "default", "-l", f"{NAME}=vllm", "-o", f"jsonpath={path}")
    assert phases.split() == ["Running"] * 4
    columns = "custom-columns=N:.metadata.name,R:.spec.replicas"
    assert cluster.kubectl("get", "lws", "-n", "default", "-o", columns).split()[:4] == ["N", "R", "vllm", "2"]
    wide = cluster.kubectl("get", "pods", "-n", "default", "-o", "wide")
    assert "NODE" in wide.splitlines()[0]
    assert "node-0" in wide
    field = cluster.kubectl("get", "pods", "-A", "--field-selector", "spec.nodeName=node-0", "-o", "name").split()
    assert "pod/vllm-0" in field


def test_get_watches(cluster: Cluster, namespace: str) -> None:
    """A watch prints the rows of what comes."""
    command = [cluster.kubectl_path, "get", "configmaps", "-n", namespace, "-w", "--no-headers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cluster._environment({})) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("kube-root-ca.crt")
        cluster.kubectl("create", "configmap", "new", "-n", namespace, "--from-literal=a=b")
        assert process.stdout.readline().split()[:2] == ["new", "1"]
        process.terminate()


def test_apply_creates_changes_and_prunes_fields(cluster: Cluster, namespace: str) -> None:
    """Client-side apply creates, changes, says unchanged, and takes away what is no longer in the file."""
    manifest = _lws()
    manifest["metadata"]["labels"] = {"team": "a"}
    assert "created" in cluster.apply(manifest, "-n", namespace)
    assert "unchanged" in cluster.apply(manifest, "-n", namespace)
    del manifest["metadata"]["labels"]
    manifest["spec"]["replicas"] = 2
    assert "configured" in cluster.apply(manifest, "-n", namespace)
    live = cluster.get("lws", "web", "-n", namespace)
    assert "labels" not in live["metadata"]
    assert live["spec"]["replicas"] == 2
    _available(cluster, namespace)


def test_server_side_apply_finds_conflicts(cluster: Cluster, namespace: str) -> None:
    """Two managers of one field conflict, until one forces it."""
    manifest = _lws()
    cluster.apply(manifest, "-n", namespace, "--server-side", "--field-manager=one")
    manifest["spec"]["replicas"] = 2
    told = cluster.refused(
        "apply", "-n", namespace, "--server-side", "--field-manager=two", "-f", "-", text=json.dumps(manifest)
    )
    assert "conflict" in told
    assert ".spec.replicas" in told
    cluster.apply(manifest, "-n", namespace, "--server-side", "--field-manager=two", "--force-conflicts")
    managers = cluster.get("lws", "web", "-n", namespace, "--show-managed-fields")["metadata"]["managedFields"]
    assert {"one", "two"} <= {entry["manager"] for entry in managers}


def test_the_whole_installation_applies(cluster: Cluster) -> None:
    """`kubectl apply --server-side -k config/default` is accepted as a whole, also a second time, dry."""
    told = cluster.kubectl("apply", "--server-side", "-k", str(ROOT / "config" / "default"), "--dry-run=server")
    assert "customresourcedefinition.apiextensions.k8s.io" in told
    assert "deployment.apps/lws-controller-manager" in told


def test_diff_shows_what_would_change(cluster: Cluster, namespace: str) -> None:
    """Diff exits 0 without a difference, and 1 with it."""
    manifest = _lws()
    cluster.apply(manifest, "-n", namespace)
    same = cluster.try_kubectl("diff", "-n", namespace, "-f", "-", text=json.dumps(manifest))
    assert (same.returncode, same.stdout) == (0, "")
    manifest["spec"]["replicas"] = 3
    other = cluster.try_kubectl("diff", "-n", namespace, "-f", "-", text=json.dumps(manifest))
    assert other.returncode == 1
    assert "+  replicas: 3" in other.stdout


def test_edit_writes_what_the_editor_leaves(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Edit gives the object to an editor and writes the result."""
    cluster.apply(_lws(), "-n", namespace)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/^  replicas: 1$/  replicas: 2/' \"$1\"\n")
    editor.chmod(0o755)
    assert "edited" in cluster.kubectl("edit", "lws/web", "-n", namespace, KUBE_EDITOR=str(editor))
    assert cluster.get("lws", "web", "-n", namespace)["spec"]["replicas"] == 2


def test_scale_goes_through_the_subresource(cluster: Cluster, namespace: str) -> None:
    """Scale changes the replicas of a custom resource, with a precondition if one is given."""
    cluster.apply(_lws(), "-n", namespace)
    told = cluster.refused("scale", "lws/web", "-n", namespace, "--current-replicas=5", "--replicas=2")
    assert "expected replicas to be 5, was 1" in told.lower()
    assert "scaled" in cluster.kubectl("scale", "lws/web", "-n", namespace, "--replicas=2")
    path = "jsonpath={.status.readyReplicas}=2"
    cluster.kubectl("wait", "lws/web", "-n", namespace, f"--for={path}", "--timeout=30s")


@pytest.mark.long
def test_rollouts_of_statefulsets(cluster: Cluster, namespace: str) -> None:
    """Status follows an update, history lists it, undo goes back, restart marks the template."""
    where = ("-n", namespace)
    cluster.apply(_statefulset(), *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    cluster.kubectl("set", "image", "sts/s", "main=app:2", *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    path = "jsonpath={.items[*].spec.containers[0].image}"
    assert cluster.kubectl("get", "pods", *where, "-l", "app=s", "-o", path).split() == ["app:2"] * 2
    numbers = [
        line.split()[0] for line in cluster.kubectl("rollout", "history", "sts/s", *where).splitlines()[2:] if line
    ]
    assert numbers == ["1", "2"]
    cluster.kubectl("rollout", "undo", "sts/s", *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    assert cluster.kubectl("get", "pods", *where, "-l", "app=s", "-o", path).split() == ["app:1"] * 2
    cluster.kubectl("rollout", "restart", "sts/s", *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    template = cluster.get("sts", "s", *where)["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


def test_deployments_come_up_and_roll(cluster: Cluster, namespace: str) -> None:
    """A Deployment gets its ReplicaSet and pods, and follows a change of its image."""
    where = ("-n", namespace)
    cluster.kubectl("create", "deployment", "d", "--image=app:1", "--replicas=3", *where)
    cluster.kubectl("rollout", "status", "deploy/d", *where, "--timeout=30s")
    cluster.kubectl("set", "image", "deploy/d", "app=app:2", *where)
    cluster.kubectl("rollout", "status", "deploy/d", *where, "--timeout=30s")
    assert cluster.kubectl("get", "deploy", "d", *where, "--no-headers").split()[1] == "3/3"
    assert len(cluster.get("rs", *where)["items"]) == 2


@pytest.mark.parametrize("way", ["background", "foreground", "orphan"])
def test_delete_cascades(cluster: Cluster, namespace: str, way: str) -> None:
    """Deletion takes dependents along, waits for them, or leaves them, as it is told."""
    where = ("-n", namespace)
    cluster.apply(_statefulset(1), *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    cluster.kubectl("delete", "sts/s", *where, f"--cascade={way}", "--timeout=30s")
    if way == "orphan":
        assert "ownerReferences" not in cluster.get("pod", "s-0", *where)["metadata"]
    elif way == "foreground":
        assert "NotFound" in cluster.refused("get", "pod", "s-0", *where)
    else:
        cluster.kubectl("wait", "pod/s-0", *where, "--for=delete", "--timeout=30s")


def test_deleting_a_set_takes_everything_along(cluster: Cluster, namespace: str) -> None:
    """Sets, services, revisions and pods of a LeaderWorkerSet are gone after it."""
    where = ("-n", namespace)
    cluster.apply(_lws(), *where)
    _available(cluster, namespace)
    cluster.kubectl("delete", "lws/web", *where, "--cascade=foreground", "--timeout=30s")
    left = cluster.kubectl("get", "sts,pods,svc,controllerrevisions", *where, "-o", "name")
    assert left == ""


@pytest.mark.long
def test_deleting_a_namespace_takes_its_content_along(cluster: Cluster, namespace: str) -> None:
    """A namespace goes when all that is in it has gone."""
    cluster.apply(_lws(), "-n", namespace)
    cluster.kubectl("delete", "namespace", namespace, "--timeout=60s")
    assert "NotFound" in cluster.refused("get", "namespace", namespace)


def test_label_annotate_and_patch(cluster: Cluster, namespace: str) -> None:
    """Labels, annotations and the three kinds of patch change what they name."""
    where = ("-n", namespace)
    cluster.apply(_statefulset(0), *where)
    cluster.kubectl("label", "sts/s", "a=1", *where)
    assert "already has a value" in cluster.refused("label", "sts/s", "a=2", *where)
    cluster.kubectl("annotate", "sts/s", "note=x", *where)
    cluster.kubectl(
        "patch", "sts/s", *where, "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"b"}]}}}}'
    )
    cluster.kubectl("patch", "sts/s", *where, "--type=merge", "-p", '{"metadata":{"labels":{"a":null}}}')
    operations = '[{"op":"replace","path":"/spec/replicas","value":1}]'
    cluster.kubectl("patch", "sts/s", *where, "--type=json", "-p", operations)
    live = cluster.get("sts", "s", *where)
    assert live["metadata"].get("labels") is None
    assert live["metadata"]["annotations"]["note"] == "x"
    assert [item["name"] for item in live["spec"]["template"]["spec"]["containers"]] == ["b", "main"]
    assert live["spec"]["replicas"] == 1


def test_describe_and_events_tell_the_story(cluster: Cluster) -> None:
    """Describe shows spec, conditions and events; events lists those of the controllers."""
    told = cluster.kubectl("describe", "lws", "vllm", "-n", "default")
    assert "CreatingRevision" in told
    assert "AllGroupsReady" in told
    node = cluster.kubectl("describe", "node", "node-0")
    assert "nvidia.com/gpu" in node
    assert "Lease:" in node
    pod = cluster.kubectl("describe", "pod", "vllm-0", "-n", "default")
    assert "Successfully assigned default/vllm-0 to" in pod
    assert "Controlled By:  StatefulSet/vllm" in pod
    events = cluster.kubectl("events", "-n", "default", "--for=statefulset/vllm")
    assert "Create Pod vllm-0 in StatefulSet vllm successful" in events


def test_pods_that_find_no_node_say_why(cluster: Cluster, namespace: str) -> None:
    """A pod that asks for too much waits, with the scheduler's reasons as condition and event."""
    manifest = _statefulset(1)
    limits = {"limits": {"nvidia.com/gpu": "64"}}
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = limits
    cluster.apply(manifest, "-n", namespace)
    path = 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}=Unschedulable'
    cluster.kubectl("wait", "pod/s-0", "-n", namespace, "--for=create", "--timeout=30s")
    cluster.kubectl("wait", "pod/s-0", "-n", namespace, f"--for={path}", "--timeout=30s")
    told = cluster.kubectl("describe", "pod", "s-0", "-n", namespace)
    assert "0/8 nodes are available: 8 Insufficient nvidia.com/gpu." in told
    assert "FailedScheduling" in told


def test_questions_of_rights_and_schema(cluster: Cluster) -> None:
    """Auth can-i, whoami, explain and api-resources answer."""
    assert cluster.kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    nobody = cluster.try_kubectl("auth", "can-i", "create", "pods", "--as=nobody")
    assert (nobody.returncode, nobody.stdout.strip()) == (1, "no")
    assert "kubernetes-admin" in cluster.kubectl("auth", "whoami")
    assert "leaderWorkerTemplate" in cluster.kubectl("explain", "lws.spec")
    assert "leaderworkersets" in cluster.kubectl("api-resources", "--api-group=leaderworkerset.x-k8s.io")


def test_lists_and_the_older_schema_work_without_switches(cluster: Cluster, namespace: str) -> None:
    """A List is applied, bad members of its items are found, and the older schema explains: all by OpenAPI v2."""
    shop = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"a": "b"}}
    many: JSON = {"apiVersion": "v1", "kind": "List", "items": [shop, _lws()]}
    dry = cluster.apply(many, "-n", namespace, "--dry-run=client")
    assert dry.splitlines() == [
        "configmap/shop created (dry run)",
        "leaderworkerset.leaderworkerset.x-k8s.io/web created (dry run)",
    ]
    told = cluster.apply(many, "-n", namespace)
    assert told.splitlines() == ["configmap/shop created", "leaderworkerset.leaderworkerset.x-k8s.io/web created"]
    shop["dat"] = {}
    refused = cluster.refused("apply", "-n", namespace, "-f", "-", text=json.dumps(many))
    assert 'unknown field "dat" in io.k8s.api.core.v1.ConfigMap' in refused
    for what, expected in (("lws.spec.startupPolicy", "startupPolicy"), ("pods.spec.nodeName", "nodeName")):
        assert expected in cluster.kubectl("explain", what, "--output=plaintext-openapiv2")


def test_bad_manifests_get_the_rules_words(cluster: Cluster, namespace: str) -> None:
    """What breaks a rule of the schema or of admission is refused with that rule's message."""
    where = ("-n", namespace, "-f", "-")
    bad = _lws(template={"subGroupPolicy": {"subGroupSize": 3}})
    told = cluster.refused("apply", *where, text=json.dumps(bad))
    assert "size or size - 1 must be divisible by subGroupSize" in told
    bad = _lws(startupPolicy="Sometimes")
    told = cluster.refused("apply", *where, text=json.dumps(bad))
    assert 'Unsupported value: "Sometimes": supported values: "LeaderCreated", "LeaderReady"' in told
    bad = _lws(sizes=3)
    assert 'unknown field "spec.sizes"' in cluster.refused("apply", *where, text=json.dumps(bad))
    assert "nothing" not in cluster.kubectl("get", "lws", "-n", namespace)


def _wait_for_successor(cluster: Cluster, pod: str, where: tuple[str, ...], condition: str) -> None:
    """Wait for a pod that may be replaced meanwhile; kubectl gives up on one that is gone in between."""
    for _ in range(5):
        cluster.kubectl("wait", pod, *where, "--for=create", "--timeout=30s")
        if cluster.try_kubectl("wait", pod, *where, f"--for={condition}", "--timeout=10s").returncode == 0:
            return
    pytest.fail(f"{pod} never came to {condition}")


@pytest.mark.long
def test_nodes_are_cordoned_drained_and_tainted(cluster: Cluster, namespace: str) -> None:
    """Drain evicts the pods of a node, which come back elsewhere; cordon, uncordon and taint keep new ones away."""
    where = ("-n", namespace)
    manifest = _statefulset(1)
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "tpu-3"}
    cluster.apply(manifest, *where)
    cluster.kubectl("rollout", "status", "sts/s", *where, "--timeout=30s")
    before = cluster.get("pod", "s-0", *where)["metadata"]["uid"]
    told = cluster.kubectl("drain", "tpu-3", "--force", "--ignore-daemonsets", "--timeout=30s")
    assert "drained" in told
    path = 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].status}=False'
    _wait_for_successor(cluster, "pod/s-0", where, path)
    assert cluster.get("pod", "s-0", *where)["metadata"]["uid"] != before
    cluster.kubectl("uncordon", "tpu-3")
    _wait_for_successor(cluster, "pod/s-0", where, "condition=Ready")
    cluster.kubectl("taint", "node", "tpu-3", "maintenance=soon:NoExecute")
    _wait_for_successor(cluster, "pod/s-0", where, path)
    cluster.kubectl("taint", "node", "tpu-3", "maintenance-")
    _wait_for_successor(cluster, "pod/s-0", where, "condition=Ready")


def test_top_shows_what_pods_and_nodes_seem_to_use(cluster: Cluster) -> None:
    """`kubectl top` answers for nodes, for pods and for their containers."""
    nodes = cluster.kubectl("top", "nodes").splitlines()
    assert nodes[0].split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert len(nodes) == 1 + 8
    pods = cluster.kubectl("top", "pods", "-n", "default", "-l", f"{NAME}=vllm", "--containers", "--no-headers")
    assert {line.split()[0] for line in pods.splitlines()} == {"vllm-0", "vllm-0-1", "vllm-1", "vllm-1-1"}
    assert "NotFound" in cluster.refused("top", "pod", "nosuch", "-n", "default")


def test_every_namespace_has_its_account_and_the_authority(cluster: Cluster, namespace: str) -> None:
    """A new namespace gets ServiceAccount `default` and ConfigMap `kube-root-ca.crt`."""
    cluster.kubectl("wait", "serviceaccount/default", "-n", namespace, "--for=create", "--timeout=30s")
    cluster.kubectl("wait", "configmap/kube-root-ca.crt", "-n", namespace, "--for=create", "--timeout=30s")
    assert "BEGIN CERTIFICATE" in cluster.get("configmap", "kube-root-ca.crt", "-n", namespace)["data"]["ca.crt"]

"""Pods: defaults, admission, rules, changes, tables."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.kinds.written import NOW, changed, container, context, created, made, pod, refused, strategy

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.defaulting import pull_policy
from lws_sandbox.kinds.resources import qos_class
from lws_sandbox.status import StatusError

PODS = strategy("pods")


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("host:5000/x", "Always"),
        ("host:5000/x:2", "IfNotPresent"),
        (f"x@{DIGEST}", "IfNotPresent"),
        (f"x:latest@{DIGEST}", "Always"),
        ("x:latest@sha256:00", "IfNotPresent"),
        ("UPPER", "IfNotPresent"),
        ("x:latest!", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    """An image without a tag or with the tag latest is always pulled; a name that cannot be read is not."""
    assert pull_policy(image) == policy


def test_volumes_have_their_defaults() -> None:
    """A volume without a source is an empty directory; modes, types and lifetimes are filled in."""
    volumes = [
        {"name": "a"},
        {"name": "b", "hostPath": {"path": "/h"}},
        {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "d", "iscsi": {"iqn": "i", "lun": 0, "targetPortal": "p"}},
    ]
    found = {volume["name"]: volume for volume in made(PODS, pod(volumes=volumes))["spec"]["volumes"]}
    assert found["a"]["emptyDir"] == {}
    assert found["b"]["hostPath"] == {"path": "/h", "type": ""}
    assert found["c"]["projected"] == {
        "defaultMode": 420,
        "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
    }
    assert found["d"]["iscsi"]["iscsiInterface"] == "default"


def test_limits_become_requests_and_amounts_are_rounded_up() -> None:
    """A limit without a request is requested; finer amounts than a thousandth are rounded up."""
    wanted = {"limits": {"cpu": "0.0001", "example.com/gpu": "2"}, "requests": {"memory": "1024Mi"}}
    new = made(PODS, {"spec": {"containers": [container(resources=wanted)]}})
    assert new["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1m", "example.com/gpu": "2"},
        "requests": {"cpu": "1m", "example.com/gpu": "2", "memory": "1Gi"},
    }


def test_the_old_name_of_the_service_account_says_the_same() -> None:
    """Both names are served, and serviceAccountName counts."""
    new = made(PODS, pod(serviceAccount="old"))
    assert (new["spec"]["serviceAccountName"], new["spec"]["serviceAccount"]) == ("old", "old")
    new = made(PODS, pod(serviceAccount="old", serviceAccountName="new"))
    assert (new["spec"]["serviceAccountName"], new["spec"]["serviceAccount"]) == ("new", "new")


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"example.com/gpu": "1"}}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[JSON], expected: str) -> None:
    """Guaranteed needs equal requests and limits of cpu and memory everywhere; other resources do not count."""
    assert qos_class({"containers": [{"resources": wanted} for wanted in containers]}) == expected


def test_gated_pods_say_so() -> None:
    """A pod behind scheduling gates has the condition that tells it."""
    new = made(PODS, pod(schedulingGates=[{"name": "example.org/wait"}]))
    (condition,) = new["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")
    assert PODS.row(new, NOW)[2] == "SchedulingGated"


def test_tolerations_are_added_once() -> None:
    """Every pod tolerates nodes that are not ready or not reachable, unless it says so itself."""
    own = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]
    new = made(PODS, pod(tolerations=own))
    assert [each["key"].rpartition("/")[2] for each in new["spec"]["tolerations"]] == ["not-ready", "unreachable"]
    assert "tolerationSeconds" not in new["spec"]["tolerations"][0]
    everything = made(PODS, pod(tolerations=[{"operator": "Exists"}]))
    assert everything["spec"]["tolerations"] == [{"operator": "Exists"}]


CLASSES = "priorityclasses.scheduling.k8s.io"


def test_priority_comes_from_the_class() -> None:
    """A named class, the system's own, or the global default of least value sets the priority."""
    classes = {
        (CLASSES, "", "high"): {"metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"},
        (CLASSES, "", "base"): {"metadata": {"name": "base"}, "value": 2, "globalDefault": True},
        (CLASSES, "", "other"): {"metadata": {"name": "other"}, "value": 3, "globalDefault": True},
    }
    named = made(PODS, pod(priorityClassName="high"), context(classes))["spec"]
    assert (named["priority"], named["preemptionPolicy"]) == (9, "Never")
    default = made(PODS, pod(), context(classes))["spec"]
    assert (default["priorityClassName"], default["priority"]) == ("base", 2)
    assert made(PODS, pod(priorityClassName="system-cluster-critical"))["spec"]["priority"] == 2000000000


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        ({"priority": 7}, "the integer value of priority (7) must not be provided in pod spec"),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec",
        ),
    ],
)
def test_priority_that_does_not_fit_is_forbidden(spec: JSON, why: str) -> None:
    """An unknown class, or a pod that says something else than its class, is 403."""
    with pytest.raises(StatusError) as caught:
        created(PODS, pod(**spec))
    assert caught.value.code == 403
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({"hostname": "A"}, ["spec.hostname: Invalid value"]),
        ({"subdomain": "a.b"}, ['spec.subdomain: Invalid value: "a.b": must not contain dots']),
        ({"nodeSelector": {"bad key": "v"}}, ['spec.nodeSelector: Invalid value: "bad key"']),
        ({"activeDeadlineSeconds": 0}, ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and"]),
        (
            {"tolerations": [{"key": "k", "operator": "Odd"}]},
            ['spec.tolerations[0].operator: Unsupported value: "Odd": supported values: "Equal", "Exists"'],
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]},
            ["spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
        ),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, ['spec.volumes[1].name: Duplicate value: "v"']),
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}]}}},
            ["spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value"],
        ),
        ({"schedulingGates": [{"name": "g"}], "nodeName": "n"}, ["spec.nodeName: Forbidden: cannot be set until all"]),
        ({"initContainers": [container("main")]}, ['spec.initContainers[0].name: Duplicate value: "main"']),
    ],
)  # fmt: skip
def test_rules_of_the_spec(spec: JSON, texts: list[str]) -> None:
    """Each broken rule is told at its path, in the server's words."""
    found = refused(PODS, pod(**spec))
    for text in texts:
        assert any(each.startswith(text) for each in found), found


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"livenessProbe": {}}, "livenessProbe: Required value: must specify a handler type"),
        ({"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}}, "successThreshold: Invalid value: 2"),
        ({"readinessProbe": {"tcpSocket": {"port": 0}}}, "readinessProbe.tcpSocket.port: Invalid value: 0: must be"),
        ({"readinessProbe": {"httpGet": {"port": "no_port"}}}, "httpGet.port: Invalid value: "),
        ({"resources": {"requests": {"cpu": "-1"}}}, "resources.requests[cpu]: Invalid value: "),
        (
            {"resources": {"requests": {"example.com/gpu": "1"}}},
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        ({"resources": {"limits": {"gpu": "1"}}}, "resources.limits[gpu]: Invalid value: "),
        ({"env": [{"name": "A=B"}]}, "env[0].name: Invalid value: "),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "env[0].valueFrom: Invalid value: "),
        (
            {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
            "securityContext: Invalid value",
        ),
        ({"ports": [{"containerPort": 1, "name": "x"}, {"containerPort": 2, "name": "x"}]}, "ports[1].name: Duplicate"),
    ],
)
def test_rules_of_containers(members: JSON, text: str) -> None:
    """Each broken rule of a container is told at its path."""
    found = refused(PODS, {"spec": {"containers": [container(**members)]}})
    assert any(text in each for each in found), found


def test_a_sound_pod_is_taken() -> None:
    """Probes, lifecycle, mounts, sidecars and affinity as groups of workers use them break no rule."""
    spec: JSON = {
        "containers": [
            container(
                ports=[{"containerPort": 8080, "name": "http"}],
                livenessProbe={"httpGet": {"port": "http"}},
                lifecycle={"preStop": {"exec": {"command": ["stop"]}}},
                volumeMounts=[{"name": "v", "mountPath": "/v"}],
                resources={"limits": {"google.com/tpu": 4}},
            )
        ],
        "initContainers": [container("side", restartPolicy="Always", readinessProbe={"tcpSocket": {"port": 1}})],
        "volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "topologyKey": "rack",
                        "labelSelector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["v"]}]},
                    }
                ]
            }
        },
    }
    made(PODS, {"spec": spec})


FORBIDDEN = "spec: Forbidden: pod updates may not change fields other than"


def test_images_tolerations_and_deadlines_may_change() -> None:
    """These changes of a pod's spec are taken."""
    old = made(PODS, pod())
    assert changed(PODS, old, spec__containers=[container(image="x:2")])[1] == []
    more = [*old["spec"]["tolerations"], {"key": "k", "operator": "Exists"}]
    assert changed(PODS, old, spec__tolerations=more)[1] == []
    assert changed(PODS, old, spec__activeDeadlineSeconds=5)[1] == []


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        ({"spec__hostname": "h"}, '- "Hostname": "",\n+ "Hostname": "h",\n'),
        ({"spec__hostNetwork": True}, '-  "HostNetwork": false,\n+  "HostNetwork": true,\n'),
        ({"spec__nodeSelector": {"a": "b"}}, '- "NodeSelector": null,\n+ "NodeSelector": {\n+  "a": "b"\n+ },\n'),
        ({"spec__terminationGracePeriodSeconds": 5}, '- "TerminationGracePeriodSeconds": 30,\n'),
        ({"spec__containers": [container(args=["<x>"])]}, r'+    "\u003cx\u003e"'),
    ],
)
def test_other_changes_are_shown_as_a_difference(edit: JSON, difference: str) -> None:
    """Any other change is refused, with a diff of the internal types."""
    wrong = changed(PODS, made(PODS, pod()), **edit)[1]
    assert wrong[0].startswith(FORBIDDEN)
    assert difference in wrong[0]


def test_resources_change_through_resize_only() -> None:
    """Through /resize the resources change, nothing else does, and the quality of service stays."""
    old = made(PODS, {"spec": {"containers": [container(resources={"requests": {"cpu": "1"}})]}})
    wanted = [container(image="other", resources={"requests": {"cpu": "2"}})]
    assert changed(PODS, old, spec__containers=wanted)[1][0].startswith(FORBIDDEN)
    new, wrong = changed(PODS, old, context(subresource="resize"), spec__containers=wanted)
    assert wrong == []
    assert new["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}
    assert new["spec"]["containers"][0]["image"] == "registry.example/app:1"
    equal = {"cpu": "1", "memory": "1Gi"}
    guaranteed = [container(resources={"requests": equal, "limits": equal})]
    wrong = changed(PODS, old, context(subresource="resize"), spec__containers=guaranteed)[1]
    assert wrong == ['spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing']


def test_status_writes_keep_spec_owners_and_quality() -> None:
    """Through /status only the status and the rest of the metadata change."""
    old = made(
        PODS, {**pod(), "metadata": {"ownerReferences": [{"kind": "A", "name": "a", "uid": "u", "apiVersion": "v1"}]}}
    )
    new = {
        **old,
        "spec": {},
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "status": {"phase": "Running", "podIP": "1.2.3.4"},
    }
    PODS.prepare_status(new, old, context())
    assert new["spec"] == old["spec"]
    assert new["metadata"]["ownerReferences"] == old["metadata"]["ownerReferences"]
    assert new["metadata"]["labels"] == {"x": "y"}
    assert new["status"] == {
        "phase": "Running",
        "podIP": "1.2.3.4",
        "podIPs": [{"ip": "1.2.3.4"}],
        "qosClass": "BestEffort",
    }


@pytest.mark.parametrize(
    ("spec", "phase", "asked", "seconds"),
    [
        ({}, "Pending", None, 0),
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 5}, "Running", None, 5),
        ({"nodeName": "n"}, "Running", 2, 2),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n", "terminationGracePeriodSeconds": -1}, "Running", None, 1),
        ({"nodeName": "n"}, "Succeeded", None, 0),
    ],
)
def test_grace(spec: JSON, phase: str, asked: int | None, seconds: int) -> None:
    """Grace is what is asked, else what the spec says; none without a node or after the end."""
    new = made(PODS, pod(**spec))
    new["status"]["phase"] = phase
    assert PODS.graceful(new, asked) == seconds


def _state(**members: Any) -> JSON:
    return {"name": "main", "restartCount": 0, "state": {}, **members}


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        ({"phase": "Pending"}, ["0/1", "Pending", "0"]),
        (
            {"phase": "Running", "containerStatuses": [_state(ready=True, state={"running": {}}, restartCount=3)]},
            ["1/1", "Running", "3"],
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    _state(
                        restartCount=1,
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"finishedAt": "2026-03-04T05:05:07Z", "exitCode": 1}},
                    )
                ],
            },
            ["0/1", "CrashLoopBackOff", "1 (60s ago)"],
        ),
        (
            {"phase": "Failed", "containerStatuses": [_state(state={"terminated": {"exitCode": 3}})]},
            ["0/1", "ExitCode:3", "0"],
        ),
        (
            {"phase": "Failed", "containerStatuses": [_state(state={"terminated": {"exitCode": 1, "signal": 9}})]},
            ["0/1", "Signal:9", "0"],
        ),
        ({"phase": "Failed", "reason": "Evicted"}, ["0/1", "Evicted", "0"]),
    ],
)
def test_rows(status: JSON, cells: list[str]) -> None:
    """Ready, status and restarts are shown as kubectl users know them."""
    assert PODS.row({**made(PODS, pod()), "status": status}, NOW)[1:4] == cells


def test_rows_of_pods_that_start_or_end() -> None:
    """Init containers, sidecars and deletion are told in the status."""
    new = made(PODS, pod(initContainers=[container("one"), container("side", restartPolicy="Always")]))
    new["status"] = {"phase": "Pending", "initContainerStatuses": [_state(name="one", state={"running": {}})]}
    assert PODS.row(new, NOW)[1:3] == ["0/2", "Init:0/2"]
    new["status"]["initContainerStatuses"][0]["state"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    assert PODS.row(new, NOW)[2] == "Init:Error"
    new["metadata"]["deletionTimestamp"] = "2026-03-04T05:06:07Z"
    assert PODS.row(new, NOW)[2] == "Terminating"
    done = {**new, "status": {"phase": "Succeeded"}}
    assert [each["reason"] for each in PODS.row_conditions(done)] == ["Succeeded"]
    assert PODS.row_conditions(new) == []


def test_fields_to_select_by() -> None:
    """Pods are selected by node, phase, policy, scheduler, account and address."""
    new = made(PODS, pod(nodeName="n", hostNetwork=True))
    fields = PODS.selectable_fields(new)
    assert (fields["spec.nodeName"], fields["status.phase"], fields["spec.hostNetwork"]) == ("n", "Pending", "true")
    assert set(fields) == PODS.selectable


def test_a_container_that_ended_for_good_stays_ended() -> None:
    """Where pods are not restarted, a terminated container does not run again."""
    old = made(PODS, pod(restartPolicy="Never"))
    old["status"]["containerStatuses"] = [_state(state={"terminated": {"exitCode": 0}})]
    new = {**old, "status": {**old["status"], "containerStatuses": [_state(state={"running": {}})]}}
    wrong = [cause.text for cause in PODS.validate_status(new, old, context())]
    assert wrong == ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    always = {**old, "spec": {**old["spec"], "restartPolicy": "Always"}}
    assert PODS.validate_status({**new, "spec": always["spec"]}, always, context()) == []

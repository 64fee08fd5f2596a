"""Services, namespaces, nodes, claims, events, autoscalers, budgets, roles, webhooks and the small kinds."""

from __future__ import annotations

import pytest
from sandbox.tests.kinds.written import (
    NOW,
    canonical,
    changed,
    container,
    context,
    created,
    made,
    pod,
    refused,
    strategy,
    workload,
)

from lws.apimachinery.manifests import JSON
from lws_sandbox.status import StatusError

SERVICES = strategy("services")
NODES = strategy("nodes")
NAMESPACES = strategy("namespaces")
CLAIMS = strategy("persistentvolumeclaims")
CORE_EVENTS = strategy("events")
NEW_EVENTS = strategy("events", "events.k8s.io")


def service(**spec: object) -> JSON:
    """A service with one port."""
    return {"spec": {"selector": {"app": "a"}, "ports": [{"port": 80}], **spec}}


def test_addresses_are_given_out_once() -> None:
    """Every service with an address has its own, and one that is deleted is free again."""
    kind, where = strategy("services"), context()
    seen = set()
    for _ in range(50):
        new = made(kind, service(), where)
        kind.stored(new, None)
        seen.add(new["spec"]["clusterIP"])
    assert len(seen) == 50
    taken = {"clusterIP": new["spec"]["clusterIP"]}
    assert refused(kind, service(**taken))[0].endswith("provided IP is already allocated")
    kind.stored(None, new)
    assert refused(kind, service(**taken)) == []


def test_headless_services_have_no_address() -> None:
    """None is an address that is never given out."""
    spec = made(SERVICES, service(clusterIP="None"))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ipFamilies"]) == ("None", ["None"], ["IPv4"])
    bare = made(SERVICES, {"spec": {"clusterIP": "None"}})["spec"]
    assert (bare["ipFamilyPolicy"], bare["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])


def test_node_ports_are_given_out_and_kept() -> None:
    """A node port is chosen from its range, and an update that leaves it out keeps it."""
    old = made(SERVICES, service(type="NodePort"))
    port = old["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port < 32768
    new, wrong = changed(SERVICES, old, spec__ports=[{"port": 80}])
    assert wrong == []
    assert new["spec"]["ports"][0]["nodePort"] == port
    assert old["spec"]["externalTrafficPolicy"] == "Cluster"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"type": "ExternalName", "ports": []}, "spec.externalName: Required value"),
        ({"type": "NodePort", "clusterIP": "None"}, 'spec.clusterIPs[0]: Invalid value: "None": may not be set to'),
        ({"sessionAffinity": "Odd"}, 'spec.sessionAffinity: Unsupported value: "Odd"'),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, "spec.ports[1]: Duplicate value: "),
    ],
)
def test_rules_of_services(spec: JSON, text: str) -> None:
    """Each broken rule is told at its path."""
    found = refused(SERVICES, service(**spec))
    assert any(each.startswith(text) for each in found), found


def test_namespaces_are_told_by_their_label() -> None:
    """The label says the name whatever was sent; finalizers and status have their own doors."""
    old = made(NAMESPACES, {"metadata": {"labels": {"kubernetes.io/metadata.name": "lie"}}})
    assert old["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert (old["spec"], old["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    new, wrong = changed(NAMESPACES, old, spec__finalizers=[], status__phase="Terminating")
    assert wrong == []
    assert (new["spec"], new["status"]) == (old["spec"], old["status"])


def test_nodes_begin_tainted_and_keep_their_status() -> None:
    """A new node is not ready; what it can hold is allocatable."""
    node = made(NODES, {"status": {"capacity": {"cpu": "8", "nvidia.com/gpu": "4"}}})
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert node["status"]["allocatable"] == node["status"]["capacity"]
    assert NODES.row(node, NOW)[1:3] == ["Unknown", "<none>"]


def test_nodes_in_tables() -> None:
    """Readiness, cordons and roles are shown."""
    node = made(NODES, {"metadata": {"labels": {"node-role.kubernetes.io/gpu": ""}}, "spec": {"unschedulable": True}})
    node["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert NODES.row(node, NOW)[1:3] == ["NotReady,SchedulingDisabled", "gpu"]


@pytest.mark.parametrize(
    ("taint", "text"),
    [
        ({"key": "a"}, "metadata.taints[0].effect: Required value"),
        ({"key": "a", "effect": "Odd"}, 'metadata.taints[0].effect: Unsupported value: "Odd"'),
        ({"key": "a b", "effect": "NoSchedule"}, "metadata.taints[0].key: Invalid value"),
    ],
)
def test_taints_are_checked(taint: JSON, text: str) -> None:
    """Key, value and effect of a taint are sound."""
    assert refused(NODES, {"spec": {"taints": [taint]}})[0].startswith(text)


def claim(**spec: object) -> JSON:
    """A claim."""
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}}


def test_claims_get_the_default_class_and_their_protection() -> None:
    """The newest default storage class is taken, and the finalizer protects the claim."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    classes: dict[tuple[str, str, str], JSON] = {
        ("storageclasses.storage.k8s.io", "", name): {
            "metadata": {"name": name, "annotations": annotations, "creationTimestamp": f"2026-01-0{day}T00:00:00Z"}
        }
        for day, name in ((1, "old"), (2, "new"))
    }
    new = made(CLAIMS, claim(), context(classes))
    assert new["spec"]["storageClassName"] == "new"
    assert new["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert made(CLAIMS, claim(storageClassName=""), context(classes))["spec"]["storageClassName"] == ""


def test_claims_hardly_change() -> None:
    """A volume may be named once and the request may grow; the rest stays."""
    old = made(CLAIMS, claim())
    bound, wrong = changed(CLAIMS, old, spec__volumeName="v")
    assert wrong == []
    assert changed(CLAIMS, bound, spec__resources={"requests": {"storage": "2Gi"}})[1] == []
    assert changed(CLAIMS, bound, spec__resources={"requests": {"storage": "1Mi"}})[1] != []
    assert changed(CLAIMS, bound, spec__volumeName="w")[1][0].startswith("spec: Forbidden: spec is immutable")
    assert changed(CLAIMS, bound, spec__accessModes=["ReadWriteMany"])[1][0].startswith("spec: Forbidden")


EVENT = {
    "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    "eventTime": "2026-03-04T05:05:07.000000Z",
    "reason": "Scaled",
    "note": "text",
    "type": "Normal",
    "action": "Scaling",
    "reportingController": "example.org/c",
    "reportingInstance": "c-0",
}


def test_events_read_in_both_forms() -> None:
    """What is written in one group reads in the other, and comes back the same."""
    new = made(NEW_EVENTS, EVENT)
    stored = NEW_EVENTS.write(new)
    assert (stored["apiVersion"], stored["message"], stored["reportingComponent"]) == ("v1", "text", "example.org/c")
    assert CORE_EVENTS.read(stored) == stored
    assert NEW_EVENTS.read(stored) == canonical(NEW_EVENTS, new)
    for kind, about in ((CORE_EVENTS, "involvedObject"), (NEW_EVENTS, "regarding")):
        shown = kind.read(stored)
        assert kind.selectable_fields(shown)[f"{about}.name"] == "p"
        assert kind.row(shown, NOW)[:4] == ["60s", "Normal", "Scaled", "pod/p"]


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"eventTime": None}, "eventTime: Required value"),
        ({"action": ""}, "action: Required value"),
        ({"reportingController": ""}, "reportingController: Required value"),
        ({"reportingInstance": "i" * 129}, 'reportingInstance: Invalid value: "": can have at most 128 characters'),
        ({"note": "n" * 1025}, 'message: Invalid value: "": can have at most 1024 characters'),
        ({"type": "Odd"}, 'type: Invalid value: "": has invalid value: Odd'),
        ({"deprecatedCount": 2}, 'count: Invalid value: "": needs to be unset'),
        (
            {"series": {"count": 1, "lastObservedTime": EVENT["eventTime"]}},
            'series.count: Invalid value: "": should be',
        ),
    ],
)
def test_rules_of_events(edit: JSON, text: str) -> None:
    """An event of the newer group says who did what, when, and briefly."""
    found = refused(NEW_EVENTS, {**EVENT, **edit})
    assert any(each.startswith(text) for each in found), found


def test_events_of_the_newer_group_only_grow_in_series() -> None:
    """The series may change, the note may not."""
    old = made(NEW_EVENTS, EVENT)
    series = {"count": 3, "lastObservedTime": "2026-03-04T05:06:07.000001Z"}
    assert changed(NEW_EVENTS, old, series=series)[1] == []
    assert changed(NEW_EVENTS, old, note="other")[1] == ['message: Invalid value: "other": field is immutable']


def test_autoscalers_read_in_both_versions() -> None:
    """A target of version 1 is a cpu metric of version 2, and back."""
    first, second = (strategy("horizontalpodautoscalers", "autoscaling", version) for version in ("v1", "v2"))
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "a"}, "maxReplicas": 5}
    new = made(first, {"spec": {**spec, "targetCPUUtilizationPercentage": 60}})
    stored = first.write(new)
    assert stored["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    ]
    assert first.read(stored)["spec"]["targetCPUUtilizationPercentage"] == 60
    assert second.row(stored, NOW)[1:5] == ["StatefulSet/a", "cpu: <unknown>/60%", "1", 5]
    default = made(second, {"spec": spec})["spec"]
    assert default["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert refused(second, {"spec": {**spec, "minReplicas": 9}}) == [
        "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"
    ]


def test_secrets_take_text_and_keep_their_type() -> None:
    """StringData becomes data and wins; the type never changes, and asks for its keys."""
    kind = strategy("secrets")
    old = made(kind, {"data": {"a": "eA=="}, "stringData": {"a": "y", "b": "z"}})
    assert (old["data"], old["type"]) == ({"a": "eQ==", "b": "eg=="}, "Opaque")
    assert changed(kind, old, type="")[1] == []
    assert changed(kind, old, type="example.org/x")[1] == ['type: Invalid value: "example.org/x": field is immutable']
    assert refused(kind, {"type": "kubernetes.io/ssh-auth"}) == ["data[ssh-privatekey]: Required value"]


def test_immutable_config_stays() -> None:
    """An immutable ConfigMap changes neither data nor its mind."""
    kind = strategy("configmaps")
    old = made(kind, {"data": {"a": "b"}, "immutable": True})
    why = "Forbidden: field is immutable when `immutable` is set"
    assert changed(kind, old, immutable=False, data={"a": "c"})[1] == [f"immutable: {why}", f"data: {why}"]
    assert changed(kind, old, metadata__labels={"x": "y"})[1] == []


def test_leases_are_created_by_put_but_never_blindly() -> None:
    """A lease is what leader election writes."""
    kind = strategy("leases", "coordination.k8s.io")
    assert kind.create_on_update
    assert not kind.unconditional_update


def test_budgets_have_one_bound() -> None:
    """Both bounds at once are refused, and a new budget allows nothing."""
    kind = strategy("poddisruptionbudgets", "policy")
    assert made(kind, {"spec": {"minAvailable": "50%"}})["status"]["disruptionsAllowed"] == 0
    assert refused(kind, {"spec": {"minAvailable": "500%"}}) == [
        'spec.minAvailable: Invalid value: "500%": must not be greater than 100%'
    ]


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"value": 1000000001}, "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
        ({"value": 1, "preemptionPolicy": "Odd"}, 'preemptionPolicy: Unsupported value: "Odd"'),
        ({"metadata": {"name": "system-x"}, "value": 1}, "metadata.name: Forbidden: priority class names with"),
    ],
)
def test_rules_of_priority_classes(obj: JSON, text: str) -> None:
    """Users' classes stay below a billion and leave the system's names alone."""
    assert refused(strategy("priorityclasses", "scheduling.k8s.io"), obj)[0].startswith(text)


def test_roles_and_bindings() -> None:
    """A namespaced role grants no URLs; a cluster binding names a cluster role and where its accounts live."""
    rules = [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    roles = strategy("roles", "rbac.authorization.k8s.io")
    assert refused(roles, {"rules": rules})[0].endswith("namespaced rules cannot apply to non-resource URLs")
    assert refused(strategy("clusterroles", "rbac.authorization.k8s.io"), {"rules": rules}) == []
    bindings = strategy("clusterrolebindings", "rbac.authorization.k8s.io")
    obj = {"roleRef": {"kind": "ClusterRole", "name": "a"}, "subjects": [{"kind": "User", "name": "u"}]}
    new = made(bindings, obj)
    assert new["subjects"][0]["apiGroup"] == new["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert refused(bindings, {**obj, "subjects": [{"kind": "ServiceAccount", "name": "s"}]}) == [
        "subjects[0].namespace: Required value"
    ]


def test_webhook_configurations_have_their_defaults() -> None:
    """Failure, match and reinvocation policies, selectors, timeouts, scopes and ports are filled in."""
    hook = {
        "name": "a.example.org",
        "clientConfig": {"service": {"name": "s", "namespace": "n"}},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = strategy("mutatingwebhookconfigurations", "admissionregistration.k8s.io")
    (new,) = made(kind, {"webhooks": [hook]})["webhooks"]
    assert new["clientConfig"]["service"]["port"] == 443
    assert new["rules"][0]["scope"] == "*"
    members = ("failurePolicy", "matchPolicy", "reinvocationPolicy", "timeoutSeconds", "namespaceSelector")
    assert [new[member] for member in members] == ["Fail", "Equivalent", "Never", 10, {}]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"sideEffects": ""}, "sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        ({"sideEffects": "Some"}, 'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
        ({"matchConditions": [{"name": "a", "expression": " "}]}, "matchConditions[0].expression: Required value"),
        (
            {"matchConditions": [{"name": "a", "expression": "object."}]},
            (
                'matchConditions[0].expression: Invalid value: "object.": compilation failed: ERROR: <input>:1:8: '
                "Syntax error: no viable alternative at input '.'\n | object.\n | .......^"
            ),
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "request.x == 1"}]},
            (
                'matchConditions[0].expression: Invalid value: "request.x == 1": compilation failed: '
                "ERROR: <input>:1:8: undefined field 'x'\n | request.x == 1\n | .......^"
            ),
        ),
        ({"matchConditions": [{"name": "a", "expression": "request.userInfo.username != object.x"}]}, None),
    ],
)
def test_webhooks_say_what_they_do_and_when(members: JSON, text: str | None) -> None:
    """Side effects are told, and conditions compile."""
    hook = {
        "name": "a.example.org",
        "clientConfig": {"url": "https://a.example.org"},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **members,
    }
    kind = strategy("validatingwebhookconfigurations", "admissionregistration.k8s.io")
    assert refused(kind, {"webhooks": [hook]}) == ([f"webhooks[0].{text}"] if text else [])


def _levels(**levels: str) -> JSON:
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()}
    return {"metadata": {"name": "default", "labels": labels}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"hostNetwork": True}, "host namespaces (hostNetwork=true)"),
        ({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "h")'),
        (
            {"containers": [container(ports=[{"containerPort": 1, "hostPort": 1}])]},
            'hostPort (container "main" uses hostPort 1)',
        ),
        (
            {"containers": [container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})]},
            'non-default capabilities (container "main" must not include "SYS_ADMIN" in securityContext.capabilities',
        ),
    ],
)
def test_baseline_pod_security(spec: JSON, text: str) -> None:
    """A namespace that enforces the baseline refuses pods that reach for their host."""
    where = context({("namespaces", "", "default"): _levels(enforce="baseline")})
    pods = strategy("pods")
    new, wrong = created(pods, pod(**spec), where)
    assert wrong == []
    with pytest.raises(StatusError) as caught:
        pods.admit_final(new, None, where)
    assert text in caught.value.message
    assert pods.admit_final(new, None, context()) == []


def test_templates_are_only_warned_of() -> None:
    """A workload whose pods would be refused is taken with a warning, once for each change of its template."""
    where = context({("namespaces", "", "default"): _levels(enforce="baseline", warn="baseline")})
    kind = strategy("statefulsets", "apps")
    template = {"metadata": {"labels": {"app": "a"}}, **pod(hostPID=True)}
    new = made(kind, workload(template=template), where)
    (warning,) = kind.admit_final(new, None, where)
    assert warning == 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'
    assert kind.admit_final(new, new, where) == []

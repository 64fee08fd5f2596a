"""What we install is valid, restricted, the same by both tools, and the reference's where clients look."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from lws.apimachinery.manifests import JSON
from lws.clock import SystemClock
from lws.manager.metrics_certificate import MetricsCertificate
from lws.manager.policies import PoliciesFile
from lws.manager.settings import Configuration, Settings
from tests.manifests.render import CHART_VALUES, DISAGGREGATED, OVERLAYS, Objects, chart, kustomize, pod_spec

KUBERNETES = "1.36.0"
OTHERS_KINDS = {"Certificate", "Issuer", "ServiceMonitor", "PrometheusRule"}
OWNER_LABELS = ("helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
EXPLICIT = {"Namespace"}  # Helm creates the namespace on request, not from the chart

RENDERS = {
    **{f"kustomize {overlay}": functools.partial(kustomize, overlay) for overlay in OVERLAYS},
    **{f"helm {name}": functools.partial(chart, *values) for name, values in CHART_VALUES.items()},
}
RENDERINGS = [pytest.param(render, id=name) for name, render in RENDERS.items()]
Render = functools.partial[Objects]


@pytest.mark.long
def test_objects_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rendered object of a built-in kind is valid by the published schemas, without an unknown field."""
    # The validator reads its schemas anew for each object, and most renderings share most objects.
    monkeypatch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    rendered = {json.dumps(each): each for render in RENDERS.values() for each in render().values()}
    for manifest in rendered.values():
        kind = manifest["kind"]
        if kind not in OTHERS_KINDS:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=kind != "CustomResourceDefinition")


@pytest.mark.parametrize("render", RENDERINGS)
def test_pods_fit_pod_security_restricted(render: Render) -> None:
    """The controller's pod meets every control of the Pod Security level `restricted`."""
    spec = pod_spec(render())
    assert not any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all({"configMap", "emptyDir", "secret", "projected"} & volume.keys() for volume in spec["volumes"])
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert not any("hostPort" in port for port in container["ports"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_chart_and_kustomize_render_equivalent_objects(overlay: str) -> None:
    """The chart and the overlay yield the same objects, but for the labels by which Helm knows its own."""
    ours = {key: _comparable(obj) for key, obj in kustomize(overlay).items() if key[0] not in EXPLICIT}
    theirs = {key: _comparable(obj) for key, obj in chart(*CHART_VALUES[overlay]).items()}
    assert theirs.keys() == ours.keys()
    for key, expected in ours.items():
        assert theirs[key] == expected, key


@pytest.mark.long
@pytest.mark.parametrize("values", CHART_VALUES.values(), ids=CHART_VALUES)
def test_helm_4_renders_what_helm_3_does(values: tuple[str, ...]) -> None:
    """Whichever of the two a user has, the same objects are installed."""
    assert chart(*values, helm="helm4") == chart(*values)


def _comparable(manifest: JSON) -> JSON:
    """The object without what only one of the tools writes, its configuration file parsed."""
    result = copy.deepcopy(manifest)
    result["metadata"].get("annotations", {}).pop("helm.sh/resource-policy", None)
    _drop_labels(result["metadata"])
    if result["kind"] == "Deployment":
        template = result["spec"]["template"]
        template["metadata"]["annotations"].pop("checksum/config", None)
        container = template["spec"]["containers"][0]
        container.pop("imagePullPolicy", None)
        container["volumeMounts"].sort(key=lambda mount: str(mount["name"]))
        template["spec"]["volumes"].sort(key=lambda volume: str(volume["name"]))
    if result["kind"] == "ConfigMap" and "controller_manager_config.yaml" in result["data"]:
        result["data"] = yaml.safe_load(result["data"]["controller_manager_config.yaml"])
    if result["kind"] == "ConfigMap" and "policies.yaml" in result["data"]:
        result["data"] = PoliciesFile.model_validate(yaml.safe_load(result["data"]["policies.yaml"]))
    if result["kind"] in ("Role", "ClusterRole"):
        result["rules"] = sorted(json.dumps(rule, sort_keys=True) for rule in result["rules"])
    if not result["metadata"].get("annotations"):
        result["metadata"].pop("annotations", None)
    return result


def _drop_labels(metadata: JSON) -> None:
    for label in OWNER_LABELS:
        metadata.get("labels", {}).pop(label, None)


def test_the_crds_survive_uninstallation() -> None:
    """Helm keeps the CustomResourceDefinitions, and with them every workload, when the release is uninstalled."""
    crds = [obj for (kind, _), obj in chart().items() if kind == "CustomResourceDefinition"]
    assert len(crds) == 3
    assert {crd["metadata"]["annotations"]["helm.sh/resource-policy"] for crd in crds} == {"keep"}


def test_what_enables_disaggregatedsets() -> None:
    """Definitions and the controller's rights always come; the webhook and roles for people are asked for."""
    without, beside = chart(), chart(DISAGGREGATED)
    roles = {("ClusterRole", f"lws-disaggregatedset-{name}-role") for name in ("admin", "editor", "viewer")}
    assert beside.keys() - without.keys() == roles
    configuration = ("ValidatingWebhookConfiguration", "lws-validating-webhook-configuration")
    hooks, fewer = ({hook["name"] for hook in found[configuration]["webhooks"]} for found in (beside, without))
    assert hooks - fewer == {"vdisaggregatedset.kb.io"}
    assert without["ClusterRole", "lws-manager-role"] == beside["ClusterRole", "lws-manager-role"]


def test_the_references_values_are_accepted() -> None:
    """Every value of the reference chart is taken, and those that shape the pod arrive there."""
    values = (
        *("nameOverride=lws", "fullnameOverride=lws", "enablePrometheus=false", "enableCertManager=false"),
        *("enableDisaggregatedSet=false", "replicaCount=3", "imagePullSecrets[0].name=pull", "priorityClassName=high"),
        *("image.manager.repository=r/lws", "image.manager.tag=t", "image.manager.pullPolicy=Always"),
        *("podAnnotations.a=b", "service.type=ClusterIP", "service.port=9443", "nodeSelector.zone=a"),
        *("resources.requests.cpu=1", "tolerations[0].operator=Exists", "podSecurityContext.runAsNonRoot=true"),
    )
    objects = chart(*values)
    deployment, spec = objects["Deployment", "lws-controller-manager"], pod_spec(objects)
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["metadata"]["annotations"]["a"] == "b"
    assert spec["containers"][0]["image"] == "r/lws:t"
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["priorityClassName"] == "high"
    assert spec["nodeSelector"] == {"zone": "a"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["containers"][0]["resources"]["requests"]["cpu"] == 1


NESTED = ("crds", "prometheus", "service", "image", "gangSchedulingManagement", "podAnnotations", "replicaCount")
LONGEST_RELEASE = "a" * 53  # Helm's own limit


@pytest.mark.long
@pytest.mark.parametrize("render", [*NESTED, "all"])
def test_values_that_an_earlier_release_does_not_have_take_their_defaults(render: str) -> None:
    """With --reuse-values each section can be missing; what is rendered is what the defaults render."""
    missing = [name for name in NESTED if render in (name, "all")]
    switches = ("enablePrometheus=true", "enableNetworkPolicy=true")
    assert chart(*switches, *(f"{name}=null" for name in missing)) == chart(*switches)


def test_the_webhooks_port_is_one_everywhere() -> None:
    """Another port in the values is that of container, Service, NetworkPolicy and configuration."""
    objects = chart("service.port=10250", "enableNetworkPolicy=true")
    ports = {each["name"]: each["containerPort"] for each in pod_spec(objects)["containers"][0]["ports"]}
    assert ports["webhook-server"] == 10250
    assert objects["Service", "lws-webhook-service"]["spec"]["ports"][0]["targetPort"] == 10250
    policy = objects["NetworkPolicy", "lws-controller-manager"]["spec"]
    assert policy["ingress"][0]["ports"][0]["port"] == 10250
    assert _configuration(objects, "lws").webhook.port == 10250


@pytest.mark.parametrize("name", ["lws", "other", "a-rather-long-name-of-thirty-1"])
def test_the_metrics_certificate_bears_the_name_that_is_scraped(name: str) -> None:
    """Whatever the full name, the certificate is for the Service that the ServiceMonitor verifies."""
    objects = chart(f"fullnameOverride={name}", "enablePrometheus=true")
    (service,) = [found for kind, found in objects if kind == "Service" and found.endswith("metrics-service")]
    (monitor,) = [each for (kind, _), each in objects.items() if kind == "ServiceMonitor"]
    settings = Settings(
        configuration=_configuration(objects, service.removesuffix("-controller-manager-metrics-service"))
    )
    certificate = MetricsCertificate(settings, cast("Any", None), clock=SystemClock(), metrics=cast("Any", None))
    assert certificate.names[0] == monitor["spec"]["endpoints"][0]["tlsConfig"]["serverName"]
    assert certificate.names[0] == f"{service}.lws-system.svc"


def _configuration(objects: Objects, fullname: str) -> Configuration:
    text = objects["ConfigMap", f"{fullname}-manager-config"]["data"]["controller_manager_config.yaml"]
    return Configuration.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize("render", RENDERINGS)
def test_every_selector_names_the_instance(render: Render) -> None:
    """`control-plane: controller-manager` is every kubebuilder operator's: nothing of ours selects by it alone."""
    for (kind, name), manifest in render().items():
        spec = manifest.get("spec") or {}
        found = spec.get("podSelector") or spec.get("selector") or {}
        selector = found.get("matchLabels", found)
        if "control-plane" in selector:
            assert {"app.kubernetes.io/name", "app.kubernetes.io/instance"} <= selector.keys(), (kind, name)


@pytest.mark.long
def test_the_longest_release_name_fits() -> None:
    """No name passes 63 characters for the longest name that Helm allows a release."""
    objects = chart("enablePrometheus=true", "enableNetworkPolicy=true", release=LONGEST_RELEASE)
    assert max(len(name) for kind, name in objects if kind != "CustomResourceDefinition") <= 63
    for (kind, _), manifest in objects.items():
        if kind not in OTHERS_KINDS:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=kind != "CustomResourceDefinition")


@pytest.mark.parametrize("render", RENDERINGS)
def test_the_serving_secret_stays_whoever_fills_it(render: Render) -> None:
    """The Secret is rendered for both kinds of certificates, without data, so that a switch never deletes it."""
    secret = render()["Secret", "lws-webhook-server-cert"]
    assert not {"data", "stringData", "type"} & secret.keys()


@pytest.mark.parametrize("render", RENDERINGS)
def test_a_replica_is_ready_soon_and_gone_soon(render: Render) -> None:
    """Probes find a replica ready within 2 s, and one that stands still within 6 s; a slow start is waited for."""
    container = pod_spec(render())["containers"][0]
    ready, startup = container["readinessProbe"], container["startupProbe"]
    assert ready["periodSeconds"] <= 2
    assert ready["failureThreshold"] * ready["periodSeconds"] + ready["timeoutSeconds"] <= 6
    assert not ready.get("initialDelaySeconds")
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


@pytest.mark.parametrize("render", RENDERINGS)
def test_a_dead_webhook_blocks_only_pods_of_leaderworkersets(render: Render) -> None:
    """Pod hooks select the LeaderWorkerSet label; names, paths, policy and timeout are the wire contract's."""
    objects = render()
    hooks = {
        hook["name"]: hook
        for kind, name in (
            ("MutatingWebhookConfiguration", "lws-mutating-webhook-configuration"),
            ("ValidatingWebhookConfiguration", "lws-validating-webhook-configuration"),
        )
        for hook in objects[kind, name]["webhooks"]
    }
    paths = {name: hook["clientConfig"]["service"]["path"] for name, hook in hooks.items()}
    assert paths == {
        "mleaderworkerset.kb.io": "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "vleaderworkerset.kb.io": "/validate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "mpod.kb.io": "/mutate--v1-pod",
        "vpod.kb.io": "/validate--v1-pod",
        "vdisaggregatedset.kb.io": "/validate-disaggregatedset-x-k8s-io-v1-disaggregatedset",
    }
    for name, hook in hooks.items():
        assert hook["failurePolicy"] == "Fail"
        assert hook["sideEffects"] == "None"
        assert hook["admissionReviewVersions"] == ["v1"]
        assert hook["timeoutSeconds"] == 5
        selector = {"matchExpressions": [{"key": "leaderworkerset.sigs.k8s.io/name", "operator": "Exists"}]}
        assert hook.get("objectSelector") == (selector if "pod" in name else None)


@pytest.mark.parametrize("render", RENDERINGS)
def test_no_secret_can_be_read_but_our_own(render: Render) -> None:
    """No ClusterRole of ours names Secrets, and the Role reads one Secret by name."""
    objects = render()
    for (kind, _), manifest in objects.items():
        for rule in manifest.get("rules", ()) if kind in ("Role", "ClusterRole") else ():
            if "secrets" in rule.get("resources", ()):
                assert kind == "Role"
                assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["lws-webhook-server-cert"]

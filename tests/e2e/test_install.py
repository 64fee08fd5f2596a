"""An installation from nothing to nothing: applied, run as its Deployment says and with its rights, and gone."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest

from lws.apimachinery.manifests import JSON
from tests.e2e.conftest import LIMIT, ROOT, Cluster
from tests.e2e.manager import DEPLOYMENT, Manager, manager
from tests.e2e.sites import LOCAL, NAMESPACE, real_site, sandbox_site, token

EVERYTHING: Final = ("-k", str(ROOT / "config/default"))
DEFINITION: Final = "customresourcedefinition.apiextensions.k8s.io/leaderworkersets.leaderworkerset.x-k8s.io"
SECRET: Final = ("secret", "lws-webhook-server-cert", "-n", NAMESPACE)
HOOKS: Final = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
METRICS_NAME: Final = "lws-controller-manager-metrics-service.lws-system.svc"
WAIT: Final = "--timeout=50s"
TRIES: Final = 200  # each is a request, so nothing sleeps here


@dataclass(frozen=True)
class Installed:
    """A cluster with us.

    Attributes:
        cluster: commands against it.
        manager: the controller's process.
        applied: what `kubectl apply` said.
    """

    cluster: Cluster
    manager: Manager
    applied: str

    def authority(self) -> bytes:
        """The certificate in the Secret by which everything of ours is trusted."""
        return base64.b64decode(self.cluster.get(*SECRET)["data"]["ca.crt"])


@pytest.fixture(scope="module", params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The product, installed by the one command and running; one for all tests of a worker."""
    folder = tmp_path_factory.mktemp("install")
    make = real_site if request.param == "real" else sandbox_site
    with ExitStack() as stack:
        site = stack.enter_context(make(folder))
        applied = site.cluster.kubectl("apply", "--server-side", *EVERYTHING)
        site.lead()
        running = stack.enter_context(manager(site, folder))
        _admits(site.cluster)
        yield Installed(site.cluster, running, applied)


def _set(name: str, **template: Any) -> JSON:
    worker = {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"workerTemplate": worker, **template}},
    }


def _admits(cluster: Cluster) -> None:
    """Wait until the API server has heard of the bundle and reaches the webhook."""
    for _ in range(TRIES):
        tried = cluster.try_kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(_set("nothing", size=1)))
        if tried.returncode == 0:
            return
    raise AssertionError(f"the webhook is not reached: {tried.stderr}")


@pytest.mark.long
def test_applying_again_changes_nothing(installed: Installed) -> None:
    """The same command over a running installation finds no difference, and leaves its certificates alone."""
    secret = installed.cluster.get(*SECRET)
    assert installed.cluster.kubectl("diff", "--server-side", *EVERYTHING) == ""
    assert installed.cluster.kubectl("apply", "--server-side", *EVERYTHING) == installed.applied
    assert installed.cluster.get(*SECRET) == secret


@pytest.mark.long
def test_certificates_are_our_own(installed: Installed) -> None:
    """The Secret has an authority and a leaf, and every webhook trusts that authority."""
    assert set(installed.cluster.get(*SECRET)["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    for kind in HOOKS:
        hooks = installed.cluster.get(kind, f"lws-{kind.removesuffix('webhookconfiguration')}-webhook-configuration")
        bundles = [base64.b64decode(hook["clientConfig"]["caBundle"]) for hook in hooks["webhooks"]]
        assert set(bundles) == {installed.authority()}


@pytest.mark.long
def test_a_set_lives_with_the_rights_that_were_given(installed: Installed) -> None:
    """It is defaulted, becomes Available, scales, is updated, recreates a group and goes; nothing is ever refused."""
    cluster = installed.cluster
    cluster.apply(_set("web"))
    found = cluster.get("lws", "web")["spec"]
    assert (found["leaderWorkerTemplate"]["size"], found["startupPolicy"]) == (1, "LeaderCreated")
    assert found["networkConfig"] == {"subdomainPolicy": "Shared"}
    cluster.kubectl("wait", "lws/web", "--for=condition=Available", WAIT)
    cluster.kubectl("scale", "lws/web", "--replicas=2")
    cluster.kubectl("wait", "lws/web", "--for=jsonpath={.status.readyReplicas}=2", WAIT)
    container = {"name": "main", "image": "app:2"}
    change = {"spec": {"leaderWorkerTemplate": {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}}}
    cluster.kubectl("patch", "lws", "web", "--type=merge", "-p", json.dumps(change))
    cluster.kubectl("wait", "pod/web-0-1", "--for=create", WAIT)
    cluster.kubectl("wait", "lws/web", "--for=jsonpath={.status.updatedReplicas}=2", WAIT)
    cluster.kubectl("wait", "lws/web", "--for=condition=Available", WAIT)
    before = cluster.get("pod", "web-0")["metadata"]["uid"]
    cluster.kubectl("delete", "pod", "web-0-1", "--wait=false")
    _replaced(cluster, "web-0", before)
    cluster.kubectl("wait", "lws/web", "--for=condition=Available", WAIT)
    cluster.kubectl("delete", "lws", "web", "--cascade=foreground", WAIT)
    assert cluster.get("pods")["items"] == []
    assert not [line for line in installed.manager.log.splitlines() if "forbidden" in line.lower()]


def _replaced(cluster: Cluster, name: str, uid: str) -> None:
    for _ in range(TRIES):
        pods = cluster.get("pods", f"--field-selector=metadata.name={name}")["items"]
        if pods and pods[0]["metadata"]["uid"] != uid:
            return
    raise AssertionError(f"{name} was not replaced")


@pytest.mark.long
def test_a_bad_set_is_refused(installed: Installed) -> None:
    """The webhook's own words reach whoever applies it."""
    refused = installed.cluster.refused("apply", "-f", "-", text=json.dumps(_set("bad", size=0)))
    assert 'admission webhook "vleaderworkerset.kb.io" denied the request: ' in refused
    assert "spec.leaderWorkerTemplate.size: Invalid value: 0: size must be equal or greater than 1" in refused


@pytest.mark.long
def test_metrics_are_for_those_who_may_read_them(installed: Installed) -> None:
    """No token gives 401, an account without rights 403, one that is bound to the installed role 200."""
    cluster = installed.cluster
    cluster.kubectl("create", "serviceaccount", "scraper")
    asked = token(cluster, "default", "scraper")
    installed.manager.says("metrics certificate signed")
    assert _scrape(installed, "")[0] == 401
    assert _scrape(installed, "rubbish")[0] == 401
    assert _scrape(installed, asked)[0] == 403
    role, account = "--clusterrole=lws-metrics-reader", "--serviceaccount=default:scraper"
    cluster.kubectl("create", "clusterrolebinding", "scraper", role, account)
    cluster.kubectl("wait", "clusterrolebinding/scraper", "--for=create", WAIT)
    answer = _allowed(installed)
    assert not re.search(r'\nrest_client_requests_total{[^}]*code="40[13]"', answer), "the controller lacks a right"
    assert "\ncontroller_runtime_webhook_requests_total{" in answer


def _allowed(installed: Installed) -> str:
    """What an account reads once the API server has heard of its role; each try has a token that nobody judged yet."""
    for _ in range(TRIES):
        status, text = _scrape(installed, token(installed.cluster, "default", "scraper"))
        if status == 200:
            return text
    raise AssertionError(f"the role does not let it read: {status} {text}")


def _scrape(installed: Installed, bearer: str) -> tuple[int, str]:
    """Ask as Prometheus does, which verifies the certificate."""
    port = installed.manager.metrics_port
    trust = ssl.create_default_context(cadata=installed.authority().decode())
    connection = http.client.HTTPConnection(METRICS_NAME, port)
    with trust.wrap_socket(socket.create_connection((LOCAL, port)), server_hostname=METRICS_NAME) as stream:
        connection.sock = stream
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.long
def test_everything_is_there_and_comes_up(installed: Installed) -> None:
    """One command yields the namespace, definition, roles, Services, webhook configurations and a Deployment."""
    kinds = {line.split("/")[0].split(".")[0] for line in installed.applied.splitlines()}
    assert kinds >= {"namespace", "customresourcedefinition", "serviceaccount", "deployment", "service", *HOOKS}
    assert kinds >= {"role", "rolebinding", "clusterrole", "clusterrolebinding", "poddisruptionbudget"}
    installed.cluster.kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "-n", NAMESPACE, WAIT)
    pods = installed.cluster.get("pods", "-n", NAMESPACE, "-l", "control-plane=controller-manager")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(installed: Installed) -> None:
    """The server ends the handshake of a client that speaks TLS 1.1 at most."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((LOCAL, installed.manager.metrics_port)) as stream,
        pytest.raises(OSError, match=r"ALERT_PROTOCOL_VERSION|EOF occurred|reset by peer"),
    ):
        old.wrap_socket(stream)


@pytest.mark.long
def test_it_goes_without_its_workloads(installed: Installed) -> None:
    """The documented commands leave the definition, sets and pods; deleting the whole overlay leaves nothing at all."""
    cluster = installed.cluster
    cluster.apply(_set("stays", size=2))
    cluster.kubectl("wait", "lws/stays", "--for=condition=Available", WAIT)
    pods = {pod["metadata"]["uid"] for pod in cluster.get("pods")["items"]}
    installed.manager.process.terminate()  # as the kubelet does while the namespace goes
    for command in _documented():
        cluster.kubectl(*command)
    assert installed.manager.process.wait(LIMIT) == 0, installed.manager.log
    left = cluster.kubectl("get", *EVERYTHING, "--ignore-not-found", "-o", "name").split()
    assert DEFINITION in left
    assert {each.split("/")[0] for each in left} == {DEFINITION.split("/")[0]}
    assert {pod["metadata"]["uid"] for pod in cluster.get("pods")["items"]} == pods
    cluster.kubectl("delete", *EVERYTHING, "--ignore-not-found", WAIT)
    assert cluster.kubectl("get", *EVERYTHING, "--ignore-not-found", "-o", "name") == ""
    cluster.kubectl("wait", "pods", "--all", "--for=delete", WAIT)


def _documented() -> list[list[str]]:
    """The commands of the page, without their first word."""
    section = (ROOT / "docs/install.md").read_text().split("## Uninstall")[1]
    block = section.split("```console\n")[1].split("```")[0]
    return [line.split()[1:] for line in block.splitlines()]

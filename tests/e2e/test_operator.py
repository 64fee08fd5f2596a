"""The operator, installed, upgraded and removed by the commands of its pages, with the rights of its bundle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e import takeover
from tests.e2e.conftest import EXAMPLE, LIMIT, ROOT
from tests.e2e.manager import Manager, environment, manager
from tests.e2e.sites import Site, kubeconfig_for, sandbox_site

HOME: Final = "openshift-lws-operator"
OPERATOR: Final = "openshift-lws-operator"
BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)
PATIENCE: Final = 240.0
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Desk:
    """Where somebody sits who follows a page: a folder with `config/`, and a terminal."""

    site: Site
    folder: Path

    def run(self, commands: str, *, status: int = 0) -> str:
        """Run commands as they stand there; what they print."""
        tools = [str(Path(sys.executable).parent), str(Path(self.site.cluster.kubectl_path).parent)]
        environ = {**os.environ, "KUBECONFIG": str(self.site.cluster.kubeconfig)}
        environ["PATH"] = os.pathsep.join([*tools, os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-uc", commands],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == status, f"{commands}{done.stdout}{done.stderr}"
        return done.stdout


def blocks(page: str) -> list[str]:
    """The blocks of commands on a page."""
    return BLOCK.findall((ROOT / f"docs/operator/{page}.md").read_text())


@contextmanager
def operator(site: Site, folder: Path, **more: str) -> Iterator[Manager]:
    """The operator as its Deployment describes it, with its account's rights; ports are others than in a pod."""
    (container,) = site.cluster.get("deployment", OPERATOR, "-n", HOME)["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/usr/bin/lws-operator"]
    kubeconfig = kubeconfig_for(site.cluster, OPERATOR, folder / "operator.kubeconfig", HOME)
    flags = ["--listen=0", "--health-probe-bind-address=0", "--log-format=json"]
    entry = [sys.executable, "-c", "import sys; from lws.cli.operator import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*entry, *container["args"], *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(site, container, kubeconfig), **more},
    )
    running = Manager(process, 0)
    try:
        running.says("leading")
        yield running
        process.terminate()
        process.wait(LIMIT)
    finally:
        running.end()


def test_it_is_installed_upgraded_and_removed_as_the_pages_say(tmp_path: Path) -> None:
    """Every command for kubectl, in order: available; previewed, approved and upgraded; gone, but no set."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "config", folder / "config")
    with sandbox_site(tmp_path, HOME) as site, ExitStack() as stack:
        desk = Desk(site, folder)
        image, apply, look = blocks("kubernetes")
        desk.run(image)
        manifests, sample, available = apply.splitlines()
        desk.run(manifests)
        with operator(site, tmp_path):
            desk.run(sample)
            site.cluster.kubectl("wait", "--for=create", "deployment/lws-controller-manager", "-n", HOME)
            serving = stack.enter_context(manager(site, tmp_path))
            desk.run(available)
            assert "Managed" in desk.run(look)
            desk.run(f"kubectl apply -f {EXAMPLE}")
            preview, approve, *_ = blocks("upgrade")
            assert "containers[manager].image" in desk.run(preview, status=1)
            desk.run(approve)
            change(site, '{"spec": {"rollout": {"soakSeconds": 5}}}')
        upgraded(desk, tmp_path, serving)
        removed(desk)


def change(site: Site, patch: str) -> None:
    """Merge something into the object."""
    site.cluster.kubectl("patch", "leaderworkersetoperator", "cluster", "--type=merge", f"--patch={patch}")


def upgraded(desk: Desk, folder: Path, serving: Manager) -> None:
    """The rest of the page on upgrades: the next operator waits, is approved, and rolls out; ``serving`` serves."""
    _, _, replace, plan, approval = blocks("upgrade")
    desk.run(replace)
    with operator(desk.site, folder, OPERAND_VERSION="0.2.0"):
        assert "registry.example/lws:v0.2.0" in desk.run(plan)
        desk.run(approval)
        remove, _, _, controller = blocks("remove")
        desk.run(controller)
        serving.process.terminate()  # its pod is gone, and its account, whose token is worth nothing any more
        serving.process.wait(LIMIT)
        change(desk.site, '{"spec": {"managementState": "Managed"}}')
        desk.run(f"kubectl wait --for=create deployment/lws-controller-manager -n {HOME} --timeout 1m")
        with manager(desk.site, folder):
            desk.run("kubectl wait leaderworkersetoperator cluster --for condition=Available --timeout 3m")
            desk.run(remove)
            desk.run(f"kubectl wait --for=delete deployment/lws-controller-manager -n {HOME} --timeout 1m")


def removed(desk: Desk) -> None:
    """What is left once the operator is gone, too: sets, their definition and their pods."""
    _, kubectl, olm, _ = blocks("remove")
    desk.run(kubectl)
    desk.site.cluster.kubectl("create", "namespace", HOME)
    takeover.define_olm(desk.site)
    takeover.subscribed(desk.site, "v1.1.0")
    desk.run(olm)
    assert "leaderworkerset.leaderworkerset.x-k8s.io/" in desk.run("kubectl get leaderworkersets -o name")
    assert "pod/" in desk.run("kubectl get pods -o name")
    assert desk.site.cluster.refused("get", "leaderworkersetoperators")


@contextmanager
def desk_of_a_newcomer(folder: Path) -> Iterator[Desk]:
    """A clone with the image named, and a cluster with the operator's object and cert-manager, and its surroundings."""
    shutil.copytree(ROOT / "config", folder / "clone/config")
    with sandbox_site(folder, HOME) as site:
        desk = Desk(site, folder / "clone")
        image, apply, _ = blocks("kubernetes")
        desk.run(image)
        desk.run(f"kubectl create namespace {HOME}\nkubectl apply --server-side -k config/operator/crd")
        takeover.define_cert_manager(site)
        desk.run(apply.splitlines()[1])
        change(site, '{"spec": {"rollout": {"soakSeconds": 5}}}')
        yield desk


def test_the_references_installation_is_taken_over_and_handed_back_as_the_page_says(tmp_path: Path) -> None:
    """Its end, our beginning, no owner of definitions; then back: each command as it stands, and no set restarts."""
    end, begin, back, _ = blocks("takeover")
    with desk_of_a_newcomer(tmp_path) as desk:
        site = desk.site
        takeover.define_olm(site)
        takeover.subscribed(site, "v1.0.0")
        owner = site.cluster.get("leaderworkersetoperator", "cluster")
        uid = {"name": "cluster", "uid": owner["metadata"]["uid"]}
        takeover.install(site, HOME, {"apiVersion": owner["apiVersion"], "kind": owner["kind"], **uid})
        with takeover.surroundings(site):
            takeover.trusted(site)
            desk.run(f"kubectl apply -f {EXAMPLE}")
            desk.run(end)
            apply, *rest = begin.splitlines()
            desk.run(apply)
            with operator(site, tmp_path) as running:
                assert desk.run("\n".join(rest)).endswith("condition met\n"), "no owner is printed"
                pods = desk.run("kubectl get pods -o jsonpath='{.items[*].metadata.uid}'")
                ending = threading.Thread(target=end_when_scaled, args=(site, running))
                ending.start()
                told = desk.run(back)
                ending.join()
            assert "The cluster is ready for the reference operator" in told
            assert desk.run("kubectl get pods -o jsonpath='{.items[*].metadata.uid}'") == pods
            conversion = site.cluster.get("crd", "leaderworkersets.leaderworkerset.x-k8s.io")["spec"]["conversion"]
            assert conversion["strategy"] == "Webhook"


def end_when_scaled(site: Site, running: Manager) -> None:
    """Be the kubelet of the operator's pod: end it once its Deployment is scaled to 0."""
    wait = ("wait", "--for=jsonpath={.spec.replicas}=0", f"deployment/{OPERATOR}", "-n", HOME, "--timeout=200s")
    site.cluster.try_kubectl(*wait)
    running.process.terminate()


def test_an_installation_elsewhere_is_adopted_as_the_page_says(tmp_path: Path) -> None:
    """It is named first; asked to adopt it, the condition prints the commands that it lacks, and they are enough."""
    *_, adopt = blocks("takeover")
    with desk_of_a_newcomer(tmp_path) as desk:
        desk.site.cluster.kubectl("create", "namespace", "lws-system")
        takeover.install(desk.site, "lws-system", None)
        desk.run("kubectl apply --server-side --force-conflicts -k config/operator/default")
        with operator(desk.site, tmp_path), takeover.surroundings(desk.site):
            becomes_degraded(desk, "OtherInstallation")
            desk.run(adopt)
            told = becomes_degraded(desk, "PermissionDenied")
            (commands,) = re.findall(r"run: (kubectl create role .*--serviceaccount=[^\s;]+)", told)
            desk.run(commands)
            desk.run("kubectl wait leaderworkersetoperator cluster --for condition=Available --timeout 200s")
            replicas = "kubectl get deployment lws-controller-manager -n lws-system -o jsonpath={.spec.replicas}"
            assert desk.run(replicas) == "0"


def becomes_degraded(desk: Desk, reason: str) -> str:
    """Wait until the condition has a reason; its message."""
    condition = "{.status.conditions[?(@.type=='Degraded')]"
    wait = f'kubectl wait leaderworkersetoperator cluster --for=jsonpath="{condition}.reason}}"={reason} --timeout 200s'
    desk.run(wait)
    return desk.run(f'kubectl get leaderworkersetoperator cluster -o jsonpath="{condition}.message}}"')

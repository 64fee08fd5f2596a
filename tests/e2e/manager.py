"""The controller as the rendered Deployment describes it, run as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from lws.apimachinery.manifests import JSON
from tests.e2e.conftest import LIMIT
from tests.e2e.sites import LOCAL, NAMESPACE, Site, free_port, kubeconfig_for

ENTRY_POINT: Final = (sys.executable, "-m", "lws")  # the image's
# A pod reads its namespace beside its token; outside of one it is the default.
ELSEWHERE: Final = "from lws.cli import controller; controller.NAMESPACE = {!r}; controller.main()"
MOUNTED: Final = "/controller_manager_config.yaml"
DEPLOYMENT: Final = "lws-controller-manager"


class Manager:
    """A process of the controller.

    Attributes:
        process: as it was started.
        metrics_port: where it serves metrics.
    """

    def __init__(self, process: subprocess.Popen[str], metrics_port: int) -> None:
        self.process = process
        self.metrics_port = metrics_port
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="log of the manager", daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """What it has said until now."""
        return "".join(self._lines)

    def says(self, message: str) -> None:
        """Wait until its log has a message."""
        wanted = f'"msg": "{message}"'
        with self._heard:
            self._heard.wait_for(lambda: self._ended or any(wanted in line for line in self._lines), LIMIT)
        assert wanted in self.log, f"{message!r} was never said:\n{self.log}"

    def end(self) -> None:
        """Have it gone."""
        self.process.kill()
        self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self._lines.append(line)
                self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()


@contextmanager
def manager(site: Site, folder: Path) -> Iterator[Manager]:
    """Run the controller with the Deployment's arguments and environment, its ConfigMap's file and its rights.

    Only ports, and paths outside of the folder, are others than in a pod.
    """
    cluster = site.cluster
    pod = cluster.get("deployment", DEPLOYMENT, "-n", site.namespace)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    metrics = free_port()
    configuration = folder / "configuration.yaml"
    configuration.write_text(_configuration(site, pod, container, metrics))
    kubeconfig = kubeconfig_for(cluster, pod["serviceAccountName"], folder / "manager.kubeconfig", site.namespace)
    arguments = [argument.replace(MOUNTED, str(configuration)) for argument in container["args"]]
    entry = container.get("command", ENTRY_POINT)
    if site.namespace != NAMESPACE:
        entry = (sys.executable, "-c", ELSEWHERE.format(site.namespace))
    process = subprocess.Popen(
        [*entry, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(site, container, kubeconfig),
    )
    running = Manager(process, metrics)
    try:
        running.says("leading")
        yield running
    finally:
        running.end()


def _configuration(site: Site, pod: JSON, container: JSON, metrics: int) -> str:
    """What is mounted, with ports that are free on this machine."""
    (mount,) = (each for each in container["volumeMounts"] if each["mountPath"] == MOUNTED)
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    files = site.cluster.get("configmap", volume["configMap"]["name"], "-n", site.namespace)["data"]
    document: JSON = yaml.safe_load(files[mount["subPath"]])
    for section in ("metrics", "health"):
        assert section not in document, "then the test must keep what it says"
    document["webhook"] = {**document.get("webhook", {}), "port": site.port}
    document["metrics"] = {"bindAddress": f"{LOCAL}:{metrics}"}
    document["health"] = {"healthProbeBindAddress": f"{LOCAL}:{free_port()}"}
    return yaml.safe_dump(document)


def environment(site: Site, container: JSON, kubeconfig: Path) -> dict[str, str]:
    """A pod's: what its container names, and where the API server is."""
    fields = {"metadata.namespace": site.namespace, "metadata.name": f"{container['name']}-0"}
    own = {
        each["name"]: each["value"] if "value" in each else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
        for each in container["env"]
    }
    address = "jsonpath={.clusters[0].cluster.server}"
    server = urlsplit(site.cluster.kubectl("config", "view", "--minify", "-o", address))
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "COVERAGE_PROCESS_START")},
        **own,
        "KUBERNETES_SERVICE_HOST": str(server.hostname),
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "KUBECONFIG": str(kubeconfig),
    }

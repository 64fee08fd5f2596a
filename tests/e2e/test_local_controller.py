"""The controller on a developer's machine, as the README says: two commands, and a set works."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import LIMIT, ROOT
from tests.e2e.sites import free_port, sandbox_site
from tests.e2e.test_chart import SET


def test_two_commands_end_in_a_working_set(tmp_path: Path) -> None:
    """Started before the definition exists, it waits for it, admits pods, and takes its webhooks out at the end."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "apiVersion: config.lws.x-k8s.io/v1alpha1\nkind: Configuration\n"
        f"webhook:\n  port: {free_port()}\nmetrics:\n  bindAddress: '0'\nhealth:\n  healthProbeBindAddress: '0'\n"
    )
    with sandbox_site(tmp_path) as site:
        cluster = site.cluster
        command = [sys.executable, "-m", "lws", "--kubeconfig", str(cluster.kubeconfig), "--config", str(settings)]
        with subprocess.Popen([*command, "--serve-webhooks-locally"], stderr=subprocess.PIPE, text=True) as controller:
            try:
                assert controller.stderr is not None
                assert any("does not serve LeaderWorkerSets yet" in line for line in controller.stderr)
                cluster.kubectl("apply", "--server-side", "-k", str(ROOT / "config/crd"))
                cluster.kubectl("wait", "crd", "--all", "--for=condition=Established")
                assert any("webhooks registered" in line for line in controller.stderr)
                cluster.apply(SET)
                cluster.kubectl("wait", "lws/web", "--for=condition=Available", f"--timeout={LIMIT - 5}s")
                pod = cluster.get("pod", "web-0-1")
                environment = {each["name"] for each in pod["spec"]["containers"][0]["env"]}
                assert {"LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX"} <= environment
            finally:
                controller.send_signal(signal.SIGTERM)
                _, rest = controller.communicate(timeout=LIMIT)
            assert controller.returncode == 0, rest
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            assert cluster.get(kind)["items"] == []

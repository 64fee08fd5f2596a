"""A node of real programs: containerd, kubelet, kube-proxy and a DNS server, in the namespaces of this process."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from lws_sandbox.control import MASTERS
from lws_sandbox.real.binaries import VARIABLE, Binaries
from lws_sandbox.real.control_plane import ControlPlane, control_plane
from lws_sandbox.real.process import Process, running
from tests.node import processes
from tests.node.images import PAUSE, Image
from tests.node.processes import RUN

FOLDER: Final = "LWS_NODE_FOLDER"  # set inside the namespaces: where the node keeps its state
IMAGES: Final = "image"
ADDRESS: Final = "172.31.0.1"
NAME: Final = "node-1"
PODS: Final = "10.244.0.0/24"
PACKAGES: Final = ("containerd", "runc", "containernetworking-plugins", "nftables", "conntrack", "busybox-static")
NEEDED: Final = {
    "unshare": ("unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"),
}
COMMANDS: Final = ("unshare", "containerd", "ctr", "runc", "ip", "nft", "/usr/lib/cni/ptp", "/bin/busybox")
BINARIES: Final = ("kubelet", "kube-proxy", "coredns", "kubectl", "kube-controller-manager", "kube-scheduler")
FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
SOCKET: Final = RUN / "containerd.sock"
READY: Final = 120.0
COREFILE: Final = """\
.:53 {{
  bind {address}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
  }}
}}
"""
# Directories of the machine that these programs write to wherever they are told to keep the rest.
DIRECTORIES: Final = ("/run", "/var/log/pods", "/var/log/containers", "/var/lib/cni", "/etc/cni", "/opt")
OWN: Final = tuple(Path(each) for each in DIRECTORIES)


def missing() -> str:
    """What this machine lacks for a real node, as a clause; empty if nothing."""
    if os.geteuid() != 0:
        return "it needs root"
    commands = [Path(each).name for each in COMMANDS if not shutil.which(each)]
    if commands:
        return f"{', '.join(commands)} not found"
    assets = os.environ.get(VARIABLE, "")
    lacking = [each for each in BINARIES if not os.access(Path(assets) / each, os.X_OK)]
    if not assets or lacking:
        return f"`make control-plane NODE=1` builds {', '.join(lacking or BINARIES)}, {VARIABLE} says where"
    return ""


@dataclass
class Machine:
    """A cluster of one real node that runs.

    Attributes:
        folder: where it keeps its state.
        binaries: that it runs.
        plane: its control plane.
        programs: of the node, by name.
    """

    folder: Path
    binaries: Binaries
    plane: ControlPlane
    programs: dict[str, Process] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """Of somebody who may do everything."""
        return self.plane.keys.folder / "admin.kubeconfig"

    async def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl, which must succeed; returns what it printed."""
        code, out, errors = await self.try_kubectl(*arguments, text=text)
        assert code == 0, f"kubectl {' '.join(arguments)}: {out}{errors}"
        return out

    async def try_kubectl(self, *arguments: str, text: str = "") -> tuple[int, str, str]:
        """Run kubectl, whatever comes of it; its exit code, output and complaints."""
        return await command(
            str(self.binaries.path("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments, text=text
        )

    async def get(self, *arguments: str) -> Any:
        """An object or a list, as JSON."""
        return json.loads(await self.kubectl("get", *arguments, "-o", "json"))

    async def import_image(self, image: Image) -> None:
        """Make an image known to the node."""
        archive = image.archive(self.folder / "image.tar")
        await must("ctr", "-a", str(SOCKET), "-n", "k8s.io", "images", "import", str(archive))
        archive.unlink()

    async def processes_of(self, pod: str, namespace: str = "default") -> list[int]:
        """The processes of a pod's containers, its sandbox left out, in no order."""
        return processes.of_pod((await self.get("pod", pod, "-n", namespace))["metadata"]["uid"])

    async def start(self, name: str, arguments: Sequence[str], stack: AsyncExitStack, binary: Path) -> None:
        """Run a program of the node until the machine ends."""
        self.programs[name] = await stack.enter_async_context(running(binary, arguments, self.folder))

    async def reboot(self) -> None:
        """What a power cut leaves: no process of the node or of a pod, an empty /run, everything else as it was."""
        for name in ("kubelet", "kube-proxy", "containerd"):
            await self.programs[name].kill()
        family = processes.ours()
        processes.kill(processes.strangers(family))
        await _until(lambda: not processes.strangers(family), "pods' processes go on")
        processes.forget_run()
        for line in (await must("ip", "-o", "link", "show", "type", "veth")).splitlines():  # of pods
            await must("ip", "link", "delete", line.split(": ")[1].partition("@")[0])
        for name in ("containerd", "kubelet", "kube-proxy"):
            await self.programs[name].start()


@asynccontextmanager
async def machine(binaries: Binaries, folder: Path) -> AsyncIterator[Machine]:
    """Run a control plane and a node that pods can be placed on.

    Raises:
        ConfigurationError: a process cannot be started or ends; with the end of its log.
        TimeoutError: the node is not Ready in time.
    """
    await _own_directories()
    await _network()
    processes.make_cgroups()
    more = {
        "kube-apiserver": [
            "--endpoint-reconciler-type=lease",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-log-path={folder / 'audit.log'}",
            f"--audit-policy-file={_audit_policy(folder)}",
        ]
    }
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(
            control_plane(binaries, host=ADDRESS, port=6443, controllers=("*",), more=more)
        )
        plane.keys.write_kubeconfig("admin", plane.url, "kubernetes-admin", (MASTERS,))
        node = Machine(folder, binaries, plane)
        config = _containerd(folder)
        await node.start("containerd", ["--config", str(config)], stack, Path(shutil.which("containerd") or ""))
        await _until(SOCKET.is_socket, "containerd does not listen")
        await node.import_image(Image(PAUSE, *_pause(folder)))
        await node.start("coredns", ["-conf", str(_coredns(folder, plane))], stack, binaries.path("coredns"))
        await node.start("kubelet", _kubelet(folder, plane), stack, binaries.path("kubelet"))
        await node.start("kube-proxy", _kube_proxy(folder, plane), stack, binaries.path("kube-proxy"))
        try:
            for state in ("create", "condition=Ready"):
                code, _, _ = await node.try_kubectl("wait", f"node/{NAME}", f"--for={state}", f"--timeout={READY:.0f}s")
                if code:
                    raise node.programs["kubelet"].unready(READY)
            yield node
        finally:
            processes.kill(processes.strangers(processes.ours()))
            processes.remove_cgroups()


async def _own_directories() -> None:
    await must("mount", "--make-rprivate", "/")
    for place in (each for each in OWN if each.is_dir()):
        await must("mount", "-t", "tmpfs", "tmpfs", str(place))
    await must("mount", "--make-rshared", "/")
    RUN.mkdir()


async def _network() -> None:
    await must("ip", "link", "set", "lo", "up")
    await must("ip", "link", "add", "node0", "type", "veth", "peer", "name", "wire0")
    await must("ip", "link", "set", "wire0", "up")
    await must("ip", "address", "add", f"{ADDRESS}/24", "dev", "node0")
    await must("ip", "link", "set", "node0", "up")
    await must("ip", "route", "add", "default", "dev", "node0")
    FORWARDING.write_text("1")


def _pause(folder: Path) -> tuple[Path, Sequence[str]]:
    root = folder / "pause"
    root.mkdir()
    shutil.copy("/bin/busybox", root / "busybox")
    return root, ("/busybox", "sleep", processes.SANDBOX.decode())


def _audit_policy(folder: Path) -> Path:
    """Who asked for what, without bodies."""
    path = folder / "audit.yaml"
    path.write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, omitStages: [RequestReceived]}]\n"
    )
    return path


def _containerd(folder: Path) -> Path:
    path, networks = folder / "containerd.toml", folder / "networks"
    networks.mkdir()
    plugin = '[plugins."io.containerd.grpc.v1.cri"'
    path.write_text(
        f'version = 2\nroot = "{folder}/containerd"\nstate = "{RUN}/containerd"\n[grpc]\naddress = "{SOCKET}"\n'
        f'{plugin}]\nsandbox_image = "{PAUSE}"\nrestrict_oom_score_adj = true\n'
        f'{plugin}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
        f'{plugin}.cni]\nbin_dir = "/usr/lib/cni"\nconf_dir = "{networks}"\n'
    )
    # Point to point: every packet is routed, so that kube-proxy's rules see it both ways without a bridge's help.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"{RUN}/addresses",
    }
    pods = {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}
    (networks / "pods.conflist").write_text(json.dumps(pods))
    return path


def _coredns(folder: Path, plane: ControlPlane) -> Path:
    path = folder / "Corefile"
    kubeconfig = plane.keys.write_kubeconfig("coredns", plane.url, "system:coredns", (MASTERS,))
    path.write_text(COREFILE.format(address=ADDRESS, kubeconfig=kubeconfig))
    return path


def _kubelet(folder: Path, plane: ControlPlane) -> list[str]:
    user = f"system:node:{NAME}"
    kubeconfig = plane.keys.write_kubeconfig("kubelet", plane.url, user, ("system:nodes",))
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{processes.CGROUP}",
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "enforceNodeAllocatable": ["none"],
        "evictionHard": {"memory.available": "1Mi"},  # how full the machine's disk is, is not asked here
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
    }
    path = folder / "kubelet.yaml"
    path.write_text(yaml.safe_dump(config))
    return [
        f"--config={path}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={folder / 'kubelet'}",
        f"--node-ip={ADDRESS}",
        f"--hostname-override={NAME}",
    ]


def _kube_proxy(folder: Path, plane: ControlPlane) -> list[str]:
    kubeconfig = plane.keys.write_kubeconfig("kube-proxy", plane.url, "system:kube-proxy", ())
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    path = folder / "kube-proxy.yaml"
    path.write_text(yaml.safe_dump(config))
    return [f"--config={path}"]


async def must(*arguments: str) -> str:
    """Run a program that must succeed; returns what it printed."""
    code, out, errors = await command(*arguments)
    assert code == 0, f"{' '.join(arguments)}: {out}{errors}"
    return out


async def command(*arguments: str, text: str = "") -> tuple[int, str, str]:
    """Run a program; its exit code, output and complaints."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate(text.encode())
    return process.returncode or 0, out.decode(), errors.decode(errors="replace")


async def _until(holds: Callable[[], object], failing: str) -> None:
    try:
        async with asyncio.timeout(READY):
            while not holds():  # noqa: ASYNC110 -- no program tells of it
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(failing) from None

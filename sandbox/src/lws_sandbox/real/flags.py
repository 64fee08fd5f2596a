"""The command lines of a real control plane on loopback, as pure functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from lws_sandbox.real.keys import Keys

SERVICES: Final = "10.0.0.0/16"
LOCAL: Final = "127.0.0.1"


def etcd(data: Path, port: int, peer_port: int) -> list[str]:
    """One member that keeps its data in a folder."""
    client, peer = f"http://{LOCAL}:{port}", f"http://{LOCAL}:{peer_port}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def api_server(keys: Keys, etcd_port: int, host: str, port: int, disabled_plugins: Sequence[str] = ()) -> list[str]:
    """An API server that knows clients by certificate and by service account token, and holds them to RBAC."""
    disabled = [f"--disable-admission-plugins={','.join(disabled_plugins)}"] if disabled_plugins else []
    return [
        f"--etcd-servers=http://{LOCAL}:{etcd_port}",
        f"--bind-address={host}",
        f"--advertise-address={host}",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",  # loopback is no address for the endpoints of the Service kubernetes
        f"--tls-cert-file={keys.certificate('server')}",
        f"--tls-private-key-file={keys.key('server')}",
        f"--client-ca-file={keys.ca}",
        f"--service-account-key-file={keys.certificate('service-accounts')}",
        f"--service-account-signing-key-file={keys.key('service-accounts')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        *disabled,
    ]


def controller_manager(keys: Keys, kubeconfig: Path, controllers: Collection[str]) -> list[str]:
    """A controller manager alone, that serves nothing."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(controllers)}",
        f"--service-account-private-key-file={keys.key('service-accounts')}",
        f"--root-ca-file={keys.ca}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=500",
        "--kube-api-burst=500",
    ]


def scheduler(kubeconfig: Path) -> list[str]:
    """A scheduler alone, that serves nothing."""
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500"]

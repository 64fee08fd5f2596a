"""Two replicas and a real Prometheus that scrapes them as our ServiceMonitor says: over TLS, with a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from hack import monitoring
from hack.alerts import PLACES

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, SECRETS, SERVICEACCOUNTS, Resource
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from tests.manifests.render import kustomize
from tests.real.partners.certmanager import secret
from tests.real.partners.installed import HOME, Ports, admitted, apply, point_webhooks, replica
from tests.real.partners.processes import free_port, listening, process, until
from tests.real.planes import RealPlane
from tests.tools import need

OVERLAY: Final = "overlays/prometheus"
RBAC: Final = "rbac.authorization.k8s.io"
BINDINGS: Final = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLES: Final = (
    BINDINGS,
    Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    Resource(RBAC, "v1", "roles", "Role"),
    Resource(RBAC, "v1", "rolebindings", "RoleBinding"),
)
SCRAPER: Final = ("monitoring", "prometheus-k8s")


@dataclass
class Site:
    """What runs, once it does.

    Attributes:
        address: of Prometheus.
        broken: another token or name than those of the ServiceMonitor, or no binding to the role that reads.
        interval: between scrapes, in seconds.
    """

    broken: Mapping[str, str] = field(default_factory=dict)
    interval: float = 1.0
    address: str = ""

    @asynccontextmanager
    async def life(self, plane: RealPlane, folder: Path) -> AsyncIterator[None]:
        """Both replicas and Prometheus; ready when it listens."""
        client = plane.env.client("test-monitoring")
        ports = (Ports(), Ports())
        await _prepare(client, ports[0].webhook)
        async with AsyncExitStack() as stack:
            for each in ports:
                await stack.enter_async_context(replica(plane, each, elect=True))
            await until(lambda: admitted(client), "admission")
            if "binding" in self.broken:
                await client.delete(BINDINGS, "", "lws-prometheus-metrics-reader")
            files = await self._files(client, folder)
            (folder / "rules.yaml").write_text(yaml.safe_dump(monitoring.rules()))
            document = self._document([each.metrics for each in ports], files)
            (folder / "prometheus.yaml").write_text(yaml.safe_dump(document))
            port = free_port()
            self.address = f"127.0.0.1:{port}"
            command = [
                *(need("prometheus"), f"--config.file={folder}/prometheus.yaml"),
                *(f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}"),
            ]
            await stack.enter_async_context(process(command, folder, lambda: listening(port)))
            yield

    async def _files(self, client: ApiClient, folder: Path) -> dict[str, Path]:
        namespace, name = SCRAPER
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
        answer = await client.create(SERVICEACCOUNTS, asked, namespace=namespace, name=name, subresource="token")
        authority = (await secret(client))["ca.crt"].decode()
        made = {}
        for kind, content in (("token", answer["status"]["token"]), ("ca", authority)):
            made[kind] = folder / kind
            made[kind].write_text(self.broken.get(kind, content))
        return made

    def _document(self, ports: list[int], files: Mapping[str, Path]) -> JSON:
        """What the Prometheus operator makes of the ServiceMonitor, with the pods written down."""
        monitor = kustomize(OVERLAY)["ServiceMonitor", "lws-controller-manager-metrics-monitor"]
        (endpoint,) = monitor["spec"]["endpoints"]
        tls = endpoint["tlsConfig"]
        assert tls["ca"]["secret"] == {"name": "lws-webhook-server-cert", "key": "ca.crt"}
        common = {"namespace": HOME, "service": PLACES["job"], "container": "manager", "endpoint": endpoint["port"]}
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {**common, "pod": f"lws-controller-manager-{number}"}}
            for number, port in enumerate(ports)
        ]
        scrape: dict[str, Any] = {
            "job_name": PLACES["job"],
            "honor_labels": endpoint["honorLabels"],
            "metrics_path": endpoint["path"],
            "scheme": endpoint["scheme"],
            "authorization": {"credentials_file": str(files["token"])},
            "tls_config": {
                "ca_file": str(files["ca"]),
                "server_name": self.broken.get("name", tls["serverName"]),
            },
            "static_configs": targets,
        }
        every = f"{self.interval * 1000:.0f}ms"
        return {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [scrape],
        }


async def _prepare(client: ApiClient, webhook: int) -> None:
    """Names, roles, and the empty Secret that the controller fills."""
    namespace, name = SCRAPER
    for each in (namespace, HOME):
        await client.apply(NAMESPACES, _named("Namespace", each), field_manager="test-install")
    await client.apply(SERVICEACCOUNTS, _named("ServiceAccount", name, namespace), field_manager="test-install")
    await apply(client, OVERLAY, ROLES)
    try:
        await client.get(SECRETS, HOME, "lws-webhook-server-cert")
    except NotFoundError:
        await apply(client, OVERLAY, (SECRETS,))
    await point_webhooks(client, OVERLAY, webhook)


def _named(kind: str, name: str, namespace: str = "") -> JSON:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}

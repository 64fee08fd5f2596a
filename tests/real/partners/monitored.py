"""Two replicas and a real Prometheus that scrapes them as our ServiceMonitor says: over TLS, with a token."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from hack import monitoring
from hack.alerts import PLACES

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, SECRETS, SERVICEACCOUNTS, Resource
from lws.client.api import JSON_PATCH, ApiClient
from lws.errors import NotFoundError
from lws.manager.manager import ControllerManager
from lws_sandbox.control import MASTERS
from tests.manifests.render import kustomize
from tests.real.partners.certmanager import secret
from tests.real.partners.installed import HOME, HOOKS, Ports, admitted, apply, point_webhooks, replica
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
        rules: what Prometheus evaluates; by default what we ship.
        mounted: where certificates of the webhook are mounted; by default the replicas make their own.
        bundle: the authority of those.
        api_server: whether the API server is scraped too.
        cluster: what Prometheus calls the cluster.
    """

    broken: Mapping[str, str] = field(default_factory=dict)
    interval: float = 1.0
    rules: JSON = field(default_factory=monitoring.rules)
    mounted: Path | None = None
    bundle: bytes = b""
    api_server: bool = False
    address: str = ""
    cluster: str = "east"
    _replicas: list[AsyncExitStack] = field(default_factory=list)
    _starts: list[Callable[[], AbstractAsyncContextManager[ControllerManager]]] = field(default_factory=list)
    _mended: dict[Path, str] = field(default_factory=dict)

    @asynccontextmanager
    async def life(self, plane: RealPlane, folder: Path) -> AsyncIterator[None]:
        """Both replicas and Prometheus; ready when it listens."""
        client = plane.env.client("test-monitoring")
        ports = (Ports(), Ports())
        await _prepare(client, ports[0].webhook)
        if self.mounted is not None:
            await trust(client, self.bundle)
        async with AsyncExitStack() as stack:
            for each in ports:
                self._replicas.append(await stack.enter_async_context(AsyncExitStack()))
                self._starts.append(
                    partial(replica, plane, each, own=self.mounted is None, folder=self.mounted, elect=True)
                )
                await self.begin(len(self._replicas) - 1)
            await until(lambda: admitted(client), "admission")
            if "binding" in self.broken:
                await client.delete(BINDINGS, "", "lws-prometheus-metrics-reader")
            files = await self._files(client, folder)
            (folder / "rules.yaml").write_text(yaml.safe_dump(self.rules))
            document = self._document([each.metrics for each in ports], files)
            if self.api_server:
                document["scrape_configs"].append(_api_server(plane))
            (folder / "prometheus.yaml").write_text(yaml.safe_dump(document))
            port = free_port()
            self.address = f"127.0.0.1:{port}"
            command = [
                *(need("prometheus"), f"--config.file={folder}/prometheus.yaml"),
                *(f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}"),
            ]
            await stack.enter_async_context(process(command, folder, lambda: listening(port)))
            yield

    async def begin(self, number: int) -> None:
        """Start a replica."""
        await self._replicas[number].enter_async_context(self._starts[number]())

    async def end(self, number: int) -> None:
        """End a replica, as SIGTERM does."""
        await self._replicas[number].aclose()

    async def mend(self, client: ApiClient) -> None:
        """Have the scraper's token and authority be right, and apply config/prometheus again."""
        for path, content in self._mended.items():
            path.write_text(content)
        await apply(client, OVERLAY, (BINDINGS,))

    async def _files(self, client: ApiClient, folder: Path) -> dict[str, Path]:
        namespace, name = SCRAPER
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
        answer = await client.create(SERVICEACCOUNTS, asked, namespace=namespace, name=name, subresource="token")
        authority = ((await secret(client)).get("ca.crt") or self.bundle).decode()
        made = {}
        for kind, content in (("token", answer["status"]["token"]), ("ca", authority)):
            made[kind] = folder / kind
            made[kind].write_text(self.broken.get(kind, content))
            self._mended[made[kind]] = content
        return made

    def _document(self, ports: list[int], files: Mapping[str, Path]) -> JSON:
        """What the Prometheus operator makes of the ServiceMonitor, with the pods written down."""
        monitor = kustomize(OVERLAY)["ServiceMonitor", "lws-controller-manager-metrics-monitor"]
        (endpoint,) = monitor["spec"]["endpoints"]
        tls = endpoint["tlsConfig"]
        assert tls["ca"]["secret"] == {"name": "lws-webhook-server-cert", "key": "ca.crt"}
        common = {
            "cluster": self.cluster,
            "namespace": HOME,
            "service": PLACES["job"],
            "container": "manager",
            "endpoint": endpoint["port"],
        }
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


def _api_server(plane: RealPlane) -> JSON:
    """How the API server is scraped, by somebody who may."""
    keys, url = plane.cluster.plane.keys, urlsplit(plane.cluster.plane.url)
    keys.write_client("scraper", "scraper", (MASTERS,))
    files = {"ca_file": keys.ca, "cert_file": keys.certificate("scraper"), "key_file": keys.key("scraper")}
    return {
        "job_name": "apiserver",
        "scheme": url.scheme,
        "tls_config": {name: str(path) for name, path in files.items()},
        "static_configs": [{"targets": [url.netloc]}],
    }


async def trust(client: ApiClient, bundle: bytes) -> None:
    """Have the API server trust an authority, as cert-manager's injector does."""
    encoded = base64.b64encode(bundle).decode()
    for resource in HOOKS:
        for each in (await client.list(resource))["items"]:
            patch = [
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": encoded}
                for index, _ in enumerate(each["webhooks"])
            ]
            if "lws" in each["metadata"]["name"]:
                await client.patch(resource, "", each["metadata"]["name"], patch, content_type=JSON_PATCH)


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

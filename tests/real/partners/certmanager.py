"""cert-manager's controllers beside a control plane, our installation with them, and what a kubelet mounts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lws.apimachinery.conditions import timestamp
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SECRETS, Resource
from lws.client.api import JSON_PATCH, ApiClient
from lws.clock import SystemClock
from lws.errors import NotFoundError
from lws_sandbox.real.cluster import RealCluster
from tests.real.partners.installed import HOME, HOOKS, apply, point_webhooks
from tests.real.partners.processes import install_definitions, kubeconfig_for, process, published, until
from tests.real.planes import RealPlane
from tests.tools import need

CERTIFICATES: Final = Resource("cert-manager.io", "v1", "certificates", "Certificate")
ISSUERS: Final = Resource("cert-manager.io", "v1", "issuers", "Issuer")
SERVING: Final = "lws-serving-cert"
SECRET: Final = "lws-webhook-server-cert"


@asynccontextmanager
async def certmanager(plane: RealPlane, folder: Path, *, merge: bool = True, metrics: str = "0") -> AsyncIterator[None]:
    """cert-manager beside a control plane, with its definitions."""
    await install_definitions(plane.env.client("test-install"), published("certmanager", "deploy/crds"))
    async with controllers(plane.cluster, folder, merge=merge, metrics=metrics):
        yield


@asynccontextmanager
async def controllers(
    cluster: RealCluster, folder: Path, *, merge: bool = True, metrics: str = "0"
) -> AsyncIterator[None]:
    """Issuing, readiness and injection, where the definitions are served; ready when they have started.

    Unless they ``merge``, a new authority takes the place of the former, as with releases before 1.19. ``metrics`` are
    served at that address.
    """
    kubeconfig = kubeconfig_for(cluster, "cert-manager")
    command = [
        need("certmanager"),
        f"--kubeconfig={kubeconfig}",
        f"--merge={str(merge).lower()}",
        f"--metrics={metrics}",
    ]

    async def started() -> bool:
        return "started" in (folder / "certmanager.log").read_text(errors="replace")

    async with process(command, folder, started):
        yield


async def install(client: ApiClient, port: int, overlay: str = "overlays/cert-manager") -> None:
    """What the overlay renders of certificates and webhooks; the Service leads to a port of this machine."""
    await apply(client, overlay, (CERTIFICATES, ISSUERS))
    await point_webhooks(client, overlay, port)


async def secret(client: ApiClient) -> dict[str, bytes]:
    """What the Secret of the webhook holds; empty while there is none."""
    try:
        found = await client.get(SECRETS, HOME, SECRET)
    except NotFoundError:
        return {}
    return {name: base64.b64decode(value) for name, value in (found.get("data") or {}).items()}


async def redirect(client: ApiClient, port: int) -> None:
    """Have the API server ask at another port, as when a Service gets other endpoints; nothing else changes."""
    for resource in HOOKS:
        for each in (await client.list(resource))["items"]:
            paths = [f"/webhooks/{index}/clientConfig/service/port" for index in range(len(each["webhooks"]))]
            patch = [{"op": "replace", "path": path, "value": port} for path in paths]
            if "lws" in each["metadata"]["name"]:
                await client.patch(resource, "", each["metadata"]["name"], patch, content_type=JSON_PATCH)


async def inject(client: ApiClient, *, wanted: bool) -> None:
    """Ask cert-manager for its authority in the webhook configurations, or no longer."""
    value = f"{HOME}/{SERVING}" if wanted else None
    for resource in HOOKS:
        for each in (await client.list(resource))["items"]:
            if "lws" in each["metadata"]["name"]:
                annotation = {"metadata": {"annotations": {"cert-manager.io/inject-ca-from": value}}}
                await client.patch(resource, "", each["metadata"]["name"], annotation)


async def bundles(client: ApiClient) -> set[bytes]:
    """The authorities that the API server trusts for our webhooks."""
    found = set()
    for resource in HOOKS:
        for each in (await client.list(resource))["items"]:
            hooks = [hook["clientConfig"] for hook in each["webhooks"] if "lws" in each["metadata"]["name"]]
            found |= {base64.b64decode(config.get("caBundle") or "") for config in hooks}
    return found


async def mount(client: ApiClient, folder: Path, *, lag: float) -> None:
    """Write the Secret into a folder whenever it changes, as a kubelet does: so many seconds later, for ever."""
    shown: dict[str, bytes] = {}
    while True:
        data = await secret(client)
        if data and data != shown:
            if shown:
                await asyncio.sleep(lag)
            for name, content in data.items():
                (folder / f".{name}").write_bytes(content)
                (folder / f".{name}").replace(folder / name)
            shown = data
        await asyncio.sleep(0.1)


async def renew(client: ApiClient, name: str = SERVING) -> None:
    """Have a certificate issued anew, as ``cmctl renew`` does; returns when it is."""
    before = await client.get(CERTIFICATES, HOME, name)
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "Certificate re-issuance manually triggered",
        "lastTransitionTime": timestamp(SystemClock().now()),
        "observedGeneration": before["metadata"]["generation"],
    }
    conditions = [*(each for each in before["status"]["conditions"] if each["type"] != "Issuing"), issuing]
    status = {**before["status"], "conditions": conditions}
    await client.update(CERTIFICATES, {**before, "status": status}, subresource="status")

    async def done() -> bool:
        found = await client.get(CERTIFICATES, HOME, name)
        return bool(found["status"].get("revision", 0) > before["status"]["revision"]) and is_ready(found)

    await until(done, f"renewal of {name}")


def is_ready(certificate: JSON) -> bool:
    """Whether cert-manager says that it is issued."""
    conditions = (certificate.get("status") or {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

"""The certificate of the operator's own metrics port (operator, decision a)."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from random import Random

from lws.api.operand import names
from lws.apimachinery.resources import NAMESPACES, SECRETS
from lws.errors import NotFoundError
from lws.manager.metrics import Metrics
from lws.manager.operand_certificate import OperatorCertificate
from lws.reconcilers.operand.apis import OptionalApis
from lws.webhook.certs import make_ca, make_leaf, read_certificates
from lws_sandbox.cluster import Sandbox
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

SERVICE = f"{names.OPERATOR_METRICS_SERVICE}.here.svc"


def keeping(sandbox: Sandbox, mounted: Path, platform: str) -> OperatorCertificate:
    """The keeper of a process in namespace ``here``."""
    clock, client = VirtualClock(), sandbox.client()
    apis = OptionalApis(client, clock)
    return OperatorCertificate(
        client, apis, "here", platform, clock=clock, random=Random(1), metrics=Metrics(), mounted=mounted
    )


@virtual_time
async def test_elsewhere_the_operator_signs_its_own(tmp_path: Path) -> None:
    """Without OpenShift the leaf is for the Service, and signed by the authority that scrapers find in the Secret."""
    async with Sandbox(clock=VirtualClock(), random=Random(1)) as sandbox:
        await sandbox.client().create(NAMESPACES, {"metadata": {"name": "here"}})
        keeper = keeping(sandbox, tmp_path, "")
        task = asyncio.create_task(keeper.run())
        await asyncio.sleep(0)
        assert keeper.serving.certificate is not None  # from the first moment
        await asyncio.sleep(120)
        secret = await sandbox.client().get(SECRETS, "here", names.OPERATOR_METRICS_SECRET)
        (authority,) = read_certificates(base64.b64decode(secret["data"]["ca.crt"]))
        served = read_certificates(keeper.serving.certificate)[0]
        served.verify_directly_issued_by(authority)
        assert served.subject.rfc4514_string() == f"CN={SERVICE}"[:67]
        task.cancel()


@virtual_time
async def test_on_openshift_the_platform_makes_it(tmp_path: Path) -> None:
    """There no Secret is written, which would keep the platform from writing it; what it mounts is served."""
    async with Sandbox(clock=VirtualClock(), random=Random(1)) as sandbox:
        await sandbox.client().create(NAMESPACES, {"metadata": {"name": "here"}})
        keeper = keeping(sandbox, tmp_path, "openshift")
        task = asyncio.create_task(keeper.run())
        await asyncio.sleep(120)
        leaf = make_leaf(make_ca(VirtualClock().now()), [SERVICE], VirtualClock().now())
        (tmp_path / "tls.key").write_bytes(leaf.key)
        (tmp_path / "tls.crt").write_bytes(leaf.certificate)
        await asyncio.sleep(30)
        assert keeper.serving.certificate == leaf.certificate
        try:
            await sandbox.client().get(SECRETS, "here", names.OPERATOR_METRICS_SECRET)
            raise AssertionError("a Secret was written")
        except NotFoundError:
            pass
        task.cancel()

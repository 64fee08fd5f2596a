"""What people run beside the operator: A36 (diff, render), A55 (gather), A23 (handback)."""

from __future__ import annotations

import asyncio
import base64

import pytest
import yaml

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, DEPLOYMENTS, SECRETS, SERVICES
from lws.client.transport import Request, Response, Transport
from lws.errors import ConfigurationError
from lws.manager.gather import gather
from lws.manager.handback import handback
from lws.manager.survey import Survey, client_of, survey
from lws.planning.operand.preview import lines
from lws.reconcilers.operand.observe import Surroundings
from tests.acceptance.operand import reference
from tests.acceptance.operand.certmanager import CertManager
from tests.acceptance.operand.ground import IMAGE, NAMESPACE, NEXT_IMAGE, VERSION, slim_assets
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_rollouts import release, unpullable
from tests.acceptance.operand.test_states import with_sets
from tests.forwarding import Forwarding
from tests.simulation.recording import Recording, Write
from tests.virtual import virtual_time

pytestmark = pytest.mark.long


async def look(site: Site, writes: list[Write] | None = None, image: str = IMAGE, version: str = VERSION) -> Survey:
    """Do what ``lws-operator diff`` does."""
    transport: Transport = site.sandbox.transport()
    client = client_of(Recording(transport, writes) if writes is not None else transport)
    return await survey(client, Surroundings(NAMESPACE, image, version), clock=site.clock, objects=slim_assets())


@virtual_time
async def test_a36_diff_tells_what_is_between_the_cluster_and_a_release() -> None:
    """A36: nothing on an installed cluster, the edit on an edited one, all on an empty one; nothing is stored."""
    writes: list[Write] = []
    async with Site() as site:
        assert {each["verb"] for each in (await look(site, writes)).preview.entries} == {"create"}
        await site.installed()
        await with_sets(site, 1)
        await asyncio.sleep(30)
        assert [*lines((await look(site, writes)).preview)] == []
        await site.operators[0].stop()
        ports = {"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 1, "protocol": "TCP"}]}}
        await site.client.patch(SERVICES, NAMESPACE, names.WEBHOOK_SERVICE, ports)
        await site.client.delete(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT)
        assert [*lines((await look(site, writes)).preview)] == [
            f"update services {NAMESPACE}/lws-webhook-service",
            "    spec.ports[https].targetPort",
            f"create deployments.apps {NAMESPACE}/lws-controller-manager",
        ]
    assert [str(each) for each in writes if not each.dry_run] == []


class Logs(Forwarding):
    """A transport that answers for the logs of pods, which the sandbox has not."""

    async def send(self, request: Request) -> Response:
        """Answer, or pass on."""
        if request.path.endswith("/log"):
            return Response(200, {}, b"a line of the log\n")
        return await self._inner.send(request)


@virtual_time
async def test_a55_gather_holds_what_is_needed_and_no_secret() -> None:
    """A55: after a rollout that failed there are plan, history, causes and logs; no key, token or data of a Secret."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await site.installed(rollout={"deadlineSeconds": 120})
        async with unpullable(site, NEXT_IMAGE):
            await release(site, NEXT_IMAGE)
            await site.becomes("Degraded", "True", "RolledBack")
            seen = await look(site, image=NEXT_IMAGE, version="1.2.0")
            files = await gather(client_of(Logs(site.sandbox.transport())), seen, NAMESPACE)
        summary = yaml.safe_load(files["summary.txt"])
        assert summary["history"][-1]["result"] == "RolledBack"
        assert any("ImagePullBackOff" in each for each in summary["conditions"])
        assert f"update deployments.apps {NAMESPACE}/lws-controller-manager" in files["diff.txt"].decode()
        assert b"RolledBack" in files["rollouts.json"]
        assert "errors.txt" not in files
        assert [name for name in files if name.startswith("logs/")]
        assert yaml.safe_load(files["pods.yaml"])
        everything = b"\n".join(files.values()).decode()
        secrets = (await site.client.list(SECRETS, NAMESPACE))["items"]
        assert secrets
        for secret in secrets:
            for value in secret["data"].values():
                assert value not in everything
                assert base64.b64decode(value).decode() not in everything
        assert "PRIVATE KEY" not in everything
        (serving,) = [each for each in yaml.safe_load(files["secrets.yaml"]) if "tls.key" in each["members"]][:1]
        assert serving["certificates"]["tls.crt"][0].startswith("CN=")
        manager.task.cancel()


@virtual_time
async def test_a23_handback_readies_a_cluster_for_the_reference() -> None:
    """A23: the definition gets its conversion section, our operator ends, and conditions of ours alone are gone."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await site.apply_cr(certificates={"mode": "Internal"})
        await site.start()
        await site.settled()
        told: list[str] = []

        async def give_back() -> None:
            await handback(site.client, await look(site), NAMESPACE, site.clock, told.append)

        with pytest.raises(ConfigurationError, match="certificates\\.mode to CertManager"):
            await give_back()
        await site.edit(certificates={"mode": "CertManager"})
        await asyncio.sleep(60)
        await site.settled()
        await site.client.create(DEPLOYMENTS, operator_deployment())
        ending = asyncio.create_task(end_when_scaled(site))
        await give_back()
        await ending
        definition = await site.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        service = definition["spec"]["conversion"]["webhook"]["clientConfig"]["service"]
        assert (service["name"], service["path"]) == (names.WEBHOOK_SERVICE, "/convert")
        types = {each["type"] for each in (await site.operator())["status"]["conditions"]}
        assert types == {"Available", "Degraded", "TargetConfigControllerDegraded"}
        assert "deletes every" in told[-1]
        assert len(await site.ready_pods()) == 2
        assert await synced_by_the_reference(site)
        await site.start()
        await site.settled()
        again = await site.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        assert again["spec"]["conversion"] == definition["spec"]["conversion"]
        manager.task.cancel()


def operator_deployment() -> JSON:
    """A Deployment of the operator, as far as handing back needs it."""
    labels = {"name": names.OPERATOR_DEPLOYMENT}
    pod = {"containers": [{"name": "operator", "image": "operator"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    metadata = {"name": names.OPERATOR_DEPLOYMENT, "namespace": NAMESPACE}
    return {"metadata": metadata, "spec": {"selector": {"matchLabels": labels}, "template": template}}


async def end_when_scaled(site: Site) -> None:
    """Be the operator's pod: end once the Deployment is scaled to 0."""

    async def scaled() -> bool:
        found = await site.client.get(DEPLOYMENTS, NAMESPACE, names.OPERATOR_DEPLOYMENT)
        return bool(found["spec"]["replicas"] == 0)

    await site.until(scaled)
    for running in [*site.operators]:
        await running.stop()


async def synced_by_the_reference(site: Site) -> bool:
    """Write as the reference's sync does, which reads the conversion section without looking; whether it is there."""
    uid = (await site.operator())["metadata"]["uid"]
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": names.SINGLETON, "uid": uid}
    live = await site.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
    for resource, manifest in reference.objects(NAMESPACE, owner):
        found = await site.get(resource, manifest["metadata"]["name"])
        if found is not None and resource != DEPLOYMENTS:
            metadata = {**manifest["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
            written = {**found, **manifest, "metadata": metadata}
            await site.client.update(resource, written, field_manager="lws-operator")
    return bool(live["spec"]["conversion"]["webhook"]["clientConfig"])

"""The operator with cert-manager itself: its published definitions, and its own controllers as a process.

`test_answering` tells some of this with a stand-in, for machines on which cert-manager is not built.
"""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lws.api.operand import names
from lws.api.operand.messages import MISSING_CERT_MANAGER
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import CERTIFICATES, CUSTOMRESOURCEDEFINITIONS, ISSUERS, REPLICASETS, SECRETS
from lws.planning.operand.switching import mode_of
from tests.acceptance.operand import reference
from tests.acceptance.operand.test_rights import Noting, grant, live
from tests.acceptance.operand.test_states import user_pods, with_sets
from tests.real.operand.site import RealSite, site
from tests.real.operand.test_answering import rests, trusted
from tests.real.partners.certmanager import bundles, controllers
from tests.real.partners.installed import Load
from tests.real.partners.processes import published

LATE = "late"  # an issuer that is made after what it is to issue
pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


def definitions() -> list[JSON]:
    """Those of the cert-manager that is built; without it the test is skipped."""
    return published("certmanager", "deploy/crds")


async def secret_of(real: RealSite, name: str) -> dict[str, bytes]:
    """A Secret's content."""
    found = await real.client.get(SECRETS, real.namespace, name)
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


async def injected(real: RealSite) -> bool:
    """Whether every hook trusts the authority of the serving certificate."""
    authority = (await secret_of(real, names.SERVING_SECRET))["ca.crt"].strip()
    return all(authority in each for each in await bundles(real.client))


async def test_certificates_are_missed_requested_issued_and_moved(tmp_path: Path) -> None:
    """A05 to A08: told of as missing, requested once they can be, quoted while not issued; an issuer can be changed."""
    found = definitions()
    async with site(answers=True) as real:
        await real.start()
        await real.apply_cr(certificates={"mode": "CertManager", "issuerRef": {"name": LATE}})
        degraded = await real.becomes("Degraded", "True", "MissingDependency")
        assert degraded["message"] == MISSING_CERT_MANAGER
        assert (await real.condition("TargetConfigControllerDegraded"))["message"] == MISSING_CERT_MANAGER
        async with AsyncExitStack() as stack:
            await real.define(found)
            await stack.enter_async_context(controllers(real.cluster, tmp_path))

            async def requested() -> bool:
                return await real.get(CERTIFICATES, names.METRICS_CERTIFICATE) is not None

            await real.until(requested)  # the sandbox counts the seconds, whose machine is never busy
            degraded = await real.becomes("Degraded", "True", "CertificateNotReady", seconds=300)
            (ready,) = [each for each in await conditions(real) if each["type"] == "Ready"]
            assert ready["status"] == "False"
            assert ready["message"] in degraded["message"]
            issuer = {"apiVersion": ISSUERS.api_version, "kind": ISSUERS.kind, "spec": {"selfSigned": {}}}
            await real.client.create(ISSUERS, {**issuer, "metadata": {"name": LATE, "namespace": real.namespace}})
            await real.becomes("Available", "True", seconds=300)
            await real.becomes("Degraded", "False")
            await real.settled()
            assert await injected(real)
            assert await real.get(ISSUERS, names.ISSUER) is None
            await own_authority(real)
            await rests(real)


async def conditions(real: RealSite) -> list[JSON]:
    """What cert-manager says of the serving certificate."""
    found = await real.client.get(CERTIFICATES, real.namespace, names.SERVING_CERTIFICATE)
    said: list[JSON] = found["status"]["conditions"]
    return said


async def own_authority(real: RealSite) -> None:
    """Without a reference to an issuer an authority of ours signs: its chain is served, and no admission is refused."""
    load = Load(real.client, clients=1, every=0.5)
    async with load.running():
        await real.edit(certificates={"issuerRef": None})

        async def issued() -> bool:
            secret = await real.client.get(SECRETS, real.namespace, names.SERVING_SECRET)
            return annotations_of(secret).get("cert-manager.io/issuer-name") == names.AUTHORITY

        await real.until(issued)
        await real.settled()
        await real.until(lambda: injected(real))
    assert load.failures == []
    assert load.answered > 5
    authority = await secret_of(real, names.AUTHORITY)
    assert (await secret_of(real, names.SERVING_SECRET))["ca.crt"] == authority["tls.crt"]


async def test_a_cert_manager_that_comes_is_used_when_asked_for(tmp_path: Path) -> None:
    """A09, A10: it changes nothing by coming; there and back again no admission is refused, and nothing of it stays."""
    found = definitions()
    async with site(answers=True) as real:
        first = await real.installed(rollout={"soakSeconds": 5})
        assert first["status"]["certificates"]["mode"] == "Internal"
        generation = (await real.deployment())["metadata"]["generation"]
        async with AsyncExitStack() as stack:
            await real.define(found)
            await stack.enter_async_context(controllers(real.cluster, tmp_path))
            await rests(real)
            assert (await real.deployment())["metadata"]["generation"] == generation
            load = Load(real.client, clients=1, every=1.0)
            await stack.enter_async_context(load.running())
            for mode in ("CertManager", "Internal", "CertManager"):
                await real.edit(certificates={"mode": mode})
                await real.until(lambda mode=mode: serves(real, mode))  # type: ignore[misc]
                await real.settled()
                await real.until(lambda mode=mode: only(real, mode))  # type: ignore[misc]
            assert load.failures == []
            assert load.answered > 30


async def serves(real: RealSite, mode: str) -> bool:
    """Whether the operand's pods are to serve certificates of a mode."""
    return mode_of((await real.deployment())["spec"]["template"]["spec"]) == mode


async def only(real: RealSite, mode: str) -> bool:
    """Whether nothing is left of the other mode."""
    theirs = [(CERTIFICATES, names.SERVING_CERTIFICATE), (ISSUERS, names.ISSUER), (ISSUERS, names.AUTHORITY)]
    theirs += [(SECRETS, each) for each in (names.SERVING_SECRET, names.METRICS_SECRET, names.AUTHORITY)]
    there = [await real.get(*each) is not None for each in theirs]
    own = await real.get(SECRETS, names.INTERNAL_SECRET) is not None
    return (all(there) and not own) if mode == "CertManager" else (own and not any(there))


@pytest.mark.parametrize("conversion", [True, False])
async def test_the_references_installation_is_taken_over(conversion: bool, tmp_path: Path) -> None:
    """A22, A23: one rollout, no pod of a set restarts, and what cert-manager put into the definition stays."""
    found = definitions()
    async with site(answers=True, definitions=found) as real, controllers(real.cluster, tmp_path):
        await real.apply_cr(rollout={"soakSeconds": 5})
        await reference.install(real, conversion=conversion)
        await real.until(lambda: trusted(real))
        before = await real.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        pods = await with_sets(real, 2)
        replicas = len((await real.client.list(REPLICASETS, real.namespace))["items"])
        await real.start()
        await real.becomes("Progressing", "True")
        status = (await real.settled())["status"]
        assert status["certificates"]["mode"] == "CertManager"
        after = await real.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        assert after["spec"]["conversion"] == before["spec"]["conversion"]
        assert not after["metadata"].get("ownerReferences")
        assert len((await real.client.list(REPLICASETS, real.namespace))["items"]) == replicas + 1
        assert await user_pods(real) == pods
        assert await injected(real)
        await rests(real)


async def test_the_operator_lives_on_the_rights_of_its_bundle(tmp_path: Path) -> None:
    """A49: as its own account, take-over, monitoring, both modes, drift and pruning: a real server refuses nothing."""
    found = definitions()
    async with site(answers=True, definitions=found) as real, controllers(real.cluster, tmp_path):
        await grant(real)
        noting = Noting(await real.transport_of(names.OPERATOR_DEPLOYMENT))
        await live(real, noting)
        assert noting.refused == []

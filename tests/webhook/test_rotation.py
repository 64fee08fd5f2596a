"""Rotation by several replicas against one API server, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SECRETS, Resource
from lws.errors import AlreadyExistsError, ConflictError, ForbiddenError, NotFoundError, TransportError
from lws.webhook import certs
from lws.webhook.bundles import FORMER_SECONDS
from lws.webhook.certificate import ServingCertificate
from lws.webhook.certs import Pair, make_ca, make_leaf, read_certificates
from lws.webhook.keychain import Keychain
from lws.webhook.rotation import CONFIGURATIONS, SETTLE, CertificateRotator
from tests.virtual import virtual_time

pytestmark = pytest.mark.usefixtures("keys")
START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "lws-webhook-service.lws-system.svc"
SECRET = ("secrets", "lws-webhook-server-cert")
MINUTE, DAY = 60.0, 86_400.0


class Time:
    """A clock that the test moves, or that follows the running loop."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def monotonic(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() if self.seconds is None else self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.monotonic())


class Api:
    """Secrets and webhook configurations with optimistic locking; yields at every request, so that replicas race."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], JSON] = {}
        self.requests: list[str] = []
        self.down = False
        self.sealed = False  # whether the Secret may only be read
        self._version = 0
        for resource, name in CONFIGURATIONS:
            hooks = [{"name": f"{kind}.kb.io", "clientConfig": {"service": {"name": "s"}}} for kind in ("a", "b")]
            self._store(resource, {"metadata": {"name": name}, "webhooks": hooks})

    def _store(self, resource: Resource, manifest: Mapping[str, Any]) -> JSON:
        self._version += 1
        stored = copy.deepcopy(dict(manifest))
        stored["metadata"] = {**stored["metadata"], "resourceVersion": str(self._version)}
        self.objects[resource.plural, stored["metadata"]["name"]] = stored
        return copy.deepcopy(stored)

    async def _begin(self, verb: str, resource: Resource, name: str) -> JSON | None:
        self.requests.append(f"{verb} {resource.plural}")
        await asyncio.sleep(0)
        if self.down:
            raise TransportError("connection refused")
        return self.objects.get((resource.plural, name))

    async def get(self, resource: Resource, namespace: str, name: str) -> JSON:
        """Read one object."""
        found = await self._begin("get", resource, name)
        if found is None:
            raise NotFoundError(404, "NotFound", f"{name} not found")
        return copy.deepcopy(found)

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> JSON:
        """Create an object."""
        if await self._begin("create", resource, manifest["metadata"]["name"]) is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "it exists")
        return self._store(resource, manifest)

    async def update(self, resource: Resource, manifest: Mapping[str, Any]) -> JSON:
        """Replace an object."""
        found = await self._begin("update", resource, manifest["metadata"]["name"])
        if self.sealed and resource == SECRETS:
            raise ForbiddenError(403, "Forbidden", "secrets is forbidden")
        if found is None:
            raise NotFoundError(404, "NotFound", "it is gone")
        if manifest["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "it was modified")
        return self._store(resource, manifest)

    def edit(self, place: tuple[str, str], **members: Any) -> None:
        """Change an object behind the replicas' backs."""
        self._version += 1
        found = self.objects[place]
        version = {**found["metadata"], "resourceVersion": str(self._version)}
        self.objects[place] = {**found, **copy.deepcopy(members), "metadata": version}

    def wipe_bundles(self) -> None:
        """Empty every caBundle, as an installation of the manifests does."""
        for resource, name in CONFIGURATIONS:
            hooks = self.objects[resource.plural, name]["webhooks"]
            self.edit((resource.plural, name), webhooks=[{**hook, "clientConfig": {}} for hook in hooks])

    def bundles(self) -> set[bytes]:
        """The bundles that API servers trust."""
        found = (hook["clientConfig"].get("caBundle", "") for kind in CONFIGURATIONS for hook in self._hooks(kind))
        return {base64.b64decode(bundle) for bundle in found}

    def _hooks(self, kind: tuple[Resource, str]) -> list[JSON]:
        hooks: list[JSON] = self.objects[kind[0].plural, kind[1]]["webhooks"]
        return hooks

    @property
    def data(self) -> dict[str, str]:
        """The Secret's data; empty when there is none."""
        found: dict[str, str] = self.objects.get(SECRET, {}).get("data") or {}
        return found


class Cluster:
    """Some replicas and what an API server makes of them."""

    def __init__(self, replicas: int = 3, api: Api | None = None) -> None:
        self.api = api or Api()
        self.time = Time()
        self.certificates = [ServingCertificate() for _ in range(replicas)]
        self.rotators = [
            CertificateRotator(self.api, serving, clock=self.time, random=Random(index), namespace="lws-system")
            for index, serving in enumerate(self.certificates)
        ]
        self._spans: dict[tuple[bytes, bytes], tuple[datetime, datetime]] = {}

    def handshake(self, replica: int) -> bool:
        """Whether an API server would trust this replica now, by whatever bundle it uses."""
        served = self.certificates[replica].certificate
        return served is not None and all(self._trusts(bundle, served) for bundle in self.api.bundles())

    def _trusts(self, bundle: bytes, served: bytes) -> bool:
        """By an independent verification, remembered together with the time for which it holds."""
        now = self.time.now()
        begin, end = self._spans.get((bundle, served), (now, now))
        if begin < now < end:
            return True
        try:
            chain = PolicyBuilder().store(Store(read_certificates(bundle))).time(now)
            path = chain.build_server_verifier(x509.DNSName(NAME)).verify(read_certificates(served)[0], [])
        except (ValueError, VerificationError):
            return False
        begin = max(certificate.not_valid_before_utc for certificate in path)
        self._spans[bundle, served] = (begin, min(certificate.not_valid_after_utc for certificate in path))
        return True

    def trusted_for(self) -> float:
        """Seconds since the start until which every replica stays trusted if nothing changes; 0 if one is not now."""
        if not all(self.handshake(replica) for replica in range(len(self.certificates))):
            return 0.0
        pairs = [(bundle, serving.certificate or b"") for bundle in self.api.bundles() for serving in self.certificates]
        return min((self._spans[pair][1] - START).total_seconds() for pair in pairs)

    def whole(self) -> bool:
        """Whether every replica is trusted and serves the Secret's leaf."""
        leaf = base64.b64decode(self.api.data.get("tls.crt", ""))
        return all(
            self.handshake(index) and certificate.certificate == leaf
            for index, certificate in enumerate(self.certificates)
        )


async def settled(cluster: Cluster, seconds: float) -> float:
    """Wait until the cluster is whole; returns the seconds that took, or fails after ``seconds``."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not cluster.whole():
        assert loop.time() - began < seconds, "not whole in time"
        await asyncio.sleep(0.5)
    return loop.time() - began


async def running(cluster: Cluster) -> list[asyncio.Task[None]]:
    """Every replica's rotation, whole."""
    tasks = [asyncio.create_task(rotator.run()) for rotator in cluster.rotators]
    await settled(cluster, 60)
    return tasks


@virtual_time
async def test_replicas_agree_from_nothing() -> None:
    """Three replicas that start at once end with one Secret, one bundle and one leaf."""
    cluster = Cluster()
    await asyncio.gather(*(rotator.step() for rotator in cluster.rotators))
    assert cluster.api.requests.count("create secrets") >= 2
    assert len(cluster.api.bundles()) == 1
    assert cluster.whole()
    assert [rotator._distrust() for rotator in cluster.rotators] == [None] * 3


@virtual_time
async def test_at_rest_nothing_is_written() -> None:
    """When all is well, steps only read, three objects by name each."""
    cluster = Cluster()
    for rotator in cluster.rotators:
        await rotator.step()
    cluster.api.requests.clear()
    for rotator in cluster.rotators:
        await rotator.step()
    reads = ["get secrets", "get mutatingwebhookconfigurations", "get validatingwebhookconfigurations"]
    assert cluster.api.requests == reads * 3


def _harm(api: Api, how: str) -> None:
    match how:
        case "deleted":
            del api.objects[SECRET]
        case "emptied":
            api.edit(SECRET, data={})
        case "data null":
            api.edit(SECRET, data=None)
        case "no base64":
            api.edit(SECRET, data=dict.fromkeys(api.data, "***"))
        case "mismatched leaf key":
            api.edit(SECRET, data={**api.data, "tls.key": api.data["ca.key"]})
        case "mismatched authority":
            api.edit(SECRET, data={**api.data, "ca.key": api.data["tls.key"]})
        case "corrupt leaf":
            api.edit(SECRET, data={**api.data, "tls.crt": api.data["tls.crt"][:400]})
        case "wiped bundle":
            api.wipe_bundles()
        case "foreign bundle":
            resource, name = CONFIGURATIONS[0]
            hooks = api.objects[resource.plural, name]["webhooks"]
            foreign = [{**hooks[0], "clientConfig": {"caBundle": "Zm9yZWlnbg=="}}, *hooks[1:]]
            api.edit((resource.plural, name), webhooks=foreign)


HARMS = ["deleted", "emptied", "data null", "no base64", "mismatched leaf key", "mismatched authority", "corrupt leaf"]
BUNDLE_HARMS = ["wiped bundle", "foreign bundle"]


@pytest.mark.parametrize("how", HARMS + BUNDLE_HARMS)
def test_heals_within_a_minute(how: str) -> None:
    """Whatever is destroyed is whole again in less than a minute, by itself."""

    @virtual_time
    async def heal() -> None:
        cluster = Cluster()
        tasks = await running(cluster)
        await asyncio.sleep(600)
        _harm(cluster.api, how)
        assert await settled(cluster, 60) < 60
        await asyncio.sleep(MINUTE)
        assert [rotator.fault for rotator in cluster.rotators] == [None] * 3
        for task in tasks:
            task.cancel()

    heal()


@pytest.mark.parametrize("how", HARMS)
def test_a_destroyed_secret_breaks_no_handshake(how: str) -> None:
    """While replicas live, a Secret that is destroyed is replaced without a moment of distrust."""

    @virtual_time
    async def heal() -> None:
        cluster = Cluster()
        tasks = await running(cluster)
        await asyncio.sleep(600)
        _harm(cluster.api, how)
        for _ in range(400):
            assert [cluster.handshake(replica) for replica in range(3)] == [True] * 3
            await asyncio.sleep(0.25)
        assert cluster.whole()
        for task in tasks:
            task.cancel()

    heal()


@virtual_time
async def test_a_new_leaf_waits_for_its_bundle() -> None:
    """A leaf of a new authority is served only after API servers had time to learn of it."""
    cluster = Cluster(replicas=1)
    rotator, serving = cluster.rotators[0], cluster.certificates[0]
    cluster.time.seconds = 0.0
    await rotator.step()
    before = serving.certificate
    del cluster.api.objects[SECRET]
    cluster.time.seconds = 100.0
    assert await rotator.step() == pytest.approx(15)
    assert serving.certificate == before
    cluster.time.seconds = 114.0
    assert await rotator.step() == pytest.approx(1)
    assert serving.certificate == before
    cluster.time.seconds = 115.0
    await rotator.step()
    assert serving.certificate != before
    assert cluster.handshake(0)


@virtual_time
async def test_the_same_bundle_published_again_is_waited_for_as_well() -> None:
    """After a bundle was wiped, a new leaf is served only once API servers had time to see the restored bundle."""
    cluster = Cluster(replicas=1)
    rotator, serving = cluster.rotators[0], cluster.certificates[0]
    cluster.time.seconds = 0.0
    await rotator.step()
    before = serving.certificate
    ca = Pair(*(base64.b64decode(cluster.api.data[name]) for name in ("ca.crt", "ca.key")))
    store(cluster, ca, make_leaf(ca, [NAME], cluster.time.now()))
    cluster.api.wipe_bundles()
    cluster.time.seconds = 100.0
    assert await rotator.step() == pytest.approx(SETTLE)
    assert serving.certificate == before
    cluster.time.seconds = 100.0 + SETTLE
    await rotator.step()
    assert cluster.whole()


def store(cluster: Cluster, ca: Pair, leaf: Pair) -> None:
    """Put a certificate into the Secret, as a restore does; without the authority's key, as cert-manager does."""
    members = {"ca.crt": ca.certificate, "ca.key": ca.key, "tls.crt": leaf.certificate, "tls.key": leaf.key}
    data = {name: base64.b64encode(value).decode() for name, value in members.items() if value}
    if SECRET in cluster.api.objects:
        cluster.api.edit(SECRET, data=data)
    else:
        cluster.api.objects[SECRET] = {"metadata": {"name": SECRET[1], "resourceVersion": "1"}, "data": data}


@pytest.mark.parametrize("kind", ["backup", "cert-manager"])
def test_a_foreign_but_valid_secret_breaks_no_handshake(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Secret from a backup or of cert-manager is adopted without a moment of distrust; what was before it goes."""

    @virtual_time
    async def restore() -> None:
        cluster = Cluster()
        tasks = await running(cluster)
        await asyncio.sleep(600)
        with monkeypatch.context() as patch:
            patch.setattr(certs, "CA_NAME", "lws-ca" if kind == "backup" else "acme")
            ca = make_ca(cluster.time.now() - timedelta(days=200))
        leaf = make_leaf(ca, [NAME], cluster.time.now())
        store(cluster, ca if kind == "backup" else Pair(ca.certificate, b""), leaf)
        data = cluster.api.data
        for _ in range(400):
            assert [cluster.handshake(replica) for replica in range(3)] == [True] * 3
            await asyncio.sleep(0.25)
        assert cluster.whole()
        assert cluster.api.data == data
        assert [len(read_certificates(bundle)) for bundle in cluster.api.bundles()] == [2]
        await asyncio.sleep(660)
        assert cluster.api.bundles() == {ca.certificate}
        assert cluster.whole()
        for task in tasks:
            task.cancel()

    restore()


@virtual_time
async def test_distrusted_leaf_does_not_wait() -> None:
    """If what is served is not trusted anyhow, the new leaf is served at once."""
    cluster = Cluster(replicas=2)
    first, second = cluster.rotators
    cluster.time.seconds = 0.0
    await first.step()
    before = cluster.certificates[0].certificate
    cluster.api.wipe_bundles()
    del cluster.api.objects[SECRET]
    cluster.time.seconds = 50.0
    await second.step()
    await first.step()
    assert before != cluster.certificates[0].certificate == cluster.certificates[1].certificate
    assert cluster.whole()


@virtual_time
async def test_other_members_of_the_secret_stay() -> None:
    """Labels and further data of the Secret are not touched."""
    cluster = Cluster(replicas=1)
    await cluster.rotators[0].step()
    cluster.api.edit(SECRET, data={"note": "aGVsbG8="}, type="Opaque")
    await cluster.rotators[0].step()
    assert cluster.api.data["note"] == "aGVsbG8="
    assert cluster.api.objects[SECRET]["type"] == "Opaque"
    assert set(cluster.api.data) == {"note", "ca.crt", "ca.key", "tls.crt", "tls.key"}


@virtual_time
async def test_missing_configurations() -> None:
    """Without webhook configurations the leaf is served all the same; they are filled when they come."""
    cluster = Cluster(replicas=1)
    kept = {place: cluster.api.objects.pop(place) for place in list(cluster.api.objects)}
    await cluster.rotators[0].step()
    assert cluster.certificates[0].certificate is not None
    cluster.api.objects.update(kept)
    await cluster.rotators[0].step()
    assert cluster.handshake(0)


@virtual_time
async def test_a_hiccup_of_the_api_server_casts_no_doubt() -> None:
    """Looks that fail for some minutes leave a certificate trusted that was; a first one that fails does not."""
    cluster = Cluster()
    cluster.api.down = True
    tasks = [asyncio.create_task(rotator.run()) for rotator in cluster.rotators]
    await asyncio.sleep(MINUTE)
    assert None not in [rotator.fault for rotator in cluster.rotators]
    cluster.api.down = False
    await asyncio.sleep(MINUTE)
    cluster.api.down = True
    await asyncio.sleep(3 * MINUTE)
    assert [rotator.fault for rotator in cluster.rotators] == [None] * 3
    for task in tasks:
        task.cancel()


@virtual_time
async def test_the_api_server_is_away() -> None:
    """While the API server does not answer, what is served stays, health tells, and all is well afterwards."""
    cluster = Cluster()
    tasks = await running(cluster)
    served = cluster.certificates[0].certificate
    cluster.api.down = True
    await asyncio.sleep(3600)
    assert cluster.certificates[0].certificate == served
    assert [rotator.fault for rotator in cluster.rotators] == ["certificates cannot be kept: connection refused"] * 3
    cluster.api.down = False
    await asyncio.sleep(MINUTE)
    assert [rotator.fault for rotator in cluster.rotators] == [None] * 3
    for task in tasks:
        task.cancel()


@virtual_time
async def test_what_may_not_be_renewed_is_served_while_it_lasts() -> None:
    """Overdue and not writable, the Secret's leaf is served without a doubt, also after a restart; later it renews."""
    api = Api()
    old = START - timedelta(days=360)
    authority = make_ca(old)
    keychain = Keychain(authority, make_leaf(authority, [NAME], old))
    data = {name: base64.b64encode(value).decode() for name, value in keychain.to_data().items()}
    api._store(SECRETS, {"metadata": {"name": SECRET[1]}, "data": data})
    api.sealed = True
    for cluster in (Cluster(api=api), Cluster(api=api)):
        tasks = await running(cluster)
        await asyncio.sleep(MINUTE)
        assert {each.certificate for each in cluster.certificates} == {keychain.leaf.certificate}
        assert [rotator.fault for rotator in cluster.rotators] == [None] * 3
        for task in tasks:
            task.cancel()
    api.sealed = False
    tasks = await running(cluster)
    await asyncio.sleep(MINUTE)
    assert keychain.leaf.certificate not in {each.certificate for each in cluster.certificates}
    for task in tasks:
        task.cancel()


@virtual_time
async def test_a_restarted_replica_joins() -> None:
    """A replica that starts later serves what the others serve, and changes nothing."""
    cluster = Cluster(replicas=1)
    await cluster.rotators[0].step()
    later = Cluster(replicas=1, api=cluster.api)
    cluster.api.requests.clear()
    await later.rotators[0].step()
    assert later.certificates[0].certificate == cluster.certificates[0].certificate
    assert not [request for request in cluster.api.requests if not request.startswith("get")]


@pytest.mark.parametrize("seed", range(10))
def test_races(seed: int) -> None:
    """Replicas that step in any interleaving, while things are destroyed, end whole and in agreement."""

    @virtual_time
    async def race() -> None:
        chance = Random(seed)
        cluster = Cluster()
        tasks = await running(cluster)
        for _ in range(4):
            await asyncio.sleep(chance.uniform(0, 120))
            for how in chance.sample(HARMS + BUNDLE_HARMS, k=chance.randint(1, 2)):
                if SECRET in cluster.api.objects or how in BUNDLE_HARMS:
                    _harm(cluster.api, how)
            await asyncio.sleep(chance.uniform(0, 2))
        await asyncio.sleep(60)
        assert cluster.whole()
        for task in tasks:
            task.cancel()

    race()


@pytest.mark.long
def test_a_year_without_a_failed_handshake() -> None:
    """Three replicas, 15 months, a probe every minute: leaves and an authority are renewed and no handshake fails.

    Replicas step every minute near a change, and every six hours in between, where a step finds nothing to do. What a
    probe sees changes with steps only, so it verifies (by an independent implementation) after each of them, and holds
    every minute against the time for which that verification is good.
    """

    @virtual_time
    async def year() -> None:
        cluster = Cluster()
        cluster.time.seconds = 0.0
        _store_old_authority(cluster)
        await asyncio.gather(*(rotator.step() for rotator in cluster.rotators))
        states, good_until = [_state(cluster)], cluster.trusted_for()
        dense_until, next_step, minutes = 7200.0, 0, int(456 * DAY / MINUTE)
        for minute in range(minutes):
            assert minute * MINUTE < good_until, minute
            if minute < next_step:
                continue
            for index, rotator in enumerate(cluster.rotators):
                cluster.time.seconds = minute * MINUTE + 7.0 * index
                await rotator.step()
                good_until = cluster.trusted_for()
                assert cluster.time.seconds < good_until, (minute, index)
            if _state(cluster) != states[-1]:
                states.append(_state(cluster))
                dense_until = minute * MINUTE + 7200
            next_step = minute + (1 if minute * MINUTE < dense_until else 360)
        assert [len(read_certificates(base64.b64decode(pem))) for pem, _ in states] == [1, 2, 1, 1]
        assert len({leaf for _, leaf in states}) == 3

    year()


def _state(cluster: Cluster) -> tuple[str, str]:
    return cluster.api.data["ca.crt"], cluster.api.data["tls.crt"]


def _store_old_authority(cluster: Cluster) -> None:
    """A Secret as it is nine and a half years after installation: its authority has 200 days left."""
    now = cluster.time.now()
    old = make_ca(now - timedelta(days=3450))
    leaf = make_leaf(old, [NAME], now)
    store(cluster, old, leaf)


@virtual_time
async def test_extra_certificates_are_published_beside_our_own() -> None:
    """What the Secret holds under extra.crt is trusted too, until all replicas must have seen it taken out again."""
    cluster = Cluster(replicas=1)
    (rotator,) = cluster.rotators
    await rotator.step()
    (own,) = cluster.api.bundles()
    extra = make_ca(cluster.time.now()).certificate
    cluster.api.edit(SECRET, data={**cluster.api.data, "extra.crt": base64.b64encode(extra).decode()})
    await rotator.step()
    (both,) = cluster.api.bundles()
    assert both == own + extra
    assert cluster.handshake(0)
    cluster.api.edit(SECRET, data={name: value for name, value in cluster.api.data.items() if name != "extra.crt"})
    await rotator.step()
    assert cluster.api.bundles() == {both}
    await asyncio.sleep(FORMER_SECONDS + 1)
    await rotator.step()
    assert cluster.api.bundles() == {own}

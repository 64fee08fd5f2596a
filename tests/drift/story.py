"""Whole lives of our product, the same on every stage: what everybody asks of a server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from lws.api.leaderworkerset.crd import LEADERWORKERSET
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    CUSTOMRESOURCEDEFINITIONS,
    EVENTS,
    LEASES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SECRETS,
    SERVICES,
    STATEFULSETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import APPLY_PATCH, JSON_PATCH, ApiClient
from lws.client.transport import Request
from lws.errors import ApiError, NotFoundError, TooManyRequestsError
from lws.manager.manager import ControllerManager
from lws.manager.settings import LEASE_NAME, Configuration, Settings
from lws.webhook.certificate import ServingCertificate
from lws.webhook.rotation import CertificateRotator
from tests.cli.sessions import Plugin
from tests.drift import installing
from tests.drift.installing import HOME
from tests.drift.recorder import Book, Recorder
from tests.drift.stages import Stage, until

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "lives"
OURS: Final = (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS)
STILL: Final = 2.0  # seconds without a write after which nothing more comes
PATHS: Final = frozenset(  # one of each configuration at least
    {
        "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "/validate-leaderworkerset-x-k8s-io-v1-leaderworkerset",
        "/mutate--v1-pod",
    }
)


class Story:
    """One telling.

    Args:
        stage: where.
        book: is written.
    """

    def __init__(self, stage: Stage, book: Book) -> None:
        self.stage = stage
        self.book = book
        self.user = ApiClient(Recorder(stage.open(), "user", book), user_agent="user", field_manager=None)
        self.unseen = ApiClient(stage.open(), user_agent="unseen", field_manager=None)

    async def tell(self) -> None:
        """All of it."""
        await self._install()
        await installing.install(self.user, self.unseen)
        await installing.try_wrong_policies(self.user)
        async with self._operating():
            await self._admission_is_asked()
            await installing.try_examples(self.user, NAMESPACE)
            await self._plain_life()
            await self._refusals()
            await self._rich_life()
            await self._plugin()
            await self._ends()
        await self._look_at_lease()
        async with self._operating():
            await self._look_at_lease()
        await self._certificates()
        reviews = ApiClient(Recorder(self.stage.open(), "reviews", self.book), user_agent="lws", field_manager=None)
        await installing.ask_for_metrics(self.user, reviews, self.stage.clock)

    # Before anything.

    async def _install(self) -> None:
        await self.unseen.create(CUSTOMRESOURCEDEFINITIONS, LEADERWORKERSET.manifest())
        await until(self._served)
        for name in (HOME, NAMESPACE):
            await self.user.create(NAMESPACES, {"metadata": {"name": name}})
        for resource, document in _configurations():
            for hook in document["webhooks"]:
                path = hook["clientConfig"]["service"]["path"]
                bundle = _base64(self.stage.authority)
                hook["clientConfig"] = {"url": self.stage.url + path, "caBundle": bundle}
            document["metadata"]["name"] = "asked"
            await self.user.create(resource, document)

    async def _served(self) -> bool:
        with suppress(NotFoundError, TooManyRequestsError):  # the latter while its storage begins
            await self.unseen.list(LEADERWORKERSETS)
            return True
        return False

    async def _admission_is_asked(self) -> None:
        """Wait until the server asks our webhook about sets and pods; it needs a moment after the configurations."""
        metadata = {"name": "probe", "labels": {"leaderworkerset.sigs.k8s.io/name": "probe"}}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "a", "image": "a"}]}}

        async def asked() -> bool:
            for resource, body in ((LEADERWORKERSETS, manifest("probe")), (PODS, pod)):
                with suppress(ApiError):
                    await _post(self.unseen, resource.path(NAMESPACE), (("dryRun", "All"),), body)
            return self.stage.reviewed >= PATHS

        await until(asked)

    @asynccontextmanager
    async def _operating(self) -> AsyncIterator[None]:
        configuration = {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": True}}
        settings = Settings(
            configuration=Configuration.model_validate(configuration), watchdog=None, resync=None, hostname="host"
        )
        transport = Recorder(self.stage.open(), "operator", self.book)
        operator = ControllerManager(settings, transport, clock=self.stage.clock, random=Random(1), sockets=False)
        self.stage.serve(operator.handle_review)
        task = asyncio.create_task(operator.run(), name="operator")
        try:
            async with asyncio.timeout(60):
                await operator.wait_ready()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Lives.

    async def _plain_life(self) -> None:
        """Creation, scaling, a rolling update with surge, a lost worker."""
        await self.user.create(LEADERWORKERSETS, manifest("plain"))
        await self._rest("plain")
        await self._look()
        scale = await self.user.get(LEADERWORKERSETS, NAMESPACE, "plain", "scale")
        scale["spec"]["replicas"] = 3
        await self.user.update(LEADERWORKERSETS, scale, subresource="scale")
        await self._rest("plain")
        await self._look(LEADERWORKERSETS, STATEFULSETS)
        rolling = {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 1}}
        await self._change("plain", {"replicas": 2, "rolloutStrategy": rolling})
        await self._rest("plain")
        await self._change("plain", {"leaderWorkerTemplate": {"workerTemplate": template("app:2")}})
        await self._rest("plain")
        await self._look()
        await self.user.delete(PODS, NAMESPACE, "plain-1-1")
        await self._rest("plain")
        await self._look(PODS)

    async def _refusals(self) -> None:
        """What people get wrong."""
        for name, spec in (
            ("negative", {"replicas": -1}),
            ("text", {"replicas": "two"}),
            ("no-template", {"leaderWorkerTemplate": {"size": 2}}),
            ("size", {"leaderWorkerTemplate": {"size": 0, "workerTemplate": template("app:1")}}),
            ("policy", {"startupPolicy": "Sometimes"}),
            ("zero", {"rolloutStrategy": {"rollingUpdateConfiguration": {"maxSurge": 0, "maxUnavailable": 0}}}),
        ):
            await _refused(self.user.create(LEADERWORKERSETS, manifest(name, **spec)))
        await _refused(self.user.create(LEADERWORKERSETS, manifest("plain")))
        await _refused(self.user.create(LEADERWORKERSETS, manifest("Not_A_Name")))
        await _post(self.user, LEADERWORKERSETS.path(NAMESPACE), (("dryRun", "All"),), manifest("u", replica=3))
        strict = (("fieldValidation", "Strict"), ("fieldManager", "strict"))
        await _refused(_post(self.user, LEADERWORKERSETS.path(NAMESPACE), strict, manifest("s", replica=3)))
        found = await self.user.get(LEADERWORKERSETS, NAMESPACE, "plain")
        found["metadata"]["resourceVersion"] = "1"
        await _refused(self.user.update(LEADERWORKERSETS, found))
        await _refused(self.user.delete(LEADERWORKERSETS, NAMESPACE, "plain", uid="another"))
        await _refused(self.user.delete(LEADERWORKERSETS, NAMESPACE, "absent"))
        test = [{"op": "test", "path": "/spec/replicas", "value": 77}]
        await _refused(self.user.patch(LEADERWORKERSETS, NAMESPACE, "plain", test, content_type=JSON_PATCH))
        owner = {**manifest("plain"), "spec": {"replicas": 9}}
        applied = self.user.patch(
            LEADERWORKERSETS, NAMESPACE, "plain", owner, content_type=APPLY_PATCH, field_manager="other", force=False
        )
        await _refused(applied)

    async def _rich_life(self) -> None:
        """Leaders of another kind, a service per group, claims, subgroups, waiting for leaders; applied twice."""
        claim = {
            "metadata": {"name": "disk"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        rich = manifest(
            "rich",
            replicas=1,
            startupPolicy="LeaderReady",
            networkConfig={"subdomainPolicy": "UniquePerReplica"},
            leaderWorkerTemplate={
                "size": 4,
                "leaderTemplate": {"metadata": {"labels": {"role": "leader"}}, **template("leader:1")},
                "workerTemplate": template("app:1"),
                "subGroupPolicy": {"subGroupSize": 2},
                "restartPolicy": "RecreateGroupOnPodRestart",
                "volumeClaimTemplates": [claim],
            },
        )
        for _ in range(2):
            await self.user.apply(LEADERWORKERSETS, rich, field_manager="applier")
            await self._rest("rich")
        await self._look()

    async def _plugin(self) -> None:
        """Everything that `kubectl lws` does, as a transport sees it."""
        client = ApiClient(
            Recorder(self.stage.open(), "kubectl-lws", self.book), user_agent="kubectl-lws", field_manager=None
        )
        plugin = Plugin(client, namespace=NAMESPACE)
        for line in ("tree", "explain-stuck", "status", "rollout pause"):
            await plugin.run(f"{line} plain")
        await self._rest("plain")
        await self._change("plain", {"leaderWorkerTemplate": {"workerTemplate": template("app:3")}})
        await self._rest()
        await plugin.run("rollout history plain")
        await plugin.run("rollout status --watch=false plain")
        for step in ("undo", "resume"):
            await plugin.run(f"rollout {step} plain")
            await self._rest()
        await self._rest("plain")
        await self._look(LEADERWORKERSETS, CONTROLLERREVISIONS)

    async def _ends(self) -> None:
        """Deletion in the background and in the foreground, the namespace's objects gone."""
        events = await self.unseen.list(EVENTS, NAMESPACE)
        for event in sorted(events["items"], key=lambda each: str(each["note"])):
            if event.get("reportingController") == "leaderworkerset":
                await self.user.get(EVENTS, NAMESPACE, event["metadata"]["name"])
        await self.user.delete(LEADERWORKERSETS, NAMESPACE, "plain")
        await self.user.delete(LEADERWORKERSETS, NAMESPACE, "rich", propagation="Foreground")
        await until(self._empty, seconds=120)
        await self._look_at_lease()

    async def _look_at_lease(self) -> None:
        """As a leader holds it, as it is given back, and as the next one takes it."""
        await self.user.get(LEASES, HOME, LEASE_NAME)

    async def _certificates(self) -> None:
        """The Secret and both bundles, written, broken, and healed."""
        for resource, document in _configurations():
            document["metadata"]["name"] = "lws-" + document["metadata"]["name"]
            for hook in document["webhooks"]:
                hook["namespaceSelector"] = {"matchLabels": {"nowhere": "at-all"}}
            await self.user.create(resource, document)
        client = ApiClient(Recorder(self.stage.open(), "certificates", self.book), user_agent="lws", field_manager=None)
        rotator = CertificateRotator(
            client, ServingCertificate(), clock=self.stage.clock, random=Random(1), namespace=HOME
        )
        await rotator.step()
        secret = await self.user.get(SECRETS, HOME, "lws-webhook-server-cert")
        secret["data"]["tls.crt"] = _base64(b"broken")
        await self.user.update(SECRETS, secret)
        await rotator.step()
        for resource, document in _configurations():
            await self.user.get(resource, "", "lws-" + document["metadata"]["name"])

    # Steps.

    async def _change(self, name: str, spec: JSON) -> None:
        await self.user.patch(LEADERWORKERSETS, NAMESPACE, name, {"spec": spec}, field_manager="changer")

    async def _look(self, *resources: Resource) -> None:
        """Read everything of these kinds, at rest."""
        for resource in resources or OURS:
            await self.user.list(resource, NAMESPACE)

    async def _empty(self) -> bool:
        kinds = (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS)
        return not any([(await self.unseen.list(kind, NAMESPACE))["items"] for kind in kinds])

    async def _rest(self, name: str = "") -> None:
        """Wait until nothing of ours was written for a moment, and a set is Available at its generation."""
        loop = asyncio.get_running_loop()
        before: list[str] = []
        since = loop.time()

        async def still() -> bool:
            nonlocal before, since
            versions = [
                f"{each['metadata']['uid']}/{each['metadata']['resourceVersion']}"
                for resource in OURS
                for each in (await self.unseen.list(resource, NAMESPACE))["items"]
            ]
            if versions != before:
                before, since = versions, loop.time()
            return loop.time() - since >= STILL and (not name or await self._available(name))

        await until(still, seconds=120, every=0.25)

    async def _available(self, name: str) -> bool:
        found = await self.unseen.get(LEADERWORKERSETS, NAMESPACE, name)
        status = found.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        return conditions.get("Available") == "True" and (
            status.get("observedGeneration") == found["metadata"]["generation"]
        )


def manifest(name: str, **spec: Any) -> JSON:
    """A LeaderWorkerSet as a user writes it."""
    body = {"replicas": 2, "leaderWorkerTemplate": {"size": 2, "workerTemplate": template("app:1")}, **spec}
    return {
        "apiVersion": LEADERWORKERSETS.api_version,
        "kind": LEADERWORKERSETS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": body,
    }


def template(image: str) -> JSON:
    """A pod template that leaves most to the defaults."""
    return {
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "ports": [{"containerPort": 80}],
                    "resources": {"requests": {"cpu": "0.1"}},
                    "readinessProbe": {"httpGet": {"port": 80}},
                }
            ],
        }
    }


async def _post(client: ApiClient, path: str, query: tuple[tuple[str, str], ...], body: JSON) -> None:
    headers = {"content-type": "application/json"}
    await client.send(Request("POST", path, query, headers, json.dumps(body).encode()))


async def _refused(call: Awaitable[object]) -> None:
    with suppress(ApiError):
        await call


@cache
def _documents() -> str:
    return (ROOT / "config/webhook/manifests.yaml").read_text()


def _configurations() -> list[tuple[Resource, JSON]]:
    kinds = {each.kind: each for each in (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)}
    return [(kinds[document["kind"]], document) for document in yaml.safe_load_all(_documents())]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""Namespaces: the default account and the cluster's CA in each, and the end of those that are deleted."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Resource
from lws.client.transport import Request
from lws.errors import AlreadyExistsError, ApiError, ConflictError, ForbiddenError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, KeyedLoop, RequeueAfter, Toolbox, Verdict
from lws_sandbox.controllers.discovery import discover
from lws_sandbox.controllers.namespace_plan import GRACE, RETRY, Remainder, deletion_order, namespace_conditions
from lws_sandbox.controllers.objects import is_terminating, meta, parse_time

ROOT_CA: Final = "kube-root-ca.crt"
_PAUSE: Final = 0.2  # seconds between looks while what is left has no grace to wait for


class NamespaceLoop(KeyedLoop[str]):
    """Empties namespaces that are deleted, says what remains, and takes the finalizer off last."""

    def __init__(self, tools: Toolbox) -> None:
        self._namespaces = tools.watch(NAMESPACES)
        super().__init__(tools, "namespace-controller", self.sync, workers=10, caches=(self._namespaces,))
        self._client = tools.client()
        self._clock = tools.clock
        self._namespaces.on_change(self._on_namespace)

    def _on_namespace(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None and new.metadata.deleting:
            self.queue.add(new.metadata.name, initial)

    async def sync(self, name: str) -> Verdict:
        """One sweep of one namespace."""
        found = self._namespaces.store.get("", name)
        if found is None or not is_terminating(found.raw) or "kubernetes" not in _finalizers(found.raw):
            return Done()
        begun = parse_time(meta(found.raw)["deletionTimestamp"])
        assert begun is not None
        wait = (begun + timedelta(seconds=GRACE) - self._clock.now()).total_seconds()
        if wait > 0:
            return RequeueAfter(wait)
        left = await self._sweep(name)
        namespace = await self._write_conditions(found.raw, left)
        if namespace is None:
            return Done()
        if not left.empty:
            return RequeueAfter(_PAUSE if not left.failures else RETRY)
        await self._finalize(namespace)
        return Done()

    async def _sweep(self, name: str) -> Remainder:
        """Delete everything; pods first, and the rest once they are gone."""
        served = {item.resource: item.verbs for item in await discover(self._client) if item.resource.namespaced}
        left = Remainder()
        for resource in deletion_order(served):
            if not {"list", "delete"} <= served[resource]:
                continue
            await self._empty(resource, name, left)
            if resource.plural == "pods" and not resource.group and not left.empty:
                break
        return left

    async def _empty(self, resource: Resource, namespace: str, left: Remainder) -> None:
        try:
            before = await self._client.list(resource, namespace)
            if not before.get("items"):
                return
            await self._client.send(_delete_collection(resource, namespace))
            after = await self._client.list(resource, namespace)
        except NotFoundError:
            return  # no longer served
        except ApiError as error:
            left.failures.append(str(error))
            return
        left.add(resource, after.get("items") or ())

    async def _write_conditions(self, namespace: JSON, left: Remainder) -> JSON | None:
        status = namespace.get("status") or {}
        conditions = namespace_conditions(status.get("conditions") or [], left, self._clock.now())
        if conditions == status.get("conditions"):
            return namespace
        changed = {**namespace, "status": {**status, "conditions": conditions}}
        try:
            return await self._client.update(NAMESPACES, changed, subresource="status")
        except NotFoundError:
            return None

    async def _finalize(self, namespace: JSON) -> None:
        left = [item for item in _finalizers(namespace) if item != "kubernetes"]
        changed = {**namespace, "spec": {**namespace["spec"], "finalizers": left}}
        try:
            await self._client.update(NAMESPACES, changed, subresource="finalize")
        except NotFoundError:
            return


class ServiceAccountLoop(KeyedLoop[str]):
    """Gives every living namespace its account ``default``."""

    def __init__(self, tools: Toolbox) -> None:
        self._namespaces = tools.watch(NAMESPACES)
        self._accounts = tools.watch(SERVICEACCOUNTS)
        caches = (self._namespaces, self._accounts)
        super().__init__(tools, "serviceaccount-controller", self.sync, workers=1, caches=caches)
        self._client = tools.client()
        self._namespaces.on_change(self._on_namespace)
        self._accounts.on_change(self._on_account)

    def _on_namespace(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(new.metadata.name, initial)

    def _on_account(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        if old is not None and new is None and old.metadata.name == "default":
            self.queue.add(old.metadata.namespace)

    async def sync(self, namespace: str) -> Verdict:
        """Make sure of one namespace's account."""
        found = self._namespaces.store.get("", namespace)
        if found is None or is_terminating(found.raw) or self._accounts.store.get(namespace, "default"):
            return Done()
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        }
        await _create_in(self._client.create(SERVICEACCOUNTS, account))
        return Done()


class RootCaLoop(KeyedLoop[str]):
    """Publishes the cluster's CA in every living namespace."""

    def __init__(self, tools: Toolbox, ca: str) -> None:
        self._namespaces = tools.watch(NAMESPACES)
        self._maps = tools.watch(CONFIGMAPS)
        super().__init__(
            tools,
            "root-ca-certificate-publisher-controller",
            self.sync,
            workers=1,
            caches=(self._namespaces, self._maps),
        )
        self._client = tools.client()
        self._manifest: JSON = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": ROOT_CA,
                "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver "
                    "when using internal endpoints such as the internal service IP or kubernetes.default.svc. "
                    "No other usage is guaranteed across distributions of Kubernetes clusters."
                },
            },
            "data": {"ca.crt": ca},
        }
        self._namespaces.on_change(self._on_namespace)
        self._maps.on_change(self._on_map)

    def _on_namespace(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(new.metadata.name, initial)

    def _on_map(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        changed = new or old
        if changed is not None and changed.metadata.name == ROOT_CA:
            self.queue.add(changed.metadata.namespace)

    async def sync(self, namespace: str) -> Verdict:
        """Make sure of one namespace's copy."""
        found = self._namespaces.store.get("", namespace)
        if found is None or is_terminating(found.raw):
            return Done()
        wanted = {**self._manifest, "metadata": {**self._manifest["metadata"], "namespace": namespace}}
        live = self._maps.store.get(namespace, ROOT_CA)
        if live is None:
            await _create_in(self._client.create(CONFIGMAPS, wanted))
        elif live.raw.get("data") != wanted["data"]:
            version = {"resourceVersion": live.metadata.resource_version}
            metadata = {**wanted["metadata"], **version}
            await self._client.update(CONFIGMAPS, {**wanted, "metadata": metadata})
        return Done()


async def _create_in(create: Awaitable[JSON]) -> None:
    """Create something in a namespace; one that is there or a namespace that goes needs nothing."""
    try:
        await create
    except (AlreadyExistsError, NotFoundError, ConflictError, ForbiddenError):
        return


def _finalizers(namespace: JSON) -> list[str]:
    found: list[str] = (namespace.get("spec") or {}).get("finalizers") or []
    return found


def _delete_collection(resource: Resource, namespace: str) -> Request:
    headers = {"content-type": "application/json"}
    body = b'{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}'
    return Request("DELETE", resource.path(namespace), (), headers, body)

"""Registers this process's webhooks by URL, for a controller that runs on a developer's machine.

Guarantees: a registration that leads to a controller in the cluster is left alone; what was registered is deleted again
when the controller stops in order.

Caveats: after a crash it stays, and API servers reject pods of LeaderWorkerSets until the next run takes it over; the
error that they give names the URL.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

import structlog

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import MUTATINGWEBHOOKCONFIGURATIONS, PODS, VALIDATINGWEBHOOKCONFIGURATIONS, Resource
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, LwsError, NotFoundError
from lws.webhook.handlers import Endpoint

TIMEOUT_SECONDS: Final = 5
_OURS: Final = {"matchExpressions": [{"key": labels.NAME, "operator": "Exists"}]}
_KINDS: Final = {
    "mutate": (MUTATINGWEBHOOKCONFIGURATIONS, "lws-mutating-webhook-configuration"),
    "validate": (VALIDATINGWEBHOOKCONFIGURATIONS, "lws-validating-webhook-configuration"),
}
_log = structlog.stdlib.get_logger("lws.webhook")


class LocalRegistration:
    """The webhook configurations that lead to this process.

    Args:
        client: reaches the webhook configurations.
        endpoints: what is answered, by path.
        host: name or address under which API servers reach this machine.
        port: of the webhook.
    """

    def __init__(self, client: ApiClient, endpoints: Mapping[str, Endpoint], *, host: str, port: int) -> None:
        self._client = client
        self._endpoints = endpoints
        self._base = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._registered: list[tuple[Resource, str, str | None]] = []  # resource, name, UID

    async def register(self, bundle: bytes) -> None:
        """Have API servers ask this process, whose certificate ``bundle`` trusts.

        Raises:
            ConfigurationError: a controller in the cluster is asked already.
            LwsError: the API server refused.
        """
        for verb, (resource, name) in _KINDS.items():
            manifest = self._manifest(verb, name, bundle)
            live = await self._live(resource, name)
            if live is None:
                answer = await self._client.create(resource, manifest)
            elif any("service" in (hook.get("clientConfig") or {}) for hook in live.get("webhooks") or ()):
                raise ConfigurationError(
                    f"{name} leads to a controller in this cluster already; delete that installation,"
                    " or run without --serve-webhooks-locally"
                )
            else:
                answer = await self._client.update(resource, {**live, "webhooks": manifest["webhooks"]})
            self._registered.append((resource, name, answer["metadata"].get("uid")))
        _log.info("webhooks registered", url=self._base)

    async def withdraw(self) -> None:
        """Delete what was registered; failure is logged only. Idempotent."""
        registered, self._registered = self._registered, []
        for resource, name, uid in registered:
            try:
                await self._client.delete(resource, "", name, uid=uid)
            except NotFoundError:
                continue
            except LwsError as error:
                _log.warning(
                    "webhooks stay registered, and reject pods of LeaderWorkerSets: delete the configuration",
                    configuration=name,
                    cause=str(error),
                )

    async def _live(self, resource: Resource, name: str) -> JSON | None:
        try:
            return await self._client.get(resource, "", name)
        except NotFoundError:
            return None

    def _manifest(self, verb: str, name: str, bundle: bytes) -> JSON:
        encoded = base64.b64encode(bundle).decode()
        hooks = [
            {**webhook(path, endpoint), "clientConfig": {"url": f"{self._base}{path}", "caBundle": encoded}}
            for path, endpoint in self._endpoints.items()
            if path.startswith(f"/{verb}-")
        ]
        return {"metadata": {"name": name}, "webhooks": hooks}


def webhook(path: str, endpoint: Endpoint) -> JSON:
    """The webhook of a path, without how it is reached; as in config/webhook."""
    kind, resource = endpoint.kind, f"{endpoint.kind.kind.lower()}s"
    found: JSON = {
        "name": f"{path[1]}{kind.kind.lower()}.kb.io",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "rules": [
            {
                "apiGroups": [kind.group],
                "apiVersions": [kind.version],
                "operations": sorted(endpoint.operations),
                "resources": [resource],
                "scope": "Namespaced",
            }
        ],
    }
    if path.startswith("/mutate-"):
        found["reinvocationPolicy"] = "Never"
    if resource == PODS.plural:
        found["objectSelector"] = _OURS
    return found

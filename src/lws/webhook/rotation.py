"""Rotates the webhook's certificates: the Secret, the bundle in the webhook configurations, what is served.

Every replica runs one. Flow of a step: read the Secret, renew it if that is due, publish its bundle in both
configurations, and only then serve its leaf.

Guarantees:
    * Replicas agree through the Secret's resourceVersion: the first write wins.
    * No leaf is served before an API server can know its authority, unless the one being served is not trusted either,
      and no authority is withdrawn while a replica may still serve its leaf.
    * Certificates that the Secret holds under ``extra.crt`` are published as well: while another source of
      certificates takes over, its pods and ours serve side by side, and both must be trusted (operator 5.5).
    * What is deleted, emptied, mismatched or wiped is restored within a minute. A Secret that somebody else filled with
      a valid certificate is used as it is, and so is one that may not be renewed, for as long as it is valid.
    * Nothing is watched; only the Secret and the two configurations are read, by name.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final, Protocol, TypeAlias

import structlog

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import MUTATINGWEBHOOKCONFIGURATIONS, SECRETS, VALIDATINGWEBHOOKCONFIGURATIONS, Resource
from lws.clock import Clock
from lws.errors import AlreadyExistsError, ApiError, ConflictError, LwsError, NotFoundError
from lws.runtime.errorfields import error_fields
from lws.webhook.bundles import FormerAuthorities, decoded, published_authorities, with_bundle
from lws.webhook.certificate import ServingCertificate
from lws.webhook.certs import read_certificates, to_pem
from lws.webhook.keychain import EXTRA, Keychain, distrust, readable, renewed

CONFIGURATIONS: Final[tuple[tuple[Resource, str], ...]] = (
    (MUTATINGWEBHOOKCONFIGURATIONS, "lws-mutating-webhook-configuration"),
    (VALIDATINGWEBHOOKCONFIGURATIONS, "lws-validating-webhook-configuration"),
)
INTERVAL: Final = 30.0  # seconds between two steps: what is broken is restored within a minute
JITTER: Final = 5.0  # seconds, so that replicas do not step together
PATIENCE: Final = 300.0  # seconds for which looks may fail before a certificate that was trusted counts as doubtful
SETTLE: Final = 15.0  # seconds that an API server is given to see a new bundle
TRIES: Final = 5  # of one step, when other replicas write at the same time
_log = structlog.stdlib.get_logger("lws.webhook")


Compute: TypeAlias = Callable[..., Awaitable[Any]]  # of a function and its arguments; as `asyncio.to_thread`


async def at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function here and now."""
    return function(*arguments)


class Objects(Protocol):
    """The verbs needed of `lws.client.ApiClient`."""

    async def get(self, resource: Resource, namespace: str, name: str) -> JSON:
        """Read one object."""
        ...

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> JSON:
        """Create an object."""
        ...

    async def update(self, resource: Resource, manifest: Mapping[str, Any]) -> JSON:
        """Replace an object at the resourceVersion in the manifest."""
        ...


class CertificateRotator:
    """Rotates the certificates of one replica's webhook.

    Args:
        client: reaches the Secret and the two configurations.
        serving: where the leaf goes.
        clock: validity, and the time since a bundle was published.
        random: jitter.
        namespace: of the Secret and the Service.
        secret: name of the Secret.
        service: name of the webhook's Service.
        configurations: where the bundle is published; none for a port that no webhook is asked at.
        compute: calls what makes and proves keys, which takes tenths of a second; such as `asyncio.to_thread`.
        observe: called with the expiry of the leaf and of its authority whenever a leaf is loaded.
    """

    def __init__(
        self,
        client: Objects,
        serving: ServingCertificate,
        *,
        clock: Clock,
        random: Random,
        namespace: str,
        secret: str = "lws-webhook-server-cert",  # noqa: S107 -- a name
        service: str = "lws-webhook-service",
        configurations: Sequence[tuple[Resource, str]] = CONFIGURATIONS,
        observe: Callable[[datetime, datetime], None] = lambda _leaf, _ca: None,
        compute: Compute = at_once,
    ) -> None:
        self._client, self._serving = client, serving
        self._clock, self._random = clock, random
        self._namespace, self._secret = namespace, secret
        self._names = (f"{service}.{namespace}.svc",)
        self._configurations = tuple(configurations)
        self._observe, self._compute = observe, compute
        self._published: tuple[bytes, float] = (b"", 0.0)  # the bundle, and since when both configurations have it
        self._known = b""  # the last good bundle
        self._former = FormerAuthorities()
        self._looked_at = float("-inf")  # monotonic, of the last step that succeeded
        self._fault: str | None = "the certificate has not been read yet"

    @property
    def fault(self) -> str | None:
        """Why an API server might not trust this replica; None if it does."""
        return self._fault

    async def run(self) -> None:
        """Take steps until cancelled; a step that fails is taken again soon."""
        while True:
            try:
                wait = await self.step()
                self._looked_at = self._clock.monotonic()
                self._fault = self._distrust()
            except LwsError as error:
                wait, self._fault = INTERVAL / 3, self._doubt(str(error))
                _log.warning("certificate rotation failed", **error_fields(error))
            except Exception as error:
                wait, self._fault = INTERVAL, self._doubt(type(error).__name__)
                _log.exception("certificate rotation failed")
            await asyncio.sleep(wait + self._random.uniform(0.0, JITTER))

    async def step(self) -> float:
        """Read, renew, publish and serve what is due; returns the seconds until the next step.

        Raises:
            LwsError: the API server refused or did not answer, or the Secret's certificate cannot be served.
        """
        keychain, extra = await self._agreed()
        found = [await self._read(resource, "", name) for resource, name in self._configurations]
        bundle = self._former.beside(
            keychain.ca.certificate + extra, published_authorities(found), self._clock.now(), self._clock.monotonic()
        )
        self._known = bundle
        complete = True
        for (resource, name), configuration in zip(self._configurations, found, strict=True):
            complete &= await self._publish(resource, name, configuration, bundle)
        if self._published[0] != bundle:
            self._published = (bundle, self._clock.monotonic())
        return self._serve(keychain, complete=complete)

    async def _agreed(self) -> tuple[Keychain, bytes]:
        """The Secret's keys and certificates, renewed if that was due, and extra ones; the same for all replicas."""
        for _ in range(TRIES):
            secret = await self._read(SECRETS, self._namespace, self._secret)
            data = decoded(secret)
            current, extra = Keychain.from_data(data), data.get(EXTRA, b"")
            extra = extra if readable(extra) else b""
            known = self._known if readable(current.ca.certificate) else self._known + await self._bundles()
            due, why = await self._compute(renewed, current, self._names, self._clock.now(), known)
            if not why:
                return current, extra
            _log.info("certificates renewed", reason=why, secret=self._secret)
            try:
                await self._write(secret, due)
                return due, extra
            except (ConflictError, AlreadyExistsError, NotFoundError):
                continue  # Another replica was first: what it wrote counts.
            except ApiError as error:
                if distrust(current.ca.certificate, current.leaf.certificate, self._names, self._clock.now()):
                    raise
                _log.warning("certificates cannot be renewed; these are kept while they last", **error_fields(error))
                return current, extra
        raise ConflictError(409, "Conflict", f"the Secret {self._secret} is written by too many at once")

    async def _write(self, secret: JSON | None, keychain: Keychain) -> None:
        data = {name: base64.b64encode(value).decode() for name, value in keychain.to_data().items()}
        if secret is not None:
            await self._client.update(SECRETS, {**secret, "data": {**(secret.get("data") or {}), **data}})
            return
        metadata = {"name": self._secret, "namespace": self._namespace}
        await self._client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    async def _publish(self, resource: Resource, name: str, found: JSON | None, bundle: bytes) -> bool:
        """Whether the configuration is there; afterwards all its webhooks have the bundle."""
        for _ in range(TRIES):
            if found is None:
                return False
            changed = with_bundle(found, bundle)
            if changed == found:
                return True
            try:
                await self._client.update(resource, changed)
            except ConflictError:
                found = await self._read(resource, "", name)
                continue
            # Whatever leaf is new may be served only after API servers had time to see this bundle.
            self._published = (b"", 0.0)
            _log.info("bundle published", configuration=name)
            return True
        raise ConflictError(409, "Conflict", f"{name} is written by too many at once")

    def _serve(self, keychain: Keychain, *, complete: bool) -> float:
        """Serve the keychain's leaf as soon as it is trusted; returns the seconds until the next step."""
        served, leaf = self._serving.certificate, keychain.leaf
        if served == leaf.certificate:
            return INTERVAL
        if not complete:
            _log.warning(
                "a webhook configuration is missing: not every review reaches this webhook; apply config/webhook"
            )
        left = self._published[1] + SETTLE - self._clock.monotonic()
        if left > 0 and served is not None and not self._distrusted(served):
            return left
        self._serving.load(leaf.certificate, leaf.key)
        ends = [read_certificates(pem)[0].not_valid_after_utc for pem in (leaf.certificate, keychain.ca.certificate)]
        self._observe(ends[0], ends[1])
        _log.info("serving certificate loaded", expires=ends[0].isoformat())
        return INTERVAL

    def _distrusted(self, served: bytes) -> str:
        return distrust(self._known, served, self._names, self._clock.now())

    def _distrust(self) -> str | None:
        served = self._serving.certificate
        why = self._distrusted(served) if served is not None else "there is none"
        return f"the serving certificate is not trusted: {why}" if why else None

    def _doubt(self, cause: str) -> str | None:
        """What a failed look means: nothing yet, if what is served was trusted just now.

        Else a server that hiccups would take every replica's webhook out of service at once.
        """
        recent = self._clock.monotonic() - self._looked_at < PATIENCE
        return None if recent and self._distrust() is None else f"certificates cannot be kept: {cause}"

    async def _bundles(self) -> bytes:
        """The authorities that are published now, for when the Secret does not tell them any more."""
        found = [await self._read(resource, "", name) for resource, name in self._configurations]
        return to_pem(published_authorities(found))

    async def _read(self, resource: Resource, namespace: str, name: str) -> JSON | None:
        try:
            return await self._client.get(resource, namespace, name)
        except NotFoundError:
            return None

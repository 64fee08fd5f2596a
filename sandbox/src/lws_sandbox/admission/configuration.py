"""Webhook configurations as the server reads them: in order, with defaults, parsed once for each stored version."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.rest.selectors import EVERYTHING, Selector, from_object

DEFAULT_TIMEOUT: Final = 10  # seconds
DEFAULT_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Rule:
    """What a webhook wants to be asked about; ``*`` stands for everything."""

    operations: tuple[str, ...]
    groups: tuple[str, ...]
    versions: tuple[str, ...]
    resources: tuple[str, ...]
    scope: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook is.

    Attributes:
        url: as configured; empty for a service.
        service: namespace, name and port; None for a URL.
        path: of a service.
        ca_bundle: PEM of the authorities to trust; empty means those of the system.
    """

    url: str = ""
    service: tuple[str, str, int] | None = None
    path: str = ""
    ca_bundle: bytes = b""

    @property
    def server_name(self) -> str:
        """The name that the certificate of a service has to have."""
        return f"{self.service[1]}.{self.service[0]}.svc" if self.service else ""

    def address(self, timeout: int) -> str:
        """The address as error messages show it, with the timeout that the webhook is told."""
        if self.service:
            base = f"https://{self.server_name}:{self.service[2]}/{self.path.lstrip('/')}"
        else:
            scheme, _, rest = self.url.partition("://")
            host, _, path = rest.partition("/")
            base = f"{scheme}://{host}/{path}"
        return f"{base}?timeout={timeout}s"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of a configuration."""

    uid: str
    name: str
    target: Target
    rules: tuple[Rule, ...]
    versions: tuple[str, ...]
    namespace_selector: Selector = EVERYTHING
    object_selector: Selector = EVERYTHING
    conditions: tuple[tuple[str, str], ...] = ()  # name and expression
    ignores_failures: bool = False
    equivalent: bool = True
    side_effects: str = ""
    timeout: int = DEFAULT_TIMEOUT
    reinvocable: bool = False


class Configurations:
    """The webhooks of all configurations of one kind, sorted by the configuration's name, then as listed."""

    def __init__(self, stored: Callable[[], Iterable[JSON]]) -> None:
        """``stored`` gives the objects of the store, which are never altered."""
        self._stored = stored
        self._parsed: dict[str, tuple[str, tuple[Webhook, ...]]] = {}

    def webhooks(self) -> list[Webhook]:
        """Every webhook, in the order in which they are asked."""
        found: list[Webhook] = []
        parsed: dict[str, tuple[str, tuple[Webhook, ...]]] = {}
        for configuration in sorted(self._stored(), key=lambda stored: str(stored["metadata"]["name"])):
            name = configuration["metadata"]["name"]
            version = f"{configuration['metadata'].get('uid')}/{configuration['metadata'].get('resourceVersion')}"
            known = self._parsed.get(name)
            parsed[name] = known if known and known[0] == version else (version, parse(configuration))
            found += parsed[name][1]
        self._parsed = parsed
        return found


def parse(configuration: JSON) -> tuple[Webhook, ...]:
    """The webhooks of one configuration."""
    name = configuration["metadata"]["name"]
    seen: dict[str, int] = {}
    parsed = []
    for raw in configuration.get("webhooks") or []:
        count = seen.get(raw["name"], 0)
        seen[raw["name"]] = count + 1
        parsed.append(_webhook(raw, f"{name}/{raw['name']}/{count}"))
    return tuple(parsed)


def _webhook(raw: JSON, uid: str) -> Webhook:
    return Webhook(
        uid=uid,
        name=raw["name"],
        target=_target(raw.get("clientConfig") or {}),
        rules=tuple(_rule(rule) for rule in raw.get("rules") or []),
        versions=tuple(raw.get("admissionReviewVersions") or ()),
        namespace_selector=from_object(raw.get("namespaceSelector") or {}) or EVERYTHING,
        object_selector=from_object(raw.get("objectSelector") or {}) or EVERYTHING,
        conditions=tuple((found["name"], found["expression"]) for found in raw.get("matchConditions") or []),
        ignores_failures=raw.get("failurePolicy") == "Ignore",
        equivalent=raw.get("matchPolicy", "Equivalent") == "Equivalent",
        side_effects=raw.get("sideEffects") or "",
        timeout=raw.get("timeoutSeconds") or DEFAULT_TIMEOUT,
        reinvocable=raw.get("reinvocationPolicy") == "IfNeeded",
    )


def _rule(raw: JSON) -> Rule:
    return Rule(
        operations=tuple(raw.get("operations") or ()),
        groups=tuple(raw.get("apiGroups") or ()),
        versions=tuple(raw.get("apiVersions") or ()),
        resources=tuple(raw.get("resources") or ()),
        scope=raw.get("scope") or "*",
    )


def _target(raw: JSON) -> Target:
    try:
        bundle = base64.b64decode(raw.get("caBundle") or "")
    except binascii.Error:
        bundle = b""
    service = raw.get("service")
    if not service:
        return Target(url=raw.get("url") or "", ca_bundle=bundle)
    place = (service["namespace"], service["name"], service.get("port") or DEFAULT_PORT)
    return Target(service=place, path=service.get("path") or "", ca_bundle=bundle)

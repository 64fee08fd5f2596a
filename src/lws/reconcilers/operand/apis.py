"""Which optional APIs the cluster serves, found by discovery (operator 5.5, 5.6).

Guarantees: after a change of a definition of such an API the answer is asked for anew until ten seconds have passed,
for discovery lags behind; otherwise it is remembered for five minutes.
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from lws.apimachinery.resources import CERTIFICATES, ISSUERS, PROMETHEUSRULES, SERVICEMONITORS, Resource
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.clock import Clock
from lws.errors import NotFoundError

OPTIONAL: Final = (ISSUERS, CERTIFICATES, SERVICEMONITORS, PROMETHEUSRULES)
GROUPS: Final = frozenset(each.group for each in OPTIONAL)
OPENSHIFT_GROUP: Final = "config.openshift.io"
APISERVERS: Final = Resource(OPENSHIFT_GROUP, "v1", "apiservers", "APIServer", namespaced=False)
SETTLING_SECONDS: Final = 10.0
REMEMBERED_SECONDS: Final = 300.0


class OptionalApis:
    """Asks and remembers; see the module for its guarantees."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._served: frozenset[str] = frozenset()
        self._asked_at = float("-inf")
        self._unsettled_until = float("-inf")

    def changed(self, definition: str) -> bool:
        """A definition has changed; returns whether it is of an optional API."""
        if definition.partition(".")[2] not in GROUPS:
            return False
        self._unsettled_until = self._clock.monotonic() + SETTLING_SECONDS
        return True

    @property
    def unsettled(self) -> bool:
        """Whether the answer may still change by itself."""
        return self._clock.monotonic() < self._unsettled_until

    async def served(self) -> frozenset[str]:
        """Optional kinds that are served, as ``Issuer.cert-manager.io``, and the group of OpenShift if it is.

        Raises:
            ApiError: the server refuses to tell.
            TransportError: no answer.
        """
        now = self._clock.monotonic()
        if self.unsettled or now - self._asked_at >= REMEMBERED_SECONDS:
            groups = {(each.group, each.version) for each in OPTIONAL} | {(OPENSHIFT_GROUP, "v1")}
            found = await asyncio.gather(*(self._kinds(*each) for each in sorted(groups)))
            self._served = frozenset().union(*found)
            self._asked_at = now
        return self._served

    async def _kinds(self, group: str, version: str) -> frozenset[str]:
        try:
            answer = await self._client.send(Request("GET", f"/apis/{group}/{version}"))
        except NotFoundError:
            return frozenset()
        kinds = {str(each.get("kind")) for each in orjson.loads(answer.body).get("resources") or ()}
        return frozenset(f"{kind}.{group}" for kind in kinds) | {group}

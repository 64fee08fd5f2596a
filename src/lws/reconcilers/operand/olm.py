"""Tells OLM whether an upgrade may be offered, where OLM asks for that (operator 5.4)."""

from __future__ import annotations

import structlog

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ConflictError, LwsError
from lws.planning.operand.olm import OPERATORCONDITIONS, UPGRADEABLE, mirrored

_log = structlog.stdlib.get_logger("lws.operand")


class OperatorCondition:
    """Mirrors Upgradeable into the object that OLM named.

    Args:
        client: reads and writes it.
        namespace: of the operator.
        name: which OLM put into the environment; empty if there is no OLM.
        clock: stamps changes.
    """

    def __init__(self, client: ApiClient, namespace: str, name: str, clock: Clock) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._clock = clock

    async def mirror(self, status: JSON) -> None:
        """Have OLM know; what keeps it from knowing is logged, and nothing else depends on it."""
        condition = next((each for each in status.get("conditions") or () if each["type"] == UPGRADEABLE), None)
        if not self._name or condition is None:
            return
        try:
            live = await self._client.get(OPERATORCONDITIONS, self._namespace, self._name)
            entries = mirrored(live, condition, self._clock.now())
            if entries is None:
                return
            version = {"resourceVersion": live["metadata"]["resourceVersion"]}
            change = {"metadata": version, "spec": {"conditions": entries}}
            await self._client.patch(OPERATORCONDITIONS, self._namespace, self._name, change)
        except ConflictError:
            return  # the next pass sees what OLM wrote
        except LwsError as error:
            _log.warning("OLM cannot be told whether an upgrade may be offered", name=self._name, cause=str(error))

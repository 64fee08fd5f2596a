"""What all drills share: the cluster they are for, a client, and arguments that are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import ConfigDict, Field, validate_call

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES
from lws.errors import LwsError, NotFoundError
from lws_sandbox.ranges import COUNTS, EXIT_CODES, NUMBERS, SECONDS, SHARES, SPEEDS, STATUS_CODES

if TYPE_CHECKING:
    from lws_sandbox.cluster import Cluster
    from lws_sandbox.server import ApiServer

Seconds = Annotated[float, Field(ge=SECONDS.low, le=SECONDS.high, allow_inf_nan=False)]
Speed = Annotated[float, Field(ge=SPEEDS.low, le=SPEEDS.high, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=SHARES.low, le=SHARES.high, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=NUMBERS.low, le=NUMBERS.high, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=COUNTS.low, le=COUNTS.high)]
StatusCode = Annotated[int, Field(ge=STATUS_CODES.low, le=STATUS_CODES.high)]
ExitCode = Annotated[int, Field(ge=EXIT_CODES.low, le=EXIT_CODES.high)]
Grace = Annotated[int, Field(ge=SECONDS.low, le=SECONDS.high)]
checked: Final = validate_call(config=ConfigDict(arbitrary_types_allowed=True))


class DrillError(LwsError):
    """The drill cannot be done; the message says why, in one sentence."""


class ClusterAccess:
    """A cluster, and what drills need of it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client = cluster.admin("sandbox-drills")

    def _own_server(self) -> ApiServer:
        """The API server, where it is the sandbox's own and takes orders."""
        if self._cluster.server is None:
            raise DrillError("the control plane is a real one, which takes no such drill: start the sandbox's own")
        return self._cluster.server

    async def _node(self, name: str) -> JSON:
        """A node with a kubelet of the sandbox."""
        try:
            node = await self._client.get(NODES, "", name)
        except NotFoundError:
            raise DrillError(f"there is no node {name!r}") from None
        if name not in self._cluster.loops.fleet.shapes:
            raise DrillError(f"node {name!r} has no kubelet of the sandbox")
        return node

"""One look at an installation from outside: what ``lws-operator diff``, ``gather`` and ``handback`` start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.errors import NotFoundError
from lws.manager.restarts import GroupRestarts
from lws.manager.version import user_agent
from lws.planning.operand.assets import Asset, assets
from lws.planning.operand.preview import Preview
from lws.reconcilers.operand.apis import OptionalApis
from lws.reconcilers.operand.listing import Listing
from lws.reconcilers.operand.observe import Observation, Observer, Surroundings, followed
from lws.reconcilers.operand.preview import Restarts, preview


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen.

    Attributes:
        operator: the object as it was read, or given; its raw form.
        observation: the facts, what is wanted given them, and what there is.
        preview: what is between the two.
    """

    operator: JSON
    observation: Observation
    preview: Preview


def client_of(transport: Transport) -> ApiClient:
    """A client for commands of people."""
    return ApiClient(
        transport, user_agent=user_agent().replace("lws/", "lws-operator/", 1), field_manager=names.FIELD_MANAGER
    )


async def survey(
    client: ApiClient,
    surroundings: Surroundings,
    *,
    clock: Clock,
    operator: JSON | None = None,
    objects: Sequence[Asset] | None = None,
    restarts: Restarts | None = None,
) -> Survey:
    """Look once; nothing is written but dry runs.

    Args:
        client: asks.
        surroundings: what would be installed, and where.
        clock: the time of day.
        operator: the object to go by; the cluster's own if absent, and one that asks for nothing if there is none.
        objects: what would be installed; the objects of this release if absent.
        restarts: which groups would restart; asked of this release's planners if absent.

    Raises:
        ApiError: the server refuses to tell.
        TransportError: no answer.
    """
    found = await current(client) if operator is None else operator
    parsed = LeaderWorkerSetOperator.from_json(found)
    known = assets() if objects is None else objects
    apis, listing = OptionalApis(client, clock), Listing(client)
    namespace = parsed.spec.operand.namespace or surroundings.namespace
    await listing.load(followed(known, await apis.served()), namespace)
    observation = await Observer(client, listing, apis, known, surroundings, clock).observe(parsed, None)
    seen = await preview(client, observation, restarts or GroupRestarts(client, clock))
    return Survey(found, observation, seen)


async def current(client: ApiClient) -> JSON:
    """The cluster's object; one that asks for nothing if there is none."""
    try:
        return await client.get(OPERATORS, "", names.SINGLETON)
    except NotFoundError:
        metadata = {"name": names.SINGLETON}
        return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": {}}
